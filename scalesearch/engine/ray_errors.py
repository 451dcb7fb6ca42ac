"""Why a Ray worker gave no answer, in one line."""

from __future__ import annotations

__all__ = ["reason_of"]


def reason_of(error: BaseException) -> str:
    """Why an actor died or raised, without Ray's advice."""
    from ray.exceptions import OutOfMemoryError, RayTaskError

    text = " ".join(str(error).split())
    if isinstance(error, OutOfMemoryError):
        return f"the worker was killed because memory ran out: {text[:300]}"
    if isinstance(error, RayTaskError):
        return f"{type(error.cause).__name__}: {error.cause}"
    detail = text.rpartition("Worker exit detail: ")[2].partition("Some common causes")[0].strip()
    return f"the worker died (killed, crashed or out of memory): {detail[:300]}"
