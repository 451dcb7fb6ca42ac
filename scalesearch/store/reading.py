"""The ledger of a run folder, opened for reading by everybody but its driver."""

from __future__ import annotations

from pathlib import Path

from scalesearch.store.driver_lock import Holder
from scalesearch.store.ledger import LOCK_TIMEOUT, Ledger
from scalesearch.store.run_folder import LEDGER_FILE

__all__ = ["read_ledger"]


def read_ledger(folder: Path, *, lock_timeout: float = LOCK_TIMEOUT) -> Ledger:
    """Open a run's ledger as `Ledger.open_readonly` does, also while its driver is writing.

    Where no driver is at work, SQLite leaves no new file beside the ledger.

    Args:
        folder: of the run.
        lock_timeout: seconds to wait for another process that holds a lock.

    Raises:
        LedgerError: as `Ledger.open_readonly`.
    """
    holder = Holder.noted_in(folder)
    undriven = holder is None or holder.is_alive is False
    return Ledger.open_readonly(folder / LEDGER_FILE, lock_timeout=lock_timeout, undriven=undriven)
