"""Rows 1 to 3: the driver is killed, at random moments and at the worst ones."""

import itertools
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from drivers import Driver, Place, descendants
from fault_records import Tally, many
from witness import stored_rows

from scalesearch.engine.ray_session import RaySession
from scalesearch.engine.settings import EngineSettings

REPOSITORY = Path(__file__).parents[2]
SLOW = pytest.mark.slow
ENGINES = ["serial", pytest.param("ray", marks=SLOW), pytest.param("tune", marks=SLOW)]


@pytest.fixture(scope="module")
def durations() -> dict[str, float]:
    """Seconds of a run on the cluster, by engine."""
    return {}


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a Ray of one core that outlives its drivers."""
    session = RaySession(EngineSettings(slots=2, cpus_per_trial=0.5), lambda allotment: None)
    session.start()
    session.wait()
    import ray

    yield str(ray.get_runtime_context().gcs_address)
    session.close()


def kill_at_random(place: Place, kills: int, duration: float, tally: Tally) -> None:
    """Kill drivers of run after run at moments spread evenly over the `duration` of one, start-up included."""
    choose, killed, folder, drivers = random.Random(), 0, place.folder, list[Driver]()
    for life in itertools.count():
        driver = place.start()
        if driver.ends_within(choose.uniform(0, duration)):
            driver.wait(0)
            place.count(tally, tries=0)
            place = replace(place, folder=folder / str(life))
            continue
        driver.kill()
        killed += 1
        if choose.random() < 0.5:  # the other half resumes while workers of the dead driver may still run
            tally.measure("orphans_s", driver.wait_for_orphans())
        driver.sweep(agents_only=True)
        drivers.append(driver)
        place.see()
        place.count(tally)
        if killed == kills:
            break
    place.finish()
    place.count(tally, tries=0)
    assert len(stored_rows(place.ledger)) == place.trials
    for driver in drivers:
        driver.sweep()
    tally.measure("run_s", duration)


def length_of_a_run(place: Place) -> float:
    """Seconds that one driver takes, start-up and end included."""
    began = time.monotonic()
    place.start().wait(0)
    return time.monotonic() - began


@pytest.mark.fault(1)
@pytest.mark.parametrize("engine", ENGINES)
def test_kill_9_at_random_moments(engine: str, tally: Tally, tmp_path: Path) -> None:
    """The driver and the Ray that it owns."""
    serial = engine == "serial"
    place = Place(tmp_path / "0", engine, many(40, 80), {"seconds": 0.01 if serial else 0.05})
    duration = length_of_a_run(replace(place, folder=tmp_path / "whole"))
    kill_at_random(place, many(3, 50 if serial else 10), duration, tally)


@pytest.mark.slow
@pytest.mark.fault(1)
@pytest.mark.parametrize("part", range(many(1, 8)))
@pytest.mark.parametrize("engine", ["ray", "tune"])
def test_kill_9_at_random_moments_on_a_cluster(
    engine: str, part: int, cluster: str, durations: dict[str, float], tally: Tally, tmp_path: Path
) -> None:
    """The driver alone; the cluster that it uses goes on."""
    options = {"seconds": 0.05, "engine_settings": {"address": cluster}}
    place = Place(tmp_path / "0", engine, many(40, 80), options)
    if engine not in durations:
        durations[engine] = length_of_a_run(replace(place, folder=tmp_path / "whole"))
    kill_at_random(place, many(2, 5), durations[engine], tally)


@pytest.mark.fault(2)
@pytest.mark.parametrize("moment", ["die_before_commit", "die_after_commit"])
@pytest.mark.parametrize("engine", ENGINES)
def test_kill_9_around_a_commit(engine: str, moment: str, tally: Tally, tmp_path: Path) -> None:
    for number in range(many(1, 3)):
        place = Place(tmp_path / str(number), engine, 20)
        at = random.Random().randint(1, 18 if engine == "serial" else 8)
        driver = place.start(**{moment: at})
        driver.read_until("opened")
        while not driver.ends_within(0.05):
            driver.family |= descendants(driver.pid)
        tally.measure("orphans_s", driver.wait_for_orphans())
        driver.wait(-signal.SIGKILL)
        driver.sweep()
        stored = place.see()
        # what arrives together is committed together
        assert stored >= (at if moment == "die_after_commit" else at - 1)
        place.finish()
        place.count(tally)
        assert len(stored_rows(place.ledger)) == 20


DIES_AT_A_LINE = """
import os, signal, sys
from scalesearch.store import atomic, ledger, ledger_file
left = int(sys.argv[2])
def count(frame, event, value):
    global left
    if frame.f_code.co_filename in (ledger.__file__, ledger_file.__file__, atomic.__file__):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return count
sys.settrace(count)
ledger.Ledger.create_or_open(sys.argv[1]).close()
sys.settrace(None)
print(int(sys.argv[2]) - left)
"""


@pytest.mark.fault(3)
def test_kill_9_while_the_ledger_is_created(tally: Tally, tmp_path: Path) -> None:
    def create(folder: Path, line: int) -> "subprocess.CompletedProcess[str]":
        folder.mkdir()
        command = [sys.executable, "-c", DIES_AT_A_LINE, str(folder / "ledger.db"), str(line)]
        return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    lines = int(create(tmp_path / "whole", 10**6).stdout)
    assert lines > 50
    for number in range(many(2, 20)):
        place = Place(tmp_path / str(number), "serial", 3)
        place.run.parent.mkdir(parents=True)
        died = create(place.run, random.Random().randint(1, lines))
        assert died.returncode == -signal.SIGKILL
        place.see()
        place.start().wait(0)
        place.count(tally)
        assert len(stored_rows(place.ledger)) == 3
        assert not list(place.run.glob(".*.new*"))
