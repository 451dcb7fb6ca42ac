"""The ledger of a run folder, opened for reading by everybody but its driver."""

from __future__ import annotations

from pathlib import Path

from scalesearch.errors import LedgerError
from scalesearch.store.driver_lock import Holder
from scalesearch.store.ledger import LOCK_TIMEOUT, Ledger
from scalesearch.store.run_folder import LEDGER_FILE

__all__ = ["read_ledger"]


def read_ledger(folder: Path, *, lock_timeout: float = LOCK_TIMEOUT) -> Ledger:
    """Open a run's ledger as `Ledger.open_readonly` does, also while its driver is writing.

    Where no driver is at work, SQLite leaves no new file beside the ledger. A driver that starts just then may spoil
    what is read so; then it is read once more as beside any driver.

    Args:
        folder: of the run.
        lock_timeout: seconds to wait for another process that holds a lock.

    Raises:
        LedgerError: as `Ledger.open_readonly`.
    """
    path, undriven = folder / LEDGER_FILE, _is_undriven(folder)
    try:
        ledger = Ledger.open_readonly(path, lock_timeout=lock_timeout, undriven=undriven)
    except LedgerError:
        if not undriven or _is_undriven(folder):
            raise
        return Ledger.open_readonly(path, lock_timeout=lock_timeout)
    if undriven and not _is_undriven(folder):
        ledger.close()
        return Ledger.open_readonly(path, lock_timeout=lock_timeout)
    return ledger


def _is_undriven(folder: Path) -> bool:
    holder = Holder.noted_in(folder)
    return holder is None or holder.is_alive is False
