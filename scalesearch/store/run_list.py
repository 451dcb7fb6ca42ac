"""The runs under a folder, for `scalesearch runs`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from scalesearch.errors import LedgerError
from scalesearch.store.driver_lock import Holder
from scalesearch.store.reading import read_ledger
from scalesearch.store.results import MANIFEST_FILE, PACE_FILE, SUMMARY_FILE, is_result, result_verb, summary_of
from scalesearch.store.run_folder import LEDGER_FILE
from scalesearch.store.stored_values import stored_value

__all__ = ["RunInfo", "list_runs", "read_summary"]

_RESULT_FILES: Final = (SUMMARY_FILE, MANIFEST_FILE, PACE_FILE)


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One line of the list: `started` in seconds since 1970, `note` for what a reader should know."""

    path: Path
    verb: str
    name: str
    status: Literal["finished", "running", "interrupted", "unreadable"]
    started: float | None = None
    trials_done: int | None = None
    trials_failed: int | None = None
    winner: dict[str, Any] | None = None
    note: str = ""


def list_runs(runs_dir: str | Path) -> list[RunInfo]:
    """All runs under `runs_dir`, the oldest first; an unreadable one is listed as such, not raised."""
    root = Path(runs_dir).expanduser()
    runs = [_run_info(path.parent) for path in sorted(root.glob(f"*/*/{LEDGER_FILE}"))]
    named = {path.parent for name in _RESULT_FILES for path in root.glob(f"*/*/{name}")}
    runs += [_result_info(path) for path in sorted(named - {run.path for run in runs}) if is_result(path)]
    return sorted(runs, key=lambda run: run.started or 0.0)


def read_summary(folder: Path) -> dict[str, Any] | None:
    """The run's summary.json (of `emit`, its manifest), or None where there is none that can be read."""
    return summary_of(folder)


def _result_info(folder: Path) -> RunInfo:
    """Of a folder without a ledger; it began when its oldest file was written."""
    verb, summary = result_verb(folder), summary_of(folder)
    assert verb is not None
    started = min((path.stat().st_mtime for name in _RESULT_FILES if (path := folder / name).is_file()), default=None)
    if summary is not None:
        return RunInfo(folder, verb, folder.name, "finished", started, note=_note(verb, summary))
    again = f"repeat `scalesearch run` as it was, with --name {folder.name}"
    return RunInfo(folder, verb, folder.name, "interrupted", started, note=f"not finished; {again}")


def _note(verb: str, summary: dict[str, Any]) -> str:
    """One line on what a result holds."""
    if verb == "run":
        return f"{', '.join(summary.get('steps') or ())} and {len(summary.get('emitted') or ())} emitted files"
    if verb == "scale":
        return f"{len(summary.get('members') or ())} networks: {summary.get('sentence', '')}"
    return str(summary.get("sentence", ""))


def _run_info(folder: Path) -> RunInfo:
    verb, name = folder.parent.name, folder.name
    try:
        with read_ledger(folder) as ledger:
            done, rows = len(ledger.done_keys()), len(ledger.records())
            created, finished = stored_value(ledger, "created_at", _moment, None), ledger.is_finished
    except LedgerError as error:
        return RunInfo(folder, verb, name, "unreadable", note=str(error))
    status, note = _status(folder, finished)
    winner = (read_summary(folder) or {}).get("winner")
    return RunInfo(
        path=folder,
        verb=verb,
        name=name,
        status=status,
        started=created,
        trials_done=done,
        trials_failed=rows - done,
        winner=winner if isinstance(winner, dict) else None,
        note=note,
    )


def _moment(value: Any) -> float:
    """Seconds since 1970, of a day that a calendar has."""
    seconds = float(value)
    if not 0 <= seconds < 1e11:
        raise ValueError(seconds)
    return seconds


def _status(folder: Path, finished: bool) -> tuple[Literal["finished", "running", "interrupted"], str]:
    holder = Holder.noted_in(folder)
    if holder is not None and holder.is_alive is not False:
        unseen = " (seen only in the folder, not on this host)" if holder.is_alive is None else ""
        return "running", f"{holder}{unseen}"
    return ("finished", "") if finished else ("interrupted", f"scalesearch resume {folder}")
