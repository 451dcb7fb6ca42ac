"""Results that come faster than the disk: committed together, notes with them, in the main file after a pause."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scalesearch.errors import LedgerError
from scalesearch.store import ledger as ledger_module
from scalesearch.store.ledger import Ledger
from scalesearch.trial import TrialRecord

REPOSITORY = Path(__file__).parents[2]


def row(number: int, status: str = "done") -> TrialRecord:
    return TrialRecord(f"k{number:03}", "f", "r", "d", number, 2, status)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def test_what_arrives_together_is_stored_by_the_same_rules(path: Path) -> None:
    with Ledger.create_or_open(path) as ledger:
        ledger.commit(row(1))
        assert ledger.commit_all([row(0, "failed"), row(1, "failed"), row(0), row(2)]) == {"k000", "k002"}
        assert ledger.commit_all([]) == set()
        assert [(record.key, record.status) for record in ledger.records()] == [
            ("k001", "done"),
            ("k000", "done"),
            ("k002", "done"),
        ]
        assert ledger.stored_here("k002")


def test_all_of_them_or_none(path: Path) -> None:
    with Ledger.create_or_open(path) as ledger:
        ledger.note("ask", "1")
        with pytest.raises(AttributeError):
            ledger.commit_all([row(1), None])  # type: ignore[list-item]
        assert ledger.records() == []
        assert not ledger.stored_here("k001")
        ledger.commit(row(2))
    with Ledger.create_or_open(path) as ledger:
        assert ledger.get_meta("ask") == "1", "it waited for the next commit"
        assert [record.seed for record in ledger.records()] == [2]


def test_records_of_some_keys(path: Path) -> None:
    with Ledger.create_or_open(path) as ledger:
        ledger.commit_all([row(number) for number in range(50, 0, -1)])
        assert [record.seed for record in ledger.records({"k003", "k040", "nobody"})] == [40, 3]
        assert ledger.records([]) == []
        assert len(ledger.records({f"k{number:03}" for number in range(40_000)})) == 50


NOTES = """
import os, signal, sys
from scalesearch.store.ledger import Ledger
from scalesearch.trial import TrialRecord
ledger = Ledger.create_or_open(sys.argv[1])
ledger.note("ask/0", "zero")
ledger.commit(TrialRecord("k", "f", "r", "d", 0, 1, "done"))
ledger.note("ask/1", "one")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_note_is_on_disk_before_any_result_that_follows_it(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", NOTES, str(path)], cwd=REPOSITORY, env=os.environ)
    assert done.returncode == -signal.SIGKILL
    with Ledger.create_or_open(path) as ledger:
        assert ledger.meta_items("ask/") == [("ask/0", "zero")], "nothing followed the second"
        assert len(ledger.records()) == 1


def test_notes_are_seen_by_whoever_asks(path: Path) -> None:
    with Ledger.create_or_open(path) as ledger:
        ledger.note("ask/1", "one")
        assert ledger.get_meta("ask/1") == "one"
        ledger.note("ask/2", "two")
        assert ledger.meta_items("ask/") == [("ask/1", "one"), ("ask/2", "two")]


def test_after_a_pause_damage_in_what_was_committed_is_found(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger.create_or_open(path)
    ledger.commit(row(0))
    assert b"k000" in path.read_bytes(), "one that comes alone is moved at once"
    monkeypatch.setattr(ledger_module, "_BURST", 1e9)  # everything from here on is one burst
    for number in range(1, 20):
        ledger.commit(row(number))
    assert b"k019" not in path.read_bytes(), "in the log"
    ledger.write_notes()  # a pause
    content = path.read_bytes()
    assert b"k019" in content
    path.with_name("ledger.db-wal").unlink()  # what the log still holds is not needed
    ledger._connection.close()
    path.write_bytes(content.replace(b"k019", b"k018"))
    with pytest.raises(LedgerError):
        Ledger.create_or_open(path)
