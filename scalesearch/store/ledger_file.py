"""The file of a ledger: how it comes into being, complete or not at all, and what is refused before SQLite opens it."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Final

from scalesearch.store.atomic import fsync_folder, name_new
from scalesearch.store.ledger_faults import refusal
from scalesearch.store.migrations import HEADER_BYTES, check_contents, header_schema, refuse_newer, schema_of, stamp
from scalesearch.store.rows import COLUMNS, SQL_TYPES, digest_of

__all__ = ["check_file", "checked_columns", "closed_on_error", "create_file", "has_log"]

_MAGIC: Final = b"SQLite format 3\x00"


def create_file(path: Path) -> None:
    """Build the empty ledger beside `path` and give it its name only when it is complete."""
    if path.with_name(f"{path.name}-wal").exists():
        raise refusal(path, "a ledger must lie beside its write-ahead log, but only the log is there")
    for leftover in path.parent.glob(f".{path.name}.*.new*"):
        leftover.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    columns = ", ".join(f"{name} {SQL_TYPES[kind]}" for name, kind in COLUMNS.items() if name != "key")
    connection = sqlite3.connect(temporary, isolation_level=None)
    with closed_on_error(connection):
        connection.execute("BEGIN")
        connection.execute(f"CREATE TABLE trials (key TEXT PRIMARY KEY NOT NULL, {columns}, digest TEXT NOT NULL)")
        connection.execute(
            "CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL, digest TEXT NOT NULL)"
        )
        for key, value in _first_meta().items():
            connection.execute("INSERT INTO meta VALUES (?, ?, ?)", (key, value, digest_of({key: value})))
        stamp(connection)
        connection.execute("COMMIT")
    connection.close()
    _publish(temporary, path)


def _publish(temporary: Path, path: Path) -> None:
    """Name the finished file, never over one that another process created meanwhile."""
    with suppress(FileExistsError):
        name_new(temporary, path)
    temporary.unlink(missing_ok=True)
    fsync_folder(path.parent)


def _first_meta() -> dict[str, str]:
    try:
        version = metadata.version("scalesearch")
    except metadata.PackageNotFoundError:
        version = "unknown"
    return {"scalesearch": version, "created_at": repr(time.time())}


def check_file(path: Path) -> None:
    """Refuse what SQLite would silently treat as a new, empty database."""
    if not path.is_file():
        raise refusal(path, "a ledger must be a file")
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
    if not header.startswith(_MAGIC):
        raise refusal(path, "a ledger must be an SQLite file")
    refuse_newer(header_schema(header), path)  # before SQLite opens it, which may leave files beside it


def has_log(path: Path) -> bool:
    """Whether a driver that was killed left rows in the write-ahead log."""
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def checked_columns(connection: sqlite3.Connection, path: Path) -> tuple[str, ...]:
    """The known columns of the file's trials table, after the checks of pages, tables and version."""
    # a file may come from anybody: its own expressions may use harmless functions only
    connection.execute("PRAGMA trusted_schema = OFF")
    check_contents(connection, path)
    report = [row[0] for row in connection.execute("PRAGMA integrity_check(1)")]
    if report != ["ok"]:
        raise refusal(path, f"a ledger must pass SQLite's integrity check ({report[0]})")
    schema_of(connection, path)
    present = [row[1] for row in connection.execute("PRAGMA table_info(trials)")]
    if not {"key", "status", "digest"} <= set(present):
        raise refusal(path, "a ledger must hold the columns key, status and digest")
    return tuple(name for name in COLUMNS if name in present)


@contextmanager
def closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    """Close the connection if the block raises."""
    try:
        yield
    except BaseException:
        connection.close()
        raise
