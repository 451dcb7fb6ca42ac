"""What went wrong with a ledger, in one line: SQLite's errors become a `LedgerError` with a way out."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scalesearch.errors import LedgerError

__all__ = ["explain", "holders_of", "refusal"]

_BUSY, _LOCKED, _READONLY, _IOERR, _FULL, _CANTOPEN = 5, 6, 8, 10, 13, 14
_DAMAGED_WAY_OUT = "put back a copy of it, or start another run with another --name"


def refusal(path: Path, rule: str) -> LedgerError:
    """The error for a file that is no ledger or a damaged one."""
    # SQLite tells of damaged pages in several lines
    return LedgerError(f"{' '.join(rule.split())}, got {path}; {_DAMAGED_WAY_OUT}")


@contextmanager
def explain(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of reading damaged values into a `LedgerError` about `path`."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explained(path, error) from error
    except (ValueError, TypeError, OverflowError) as error:
        raise refusal(path, f"a ledger must hold readable rows ({error})") from error
    except OSError as error:
        rule = f"a ledger must be readable and writable ({error.strerror})"
        raise LedgerError(f"{rule}, got {path}; free the disk or choose another --name") from error


def holders_of(path: Path) -> list[str]:
    """Other processes on this machine that have the ledger open, as "process 12 (name)"; empty where unknown."""
    holders = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            opened = {os.readlink(link) for link in (folder / "fd").iterdir()}
            if int(folder.name) != os.getpid() and str(path.resolve()) in opened:
                holders.append(f"process {folder.name} ({(folder / 'comm').read_text().strip()})")
        except OSError:  # ended meanwhile, or not ours to look at
            continue
    return sorted(holders)


def _explained(path: Path, error: sqlite3.Error) -> LedgerError:
    # extended result codes keep the primary code in the low byte
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (_BUSY, _LOCKED):
        holder = ", ".join(holders_of(path)) or "another process"
        return LedgerError(f"the ledger {path} must not be locked, but {holder} holds it; end that process and resume")
    if code == _FULL:
        return LedgerError(
            f"the disk of {path} must have room for results; free some and resume, nothing stored is lost"
        )
    if code in (_READONLY, _IOERR, _CANTOPEN):
        return LedgerError(f"the ledger {path} must be readable and writable ({error}); check the disk and resume")
    return refusal(path, f"a ledger must be undamaged ({error})")
