"""The ledger: one SQLite file per run, one row per unit of work, committed before anybody hears of it.

A row that `commit` has returned for survives kill -9 and power loss (WAL, synchronous=FULL). Every row carries
a digest: SQLite's own check finds damaged pages, the digest finds altered values. A damaged ledger is refused,
never started anew.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote

from scalesearch.errors import LedgerError
from scalesearch.store.ledger_faults import explain, refusal
from scalesearch.store.ledger_file import check_file, checked_columns, closed_on_error, create_file, has_log
from scalesearch.store.migrations import SCHEMA_VERSION, migrate
from scalesearch.store.room import stop_when_low
from scalesearch.store.rows import COLUMNS, SQL_TYPES, digest_of, record_of, records_frame, row_of
from scalesearch.trial import TrialRecord

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SCHEMA_VERSION", "Ledger"]

LOCK_TIMEOUT: Final = 5.0
# seconds after a move to the main file in which further commits stay in the log
_BURST: Final = 0.1

_FINISHED: Final = "finished_at"


_NAMES: Final = (*COLUMNS, "digest")
_SET_META: Final = "INSERT OR REPLACE INTO meta (key, value, digest) VALUES (?, ?, ?)"
_UPSERT: Final = (
    f"INSERT INTO trials ({', '.join(_NAMES)}) VALUES ({', '.join('?' * len(_NAMES))}) ON CONFLICT (key) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _NAMES if name != "key")
    + " WHERE trials.status <> 'done'"
)


class Ledger:
    """The committed results of one run; use `create_or_open` or `open_readonly`, and close it.

    Every method raises LedgerError when the file is damaged, locked for longer than the timeout, or the disk
    is full; what was committed before stays.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, columns: tuple[str, ...]):
        self._connection, self.path, self._columns = connection, path, columns
        self._stored_here: set[str] = set()
        self._noted: dict[str, str] = {}
        self._unsettled, self._settled_at = False, -_BURST

    @classmethod
    def create_or_open(cls, path: str | Path, *, lock_timeout: float = LOCK_TIMEOUT) -> Ledger:
        """Open the ledger at `path`, or create it in one step: a killed creation leaves nothing in the way.

        Args:
            path: the file; its folder must exist.
            lock_timeout: seconds to wait for another process that holds a lock.

        Raises:
            LedgerError: not a ledger, damaged, newer (NewerSchemaError), locked, or the disk is full.
        """
        path = Path(path)
        with explain(path):
            if not path.exists():
                create_file(path)
            check_file(path)
            connection = sqlite3.connect(path, timeout=lock_timeout, isolation_level=None)
            with closed_on_error(connection):
                ledger = cls(connection, path, checked_columns(connection, path))
                ledger._check_rows()
                if migrate(connection, path):
                    ledger._columns = checked_columns(connection, path)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA wal_autocheckpoint = 0")  # `_settle` does it
                ledger._add_missing_columns()
        return ledger

    @classmethod
    def open_readonly(cls, path: str | Path, *, lock_timeout: float = LOCK_TIMEOUT, undriven: bool = False) -> Ledger:
        """Open an existing ledger for reading, also while its driver is writing.

        Args:
            path: the file.
            lock_timeout: as for `create_or_open`.
            undriven: no driver can be at work while it is open; then SQLite leaves no new file beside it.

        Raises:
            LedgerError: there is none, or as `create_or_open`.
        """
        path = Path(path)
        with explain(path):
            check_file(path)
            # without "immutable" SQLite wants to create files beside it, unless a driver (of another user) keeps them
            unwritable = not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-shm").exists()
            at_rest = unwritable or (undriven and not has_log(path))
            mode = "mode=ro&immutable=1" if at_rest else "mode=ro"
            uri = f"file:{quote(str(path.absolute()))}?{mode}"
            connection = sqlite3.connect(uri, uri=True, timeout=lock_timeout, isolation_level=None)
            with closed_on_error(connection):
                ledger = cls(connection, path, checked_columns(connection, path))
                ledger._check_rows()
        return ledger

    def commit(self, record: TrialRecord) -> bool:
        """Store one result; it is on disk when this returns.

        A "done" row never changes: a late duplicate is ignored. A "failed" row is replaced by a later result.
        A finished run that gets a new row is no longer finished. Where the disk is nearly full the record is stored,
        and then LedgerError is raised.

        Returns:
            Whether the record was stored.
        """
        return bool(self.commit_all([record]))

    def commit_all(self, records: Sequence[TrialRecord]) -> set[str]:
        """Store results that arrived together, all of them or none; they are on disk when this returns.

        Returns:
            Keys of those that were stored, as `commit` says.
        """
        stored: set[str] = set()
        if not records:
            return stored
        with explain(self.path), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._write_noted()
            for record in records:
                row = row_of(record)
                row["digest"] = digest_of(row)
                if self._connection.execute(_UPSERT, tuple(row.values())).rowcount > 0:
                    stored.add(record.key)
            if stored:
                self._connection.execute("DELETE FROM meta WHERE key = ?", (_FINISHED,))
        self._noted.clear()
        self._stored_here |= stored
        self._unsettled = True
        self._settle(after=_BURST)
        stop_when_low(self.path)
        return stored

    def stored_here(self, key: str) -> bool:
        """Whether the row of `key` was stored since this ledger was opened, and not by an earlier session."""
        return key in self._stored_here

    def mark_finished(self) -> None:
        """Say that what was found has been written out; holds until the next row is stored."""
        self.set_meta(_FINISHED, repr(time.time()))

    @property
    def is_finished(self) -> bool:
        """Whether no row was stored since `mark_finished`."""
        return self.get_meta(_FINISHED) is not None

    def records(self, keys: Collection[str] | None = None) -> list[TrialRecord]:
        """All records, or those of `keys`, in the order in which they were first committed."""
        sql = f"SELECT {', '.join(self._columns)} FROM trials"
        with explain(self.path):
            if keys is None:
                rows = self._connection.execute(f"{sql} ORDER BY rowid").fetchall()
            else:  # as one JSON text, because SQLite takes only so many parameters
                sql += " WHERE key IN (SELECT value FROM json_each(?)) ORDER BY rowid"
                rows = self._connection.execute(sql, (json.dumps(list(keys)),)).fetchall()
            return [record_of(dict(zip(self._columns, row, strict=True))) for row in rows]

    def done_keys(self) -> set[str]:
        """Keys of the records with status "done"."""
        with explain(self.path):
            return {key for (key,) in self._connection.execute("SELECT key FROM trials WHERE status = 'done'")}

    def set_meta(self, key: str, value: str) -> None:
        """Store a text under `key`, replacing what was there; it is on disk when this returns."""
        self.note(key, value)
        self.write_notes()

    def note(self, key: str, value: str) -> None:
        """The same for what need not be on disk before the next result is: it gets there together with that."""
        self._noted[key] = value

    def write_notes(self) -> None:
        """Put on disk what was noted, and move what a burst of commits left in the log to the main file."""
        if self._noted:
            with explain(self.path), self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._write_noted()
            self._noted.clear()
            self._unsettled = True
        self._settle()

    def get_meta(self, key: str) -> str | None:
        """The text under `key`, or None."""
        if self._noted:
            self.write_notes()
        with explain(self.path):
            found = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if found is None else str(found[0])

    def meta_items(self, prefix: str) -> list[tuple[str, str]]:
        """(key, text) of every stored text whose key begins with `prefix`, in the order of the keys."""
        if self._noted:
            self.write_notes()
        sql = "SELECT key, value FROM meta WHERE substr(key, 1, ?) = ? ORDER BY key"
        with explain(self.path):
            return [(str(key), str(value)) for key, value in self._connection.execute(sql, (len(prefix), prefix))]

    def to_frame(self) -> pd.DataFrame:
        """All records as a data frame, see `rows.records_frame`."""
        return records_frame(self.records())

    def close(self) -> None:
        """Close the file; further calls do nothing."""
        with suppress(sqlite3.Error, LedgerError):
            self.write_notes()
        with suppress(sqlite3.Error):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write_noted(self) -> None:
        for key, value in self._noted.items():
            self._connection.execute(_SET_META, (key, value, digest_of({key: value})))

    def _settle(self, *, after: float = 0.0) -> None:
        """Move the pages of the log to the main file, because only there can damage be told from a torn write.

        It takes two more synchronisations, so while results come faster than every `after` seconds it is left to a
        later one, or to the first pause.
        """
        if self._unsettled and time.monotonic() - self._settled_at >= after:
            with suppress(sqlite3.Error):  # the rows are safe in the log; a full disk is the next commit's to report
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            self._unsettled, self._settled_at = False, time.monotonic()

    def _check_rows(self) -> None:
        """Compare every stored digest with its values."""
        names = ", ".join(self._columns)
        for *values, digest in self._connection.execute(f"SELECT {names}, digest FROM trials"):
            if digest_of(dict(zip(self._columns, values, strict=True))) != digest:
                raise refusal(self.path, "every row of a ledger must match its digest")
        for key, value, digest in self._connection.execute("SELECT key, value, digest FROM meta"):
            if digest_of({key: value}) != digest:
                raise refusal(self.path, "every setting in a ledger must match its digest")

    def _add_missing_columns(self) -> None:
        """Bring a ledger of an older scalesearch up to date; old rows keep the record's defaults."""
        for name in COLUMNS:
            if name not in self._columns:
                self._connection.execute(f"ALTER TABLE trials ADD COLUMN {name} {SQL_TYPES[COLUMNS[name]]}")
        self._columns = tuple(COLUMNS)
