"""Ledgers of older schemas, brought up to date step by step inside one transaction; newer ones are refused.

1   tables trials and meta, the version in meta; columns were added without a new version
2   every column of a record is there; the file carries the application's number and the version in SQLite's own
    header, so that other tools know it; nothing in it but tables and indexes
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from scalesearch.errors import NewerSchemaError
from scalesearch.store.ledger_faults import refusal
from scalesearch.store.rows import COLUMNS, SQL_TYPES, digest_of

__all__ = [
    "APPLICATION_ID",
    "HEADER_BYTES",
    "SCHEMA_VERSION",
    "check_contents",
    "header_schema",
    "migrate",
    "refuse_newer",
    "schema_of",
    "stamp",
]

SCHEMA_VERSION: Final = 2
#: "SSrc" as SQLite's application_id
APPLICATION_ID: Final = 0x53537263
HEADER_BYTES: Final = 100


def schema_of(connection: sqlite3.Connection, path: Path) -> int:
    """The schema version of a ledger.

    Raises:
        LedgerError: it names none.
        NewerSchemaError: it is newer than this scalesearch.
    """
    found = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    text = "" if found is None else str(found[0])
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 6 and int(text) >= 1):
        raise refusal(path, "a ledger must name its schema version")
    refuse_newer(int(text), path)
    return int(text)


def header_schema(header: bytes) -> int:
    """The schema version that the first `HEADER_BYTES` of a file tell; 1 where they tell none."""
    # big-endian at 60 and 68, https://www.sqlite.org/fileformat.html#the_database_header
    version, application = (int.from_bytes(header[at : at + 4], "big") for at in (60, 68))
    return version if application == APPLICATION_ID else 1


def refuse_newer(version: int, path: Path) -> None:
    """Refuse a ledger of a schema that this scalesearch does not know.

    Raises:
        NewerSchemaError: it is newer.
    """
    if version > SCHEMA_VERSION:
        raise NewerSchemaError(
            f"this scalesearch reads ledgers of schema {SCHEMA_VERSION}, got {version} in {path}; "
            "update scalesearch, or start another run with another --name"
        )


def check_contents(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse what a ledger never holds: triggers, views and virtual tables would run somebody else's SQL.

    Raises:
        LedgerError: names the first of them, or the table that is missing.
    """
    rows = connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master ORDER BY name").fetchall()
    for kind, name, sql in rows:
        virtual = str(sql).lstrip()[:20].upper().startswith("CREATE VIRTUAL")
        if kind not in ("table", "index") or virtual:
            raise refusal(path, f"a ledger holds tables and indexes alone ({'virtual ' * virtual}{kind} {name!r})")
    if not {"trials", "meta"} <= {str(name) for kind, name, _ in rows if kind == "table"}:
        raise refusal(path, "a ledger must hold the tables trials and meta")


def migrate(connection: sqlite3.Connection, path: Path) -> bool:
    """Bring a ledger up to `SCHEMA_VERSION`; a kill on the way leaves it as it was.

    Returns:
        Whether there was anything to do.
    """
    if schema_of(connection, path) == SCHEMA_VERSION:
        return False
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for version in range(schema_of(connection, path), SCHEMA_VERSION):
            _STEPS[version](connection)
        stamp(connection)
    return True


def stamp(connection: sqlite3.Connection) -> None:
    """Write the version, in meta and in SQLite's header."""
    value = str(SCHEMA_VERSION)
    connection.execute(
        "INSERT OR REPLACE INTO meta (key, value, digest) VALUES ('schema', ?, ?)",
        (value, digest_of({"schema": value})),
    )
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _from_1(connection: sqlite3.Connection) -> None:
    """Add the columns that came after the first version; old rows keep the record's defaults."""
    present = {str(row[1]) for row in connection.execute("PRAGMA table_info(trials)")}
    for name, kind in COLUMNS.items():
        if name not in present:
            connection.execute(f"ALTER TABLE trials ADD COLUMN {name} {SQL_TYPES[kind]}")


_STEPS: Final[Mapping[int, Callable[[sqlite3.Connection], None]]] = {1: _from_1}
