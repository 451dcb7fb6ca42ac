"""What Ray Tune's failures mean to a trial and to the run."""

from __future__ import annotations

from scalesearch.engine.attempt import Crash
from scalesearch.engine.ray_errors import reason_of
from scalesearch.errors import EngineError

__all__ = ["Crashed", "cannot_start", "crash_of", "reason_of_end"]


class Crashed(Exception):
    """Carries a `Crash` that may not repeat itself, so that Tune starts the trial again on a fresh worker."""

    @property
    def crash(self) -> Crash:
        """What came out of the attempt."""
        assert isinstance(self.args[0], Crash)
        return self.args[0]


def crash_of(cause: BaseException | None, seconds: float) -> Crash:
    """What is known of an attempt that Tune reports as failed."""
    if isinstance(cause, Crashed):
        return cause.crash
    return Crash("Ray Tune gave no reason" if cause is None else reason_of(cause), seconds, "a worker of Ray Tune")


def cannot_start(cause: BaseException | None) -> EngineError:
    """The error for workers that die before they take a trial."""
    reason = "no reason given" if cause is None else reason_of(cause)
    error = EngineError(f"workers cannot start ({reason}); try engine=serial to see why")
    error.__cause__ = cause
    return error


def reason_of_end(error: BaseException | None) -> str:
    """What to say of a Tune that is over while trials were under way."""
    reason = "no reason given" if error is None else " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return f"Ray Tune ended by itself ({reason}); what is committed is kept, go on with engine=ray"
