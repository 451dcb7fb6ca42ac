"""Rows 15 to 19, 21, 36 and 37: the run's folder, ledger, lock, settings and clock, and a machine without Ray."""

import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from drivers import Place
from fault_records import Tally, many
from witness import audit, note_stored_rows, starts, stored_rows

SLOW = pytest.mark.slow
RAY = pytest.param("ray", marks=SLOW)
TUNE = pytest.param("tune", marks=SLOW)

HOLDS_A_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def half_done(place: Place) -> None:
    """Kill a driver between two commits."""
    driver = place.start()
    driver.read_until("done", random.randint(3, place.trials // 2))
    driver.kill()
    driver.sweep()
    assert place.see() >= 3


@pytest.mark.fault(15)
def test_a_damaged_ledger(tally: Tally, tmp_path: Path) -> None:
    """Refused, or the damage is where nothing is stored; with a copy put back the run goes on."""
    place, refused = Place(tmp_path, "serial", trials=30), 0
    half_done(place)
    log = place.ledger.with_name("ledger.db-wal")
    if log.exists():  # so that there is one file to damage
        with sqlite3.connect(place.ledger) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
    whole = place.ledger.read_bytes()
    for number in range(many(3, 20)):
        damaged = bytearray(whole)
        if number % 3 == 0:
            damaged = damaged[: random.randrange(len(whole))]
        else:
            for _ in range(1 if number % 3 == 1 else 50):
                damaged[random.randrange(len(whole))] ^= 1 << random.randrange(8)
        place.ledger.write_bytes(damaged)
        driver = place.start(seeds=[0, 1])
        if driver.ends_within(60) and driver.code == 1:
            refused += 1
            _, err = driver.wait(1)
            assert "put back a copy" in err, err
            assert err.count("\n") == 1
            assert place.ledger.read_bytes() == bytes(damaged), "a refused ledger is left as it is"
        else:
            driver.wait(0)
            place.count(tally, tries=0)
        place.ledger.write_bytes(whole)
        place.count(tally)
    assert refused
    place.start().wait(0)
    place.count(tally, tries=0)


@pytest.mark.fault(16)
@pytest.mark.parametrize("engine", ["serial", RAY])
def test_a_locked_ledger(engine: str, tally: Tally, tmp_path: Path) -> None:
    for number in range(many(1, 5)):
        place = Place(tmp_path / str(number), engine)
        driver = place.start(seconds=0.1)
        driver.read_until("done", random.randint(1, 5))
        command = [sys.executable, "-c", HOLDS_A_LOCK, str(place.ledger)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            place.see()
            _, err = driver.wait(1)
            assert f"process {holder.pid} " in err, err
            assert err.count("\n") == 1
            holder.communicate(b"")
        driver.sweep()
        assert place.see() < place.trials
        place.finish()
        place.count(tally)


@pytest.mark.fault(17)
@pytest.mark.parametrize("engine", ["serial", RAY])
def test_two_drivers_in_one_folder(engine: str, tally: Tally, tmp_path: Path) -> None:
    for number in range(many(1, 5)):
        place = Place(tmp_path / str(number), engine)
        first = place.start(seconds=0.1)
        first.read_until("opened")
        second = place.start()
        out, err = second.wait(2)
        assert out == ""
        assert f"is driven by process {first.pid} on " in err
        assert err.count("\n") == 1
        first.wait(0)
        assert len(starts(place.folder)) == place.trials, "the second driver ran nothing"
        place.count(tally)


@pytest.mark.fault(18)
def test_the_lock_of_a_dead_driver(tally: Tally, tmp_path: Path) -> None:
    for number in range(many(1, 5)):
        place = Place(tmp_path / str(number), "serial")
        driver = place.start()
        driver.read_until("done", random.randint(1, 9))
        driver.kill()
        assert (place.run / "driver.json").exists()
        place.see()
        out, _ = place.start().wait(0)
        assert f"took over the lock of process {driver.pid} on " in out
        assert "took over" not in place.start().wait(0)[0], "a clean end leaves nothing to take over"
        place.count(tally)


@pytest.mark.fault(19)
def test_resume_with_changed_settings(tally: Tally, tmp_path: Path) -> None:
    place = Place(tmp_path, "serial", trials=30)
    half_done(place)
    for number in range(many(1, 5)):
        before = stored_rows(place.ledger), len(starts(place.folder))
        _, err = place.start(settings={"trials": f"y{number}"}).wait(2)
        assert f'trials: "x" -> "y{number}"' in err
        assert err.count("\n") == 1
        assert (stored_rows(place.ledger), len(starts(place.folder))) == before
        place.count(tally)
    place.start().wait(0)
    place.count(tally, tries=0)


@pytest.mark.fault(20)
def test_a_resumed_run_equals_an_uninterrupted_serial_one(tally: Tally, tmp_path: Path) -> None:
    whole = Place(tmp_path / "whole", "serial", trials=30)
    whole.start().wait(0)
    for number in range(many(1, 5)):
        place = Place(tmp_path / str(number), "serial", trials=30)
        half_done(place)
        place.start().wait(0)
        place.count(tally)
        assert results(place) == results(whole), "in the same order too"


def results(place: Place) -> list[tuple[object, ...]]:
    with sqlite3.connect(place.ledger) as connection:
        rows = connection.execute("SELECT key, seed, accuracy, loss, status FROM trials ORDER BY rowid").fetchall()
    connection.close()
    return rows


@pytest.mark.fault(21)
@pytest.mark.parametrize("engine", ["serial", RAY, TUNE])
def test_a_clock_that_jumps(engine: str, tally: Tally, tmp_path: Path) -> None:
    """The driver's wall clock jumps by up to ten years at every commit; no trial counts as hung, none is repeated."""
    limit = {} if engine == "serial" else {"trial_timeout": 60.0}
    for number in range(many(1, 5)):
        place = Place(tmp_path / str(number), engine, options={"clock_jumps": 3e8, "engine_settings": limit})
        driver = place.start()
        driver.read_until("done", random.randint(3, 12))
        driver.kill()
        driver.sweep()
        place.see()
        place.finish()
        place.count(tally)
        with sqlite3.connect(place.ledger) as connection:
            failed = connection.execute("SELECT count(*) FROM trials WHERE status <> 'done' OR seconds > 60").fetchone()
        connection.close()
        assert failed == (0,)


@pytest.mark.fault(36, engine="serial")
def test_without_ray(tally: Tally, tmp_path: Path) -> None:
    for number in range(many(1, 5)):
        place = Place(tmp_path / str(number), "serial", options={"without_ray": True})
        half_done(place)
        place.start().wait(0)
        place.count(tally)
    for engine in ("ray", "tune"):
        elsewhere = Place(tmp_path / engine, engine, options={"without_ray": True})
        _, err = elsewhere.start().wait(2)
        assert f"engine={engine} needs the package ray; pip install" in err
        assert err.count("\n") == 1


@pytest.mark.fault(37)
@pytest.mark.parametrize("engine", ["serial", RAY])
def test_proposals_that_repeat_themselves(engine: str, tally: Tally, tmp_path: Path) -> None:
    """As 22 of 30 proposals in a space of eight points do; also after a kill."""
    for number in range(many(1, 5)):
        proposals = [random.randrange(8) for _ in range(30)]
        place = Place(tmp_path / str(number), engine, options={"seeds": proposals})
        driver = place.start()
        driver.read_until("done", 2)
        driver.kill()
        driver.sweep()
        note_stored_rows(place.folder, place.ledger)
        place.finish()
        assert len(stored_rows(place.ledger)) == len(set(proposals))
        place.count(tally)
        before = len(starts(place.folder))
        assert f"ran 0 reused {len(set(proposals))}" in place.start(engine="serial").wait(0)[0]
        assert len(starts(place.folder)) == before
    assert audit(place.folder, place.ledger).committed == len(set(proposals))
