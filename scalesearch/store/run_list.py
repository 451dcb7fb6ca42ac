"""The runs under a folder, for `scalesearch runs`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scalesearch.errors import LedgerError
from scalesearch.store.driver_lock import Holder
from scalesearch.store.ledger import Ledger
from scalesearch.store.run_folder import LEDGER_FILE, SUMMARY_FILE

__all__ = ["RunInfo", "list_runs", "read_summary"]


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
    ledgers = sorted(Path(runs_dir).expanduser().glob(f"*/*/{LEDGER_FILE}"))
    return sorted((_run_info(path.parent) for path in ledgers), key=lambda run: run.started or 0.0)


def read_summary(folder: Path) -> dict[str, Any] | None:
    """The run's summary.json, or None where there is none that can be read."""
    try:
        summary = json.loads((folder / SUMMARY_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return summary if isinstance(summary, dict) else None


def _run_info(folder: Path) -> RunInfo:
    verb, name = folder.parent.name, folder.name
    try:
        with Ledger.open_readonly(folder / LEDGER_FILE) as ledger:
            done, rows = len(ledger.done_keys()), len(ledger.records())
            created, finished = ledger.get_meta("created_at"), ledger.is_finished
    except LedgerError as error:
        return RunInfo(folder, verb, name, "unreadable", note=str(error))
    status, note = _status(folder, finished)
    winner = (read_summary(folder) or {}).get("winner")
    return RunInfo(
        path=folder,
        verb=verb,
        name=name,
        status=status,
        started=None if created is None else float(created),
        trials_done=done,
        trials_failed=rows - done,
        winner=winner if isinstance(winner, dict) else None,
        note=note,
    )


def _status(folder: Path, finished: bool) -> tuple[Literal["finished", "running", "interrupted"], str]:
    holder = Holder.noted_in(folder)
    if holder is not None and holder.is_alive is not False:
        unseen = " (seen only in the folder, not on this host)" if holder.is_alive is None else ""
        return "running", f"{holder}{unseen}"
    return ("finished", "") if finished else ("interrupted", f"scalesearch resume {folder}")
