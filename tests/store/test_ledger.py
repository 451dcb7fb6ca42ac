"""The ledger keeps what it acknowledged, and refuses what it cannot trust."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scalesearch.errors import LedgerError, NewerSchemaError
from scalesearch.store import ledger as ledger_module
from scalesearch.store import migrations
from scalesearch.store.ledger import SCHEMA_VERSION, Ledger
from scalesearch.store.rows import digest_of
from scalesearch.trial import TrialRecord

REPOSITORY = Path(__file__).parents[2]


def row(number: int, **values: object) -> TrialRecord:
    return replace(TrialRecord(f"k{number:03}", "f", "r", "d", number, 2, "done", accuracy=number / 7), **values)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def filled(path: Path) -> bytes:
    """The bytes of a closed ledger with 30 rows at `path`."""
    with Ledger.create_or_open(path) as ledger:
        for number in range(30):
            ledger.commit(row(number, error="a longer text " * 9, macs=10**12 + number))
        ledger.set_meta("settings", '{"a": 1}')
    return path.read_bytes()


def test_rows_come_back_as_they_went_in(path: Path) -> None:
    full = TrialRecord(
        "key", "f", "r", "d", 3, 2, "failed", 0.1 + 0.2, float("inf"), 1e-300, 2**40, 5, 6, 7, 8, 9, 10, 11, "cpu",
        "ünïcode", 1.5, 2.5, 1.7e9, 1.7e9 + 1, "host:1", 2, False,
    )  # fmt: skip
    with Ledger.create_or_open(path) as ledger:
        assert ledger.commit(full)
        assert ledger.commit(row(1))
    with Ledger.create_or_open(path) as ledger:
        assert ledger.records() == [full, row(1)]
        assert ledger.records()[0].final is False
        assert ledger.done_keys() == {"k001"}
        assert ledger.to_frame()["final"].tolist() == [False, True]


def test_missing_stays_missing_and_numpy_becomes_plain(path: Path) -> None:
    with Ledger.create_or_open(path) as ledger:
        ledger.commit(row(1, accuracy=float("nan"), loss=np.float32(0.5), macs=np.int64(7), error="half \ud800 pair"))
        frame = ledger.to_frame()
    with Ledger.open_readonly(path) as ledger:
        (found,) = ledger.records()
    assert (found.accuracy, found.loss, found.macs) == (None, 0.5, 7)
    assert frame["accuracy"].isna().all()
    assert frame["train_loss"].isna().all()
    assert frame["seed"].dtype == "int64"


def test_done_is_final_and_failed_is_not(path: Path) -> None:
    with Ledger.create_or_open(path) as ledger:
        assert ledger.commit(row(1, status="failed", accuracy=None, error="worker died"))
        assert ledger.commit(row(1, attempt=2))
        assert not ledger.commit(row(1, accuracy=0.99, attempt=3))
        assert not ledger.commit(row(1, status="failed", error="late"))
        assert ledger.records() == [row(1, attempt=2)]


def test_new_work_ends_the_finish_and_a_repetition_does_not(path: Path) -> None:
    with Ledger.create_or_open(path) as ledger:
        assert not ledger.is_finished
        ledger.commit(row(1))
        ledger.mark_finished()
    with Ledger.create_or_open(path) as ledger:
        assert ledger.is_finished
        assert not ledger.commit(row(1, accuracy=0.99))
        assert ledger.is_finished, "a late duplicate is no new work"
        ledger.commit(row(2))
        assert not ledger.is_finished
    with Ledger.open_readonly(path) as ledger:
        assert not ledger.is_finished


def test_a_ledger_knows_what_its_own_session_stored(path: Path) -> None:
    with Ledger.create_or_open(path) as ledger:
        ledger.commit(row(1))
        assert ledger.stored_here("k001")
    with Ledger.create_or_open(path) as ledger:
        assert not ledger.commit(row(1))
        ledger.commit(row(2))
        assert (ledger.stored_here("k001"), ledger.stored_here("k002")) == (False, True)


@pytest.mark.parametrize("verdict", ["done", "failed"])
def test_meta(path: Path, verdict: str) -> None:
    with Ledger.create_or_open(path) as ledger:
        ledger.set_meta("verdict", "none")
        ledger.set_meta("verdict", verdict)
    with Ledger.create_or_open(path) as ledger:
        assert ledger.get_meta("verdict") == verdict
        assert ledger.get_meta("absent") is None
        assert ledger.get_meta("schema") == str(SCHEMA_VERSION)


def test_acknowledged_rows_survive_kill_9(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from scalesearch.store.ledger import Ledger\n"
        "from scalesearch.trial import TrialRecord\n"
        "ledger = Ledger.create_or_open(Path(sys.argv[1]))\n"
        "for n in range(10**6):\n"
        "    ledger.commit(TrialRecord(f'k{n}', 'f', 'r', 'd', n, 1, 'done', accuracy=n / 3)); print(n, flush=True)\n"
    )
    for _ in range(2):  # the second time the log of the first is there
        driver = subprocess.Popen([sys.executable, "-c", script, str(path)], cwd=REPOSITORY, stdout=subprocess.PIPE)
        assert driver.stdout is not None
        acknowledged = [int(driver.stdout.readline()) for _ in range(40)]
        driver.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in driver.stdout.read().split()]
        driver.wait()
        driver.stdout.close()
        with Ledger.create_or_open(path) as ledger:
            seeds = {record.seed for record in ledger.records()}
        assert set(acknowledged) <= seeds


def test_a_killed_creation_leaves_nothing_in_the_way(path: Path) -> None:
    script = (
        "import os, signal, sys; from scalesearch.store.ledger import Ledger\n"
        "os.link = lambda *names: os.kill(os.getpid(), signal.SIGKILL)\n"
        "Ledger.create_or_open(sys.argv[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], cwd=REPOSITORY, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [entry.suffix for entry in path.parent.iterdir()] == [".new"]
    with Ledger.create_or_open(path) as ledger:
        assert ledger.commit(row(1))
    assert [entry.name for entry in path.parent.iterdir()] == ["ledger.db"]


@pytest.mark.fault(15)
def test_any_flipped_bit_is_refused_or_harmless(path: Path, filled: bytes) -> None:
    with Ledger.create_or_open(path) as ledger:
        before = ledger.records()
    choose, refused = random.Random(0), 0
    for _ in range(250):
        place, bit = choose.randrange(len(filled)), choose.randrange(8)
        damaged = bytearray(filled)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            with Ledger.create_or_open(path) as ledger:
                assert ledger.records() == before, (place, bit)
                assert ledger.get_meta("settings") == '{"a": 1}'
        except LedgerError:
            refused += 1
    assert refused > 50


@pytest.mark.fault(15)
@pytest.mark.parametrize("part", [0, 0.001, 0.3, 0.5, 0.99])
def test_a_truncated_ledger_is_refused(path: Path, filled: bytes, part: float) -> None:
    path.write_bytes(filled[: int(part * len(filled))])
    with pytest.raises(LedgerError, match="put back a copy"):
        Ledger.create_or_open(path)
    assert path.stat().st_size == int(part * len(filled)), "a refused ledger is left as it is"


def test_what_is_no_ledger_is_refused(path: Path) -> None:
    path.write_text("accuracy,macs\n0.9,100\n")
    with pytest.raises(LedgerError, match="must be an SQLite file"):
        Ledger.create_or_open(path)
    path.unlink()
    sqlite3.connect(path).execute("CREATE TABLE songs (title TEXT)").connection.close()
    with pytest.raises(LedgerError, match="tables trials and meta"):
        Ledger.create_or_open(path)
    path.rename(path.with_name("ledger.db-wal"))
    with pytest.raises(LedgerError, match="write-ahead log"):
        Ledger.create_or_open(path)
    with pytest.raises(LedgerError, match="must be a file"):
        Ledger.open_readonly(path)


def test_a_newer_ledger_is_refused_politely(path: Path, filled: bytes) -> None:
    with Ledger.create_or_open(path) as ledger:
        ledger.set_meta("schema", str(SCHEMA_VERSION + 1))
    with pytest.raises(LedgerError, match="update scalesearch"):
        Ledger.create_or_open(path)


def test_an_older_ledger_gains_the_columns_it_lacks(path: Path) -> None:
    with Ledger.create_or_open(path) as ledger:
        ledger.commit(row(1))
        ledger._connection.execute("ALTER TABLE trials DROP COLUMN fvcore_macs")
    with Ledger.open_readonly(path) as ledger:
        assert ledger.records() == [row(1)]
    with Ledger.create_or_open(path) as ledger:
        ledger.commit(row(2, fvcore_macs=5))
        assert ledger.records() == [row(1), row(2, fvcore_macs=5)]


def test_rows_from_before_a_column_keep_its_default(path: Path) -> None:
    with Ledger.create_or_open(path) as ledger:
        for name in ("final", "attempt"):
            ledger._connection.execute(f"ALTER TABLE trials DROP COLUMN {name}")
        old = {"key": "k001", "fingerprint": "f", "recipe": "r", "data": "d", "seed": 1, "epochs": 2, "status": "done"}
        old["digest"] = digest_of(old)
        names, slots = ", ".join(old), ", ".join("?" * len(old))
        ledger._connection.execute(f"INSERT INTO trials ({names}) VALUES ({slots})", tuple(old.values()))
    with Ledger.open_readonly(path) as ledger:
        assert ledger.records() == [row(1, accuracy=None)]
    with Ledger.create_or_open(path) as ledger:
        assert ledger.records() == [row(1, accuracy=None)]
        ledger.commit(row(2, status="failed", final=False))
    with Ledger.create_or_open(path) as ledger:
        assert [record.final for record in ledger.records()] == [True, False]
        assert ledger.to_frame()["final"].tolist() == [True, False]


def test_a_locked_ledger_names_its_holder(path: Path, filled: bytes) -> None:
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with Ledger.create_or_open(path, lock_timeout=0.1) as ledger:
            with pytest.raises(LedgerError, match=f"process {holder.pid} "):
                ledger.commit(row(99))
            assert len(ledger.records()) == 30, "reading goes on"
        holder.communicate(b"")


def test_a_full_disk_is_said_and_loses_nothing(path: Path, filled: bytes) -> None:
    with Ledger.create_or_open(path) as ledger:
        pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
        ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
        rows = (row(number, error="x" * 1000) for number in range(100, 200))
        with pytest.raises(LedgerError, match="must have room"):
            any(not ledger.commit(each) for each in rows)
        stored = len(ledger.records())
    with Ledger.create_or_open(path) as ledger:
        assert len(ledger.records()) == stored >= 30


def test_readers_see_a_live_ledger(path: Path) -> None:
    with Ledger.create_or_open(path) as driver:
        driver.commit(row(1))
        with Ledger.open_readonly(path) as reader:
            assert reader.done_keys() == {"k001"}
            driver.commit(row(2))
            assert reader.done_keys() == {"k001", "k002"}
            with pytest.raises(LedgerError):
                reader.commit(row(3))


def test_the_digest_covers_every_value() -> None:
    assert digest_of({"a": 1, "b": None}) == digest_of({"a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2}) != digest_of({"b": 2})


def test_commits_are_synchronous(path: Path) -> None:
    with Ledger.create_or_open(path) as ledger:
        assert ledger._connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert ledger._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert ledger_module.LOCK_TIMEOUT <= 10
    assert os.listdir(path.parent) == ["ledger.db"]


SAMPLES = Path(__file__).parent / "samples"


@pytest.mark.parametrize("sample", ["ledger_schema_1_first.db", "ledger_schema_1_last.db"])
def test_a_ledger_of_schema_1_is_migrated(path: Path, sample: str) -> None:
    """Written by the first code that wrote ledgers (which lacks columns), and by the last with schema 1."""
    path.write_bytes((SAMPLES / sample).read_bytes())
    with Ledger.open_readonly(path, undriven=True) as ledger:
        before, meta = ledger.records(), ledger.meta_items("")
        assert ledger.get_meta("schema") == "1"
    assert path.read_bytes() == (SAMPLES / sample).read_bytes(), "a reader changes nothing"
    assert [record.status for record in before] == ["done"] * 3 + ["failed"]
    assert before[1].accuracy == 0.71
    with Ledger.create_or_open(path) as ledger:
        assert ledger.records() == before
        kept = [item for item in ledger.meta_items("") if item[0] != "schema"]
        assert kept == [item for item in meta if item[0] != "schema"]
        assert ledger.get_meta("schema") == str(SCHEMA_VERSION)
        assert not ledger.commit(before[0]), "what was done stays done"
        assert ledger.commit(row(5, device="cpu"))
    with sqlite3.connect(path) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert file.execute("PRAGMA application_id").fetchone() == (0x53537263,)
        assert {"final", "device"} <= {column[1] for column in file.execute("PRAGMA table_info(trials)")}


def test_a_migration_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes((SAMPLES / "ledger_schema_1_first.db").read_bytes())
    monkeypatch.setattr(migrations, "APPLICATION_ID", "no number")  # the last statement but one
    with pytest.raises(LedgerError):
        Ledger.create_or_open(path)
    monkeypatch.undo()
    with Ledger.open_readonly(path) as ledger:
        assert ledger.get_meta("schema") == "1"
        assert len(ledger.records()) == 4
        assert "final" not in [column[1] for column in ledger._connection.execute("PRAGMA table_info(trials)")]


def test_a_newer_ledger_is_left_untouched_and_exits_2(path: Path) -> None:
    with Ledger.create_or_open(path) as ledger:
        ledger._connection.execute("ALTER TABLE trials ADD COLUMN tomorrow TEXT")
        with pytest.MonkeyPatch.context() as tomorrow:
            tomorrow.setattr(migrations, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
            migrations.stamp(ledger._connection)
    content, names = path.read_bytes(), sorted(path.parent.iterdir())
    for call in (Ledger.create_or_open, Ledger.open_readonly):
        with pytest.raises(NewerSchemaError, match="update scalesearch") as caught:
            call(path)
        assert caught.value.exit_code == 2
        assert "\n" not in str(caught.value)
    assert (path.read_bytes(), sorted(path.parent.iterdir())) == (content, names)


@pytest.mark.parametrize("schema", ["", "0", "-1", "x", "1e3", "²", "9" * 5000])
def test_a_schema_that_is_no_number_is_refused(path: Path, schema: str) -> None:
    with Ledger.create_or_open(path) as ledger:
        ledger.set_meta("schema", schema)
    with pytest.raises(LedgerError, match="schema"):
        Ledger.open_readonly(path)
