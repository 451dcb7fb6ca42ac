"""Folders that hold a result and no ledger: what `scale`, `emit` and `run` leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

__all__ = ["EMIT_WRITER", "MANIFEST_FILE", "PACE_FILE", "SUMMARY_FILE", "is_result", "result_verb", "summary_of"]

SUMMARY_FILE: Final = "summary.json"
#: of `emit`, whose folder lies where the user wants it
MANIFEST_FILE: Final = "manifest.json"
EMIT_WRITER: Final = "scalesearch emit"
#: of `run`, from its first step on
PACE_FILE: Final = "pace.json"

_VERBS: Final = ("scale", "run")


def summary_of(folder: Path) -> dict[str, Any] | None:
    """What summary.json holds, or for a folder of `emit` its manifest; None where there is none that can be read."""
    summary = _read(folder / SUMMARY_FILE)
    if summary is not None:
        return summary
    manifest = _read(folder / MANIFEST_FILE)
    if manifest is None or manifest.get("writer") != EMIT_WRITER or not isinstance(manifest.get("order"), dict):
        return None
    order = manifest["order"]
    words = [", ".join(map(str, order.get(key) or [])) for key in ("networks", "formats")]
    return {"verb": "emit", "sentence": " as ".join(words), **order, "files": manifest.get("files")}


def result_verb(folder: Path) -> str | None:
    """ "scale", "emit" or "run" where the folder is one of theirs; a run that was interrupted counts."""
    verb = (summary_of(folder) or {}).get("verb")
    if verb in (*_VERBS, "emit"):
        return str(verb)
    return "run" if folder.parent.name == "run" and _read(folder / PACE_FILE) is not None else None


def is_result(folder: Path) -> bool:
    """Whether the folder is one of `scale`, `emit` or `run`."""
    return result_verb(folder) is not None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None
