"""A run that is finished and at rest, for what is made from its files afterwards: reports and exports."""

from __future__ import annotations

import os
from pathlib import Path

from scalesearch.errors import LedgerError, RunFolderError
from scalesearch.store.driver_lock import Holder
from scalesearch.store.ledger import Ledger
from scalesearch.store.run import Run, load_run
from scalesearch.store.run_folder import LEDGER_FILE, SUMMARY_FILE

__all__ = ["finished_run", "run_at"]


def run_at(run: str, runs_dir: str | os.PathLike[str] = "runs") -> Path:
    """The folder that a user means by a path, or by VERB/NAME below the runs folder."""
    places = Path(run).expanduser(), Path(runs_dir).expanduser() / run
    return next((path for path in places if path.is_dir()), places[0]).absolute()


def finished_run(path: str | os.PathLike[str]) -> Run:
    """A run from its folder, after every check that its files say how it ended; its ledger is only looked at.

    Raises:
        RunFolderError: no run, one that is under way or was extended, or one that this version cannot read.
    """
    run = load_run(path)
    if not (run.path / LEDGER_FILE).is_file():
        if (run.path / SUMMARY_FILE).is_file() or run.verb == "emit":
            return run
        again = f"repeat `scalesearch {run.verb}` as it was, with --name {run.name}"
        raise RunFolderError("a run must be finished", value=str(path), way_out=again)
    holder = Holder.noted_in(run.path)
    if holder is not None and holder.is_alive is not False:
        raise RunFolderError(
            "a run must be finished, but this one is under way", value=str(path), way_out=f"wait for {holder}"
        )
    try:
        with Ledger.open_readonly(run.path / LEDGER_FILE, undriven=True) as ledger:
            finished = ledger.is_finished
    except LedgerError as error:
        raise RunFolderError(f"a run's ledger must be one that this scalesearch reads: {error}") from error
    if not finished or not (run.path / SUMMARY_FILE).is_file():
        raise RunFolderError(
            "a run must be finished", value=str(path), way_out=f"continue it with `scalesearch resume {path}`"
        )
    return run
