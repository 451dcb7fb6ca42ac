"""What really happened to the trials of a run, seen from outside the tool.

Every trial and every commit appends a line to one file (O_APPEND, fsync), so that the order of lines is the order of
events, whoever is killed. A committed result is lost when its row is absent or changed at the end, and repeated when
its trial starts once more after the line of its commit.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Verdict", "audit", "committed_keys", "note", "note_stored_rows", "starts", "stored_rows"]

FILE = "witness.log"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Committed results that were lost and repeated, of `committed` in all; `starts` counts executions."""

    lost: int
    repeated: int
    committed: int
    starts: int


def note(folder: Path | str, *words: object) -> None:
    """Append one line; it is on disk when this returns."""
    descriptor = os.open(Path(folder) / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, (" ".join(str(word) for word in words) + "\n").encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def stored_rows(ledger: Path) -> dict[str, str]:
    """Digest of each row that counts as committed, read with SQLite alone from a copy, so that nothing is repaired.

    A failure of the machine is not among them: the tool tries it again in the next session.
    """
    if not ledger.exists():
        return {}
    with tempfile.TemporaryDirectory() as folder:
        for name in (ledger.name, f"{ledger.name}-wal"):
            if ledger.with_name(name).exists():
                shutil.copy(ledger.with_name(name), Path(folder) / name)
        with closing(sqlite3.connect(Path(folder) / ledger.name)) as connection:
            sql = "SELECT key, digest FROM trials WHERE status = 'done' OR final = 1"
            return dict(connection.execute(sql).fetchall())


def note_stored_rows(folder: Path, ledger: Path) -> int:
    """Note the rows that are there now, at the moment after a fault; returns their number."""
    rows = stored_rows(ledger)
    if rows:
        note(folder, "\n".join(f"commit {key} {digest}" for key, digest in rows.items()))
    return len(rows)


def audit(folder: Path, ledger: Path) -> Verdict:
    """Compare the witness with the ledger as it is now; what it holds counts from here on as committed."""
    committed: dict[str, str] = {}
    repeated = started = 0
    changed: set[str] = set()
    for line in _lines(folder):
        kind, key, *rest = line.split()
        if kind == "start":
            started += 1
            repeated += key in committed
        elif kind == "commit" and committed.setdefault(key, rest[0]) != rest[0]:
            changed.add(key)
    rows = stored_rows(ledger)
    lost = {key for key, digest in committed.items() if rows.get(key) != digest} | changed
    note_stored_rows(folder, ledger)
    return Verdict(len(lost), repeated, len(committed), started)


def starts(folder: Path) -> list[tuple[str, int]]:
    """(key, process) of every start of a trial, in order."""
    return [(words[1], int(words[2])) for line in _lines(folder) if (words := line.split())[0] == "start"]


def committed_keys(folder: Path) -> set[str]:
    """Keys whose commit was acknowledged or seen."""
    return {line.split()[1] for line in _lines(folder) if line.startswith("commit")}


def _lines(folder: Path) -> list[str]:
    path = folder / FILE
    return path.read_text().splitlines() if path.exists() else []
