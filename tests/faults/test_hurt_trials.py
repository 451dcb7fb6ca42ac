"""Rows 4 to 9, 38 and 40: trials and their workers come to harm, the driver does not."""

import functools
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import fault_trials
import pytest
import witness
from drivers import Place
from fault_records import Tally, is_recording, many

from scalesearch.engine.create import create_engine
from scalesearch.engine.execute import execute
from scalesearch.engine.ray_session import RaySession
from scalesearch.engine.settings import EngineSettings
from scalesearch.store.ledger import Ledger
from scalesearch.store.rows import digest_of, row_of
from scalesearch.trial import TrialRecord

SLOW = pytest.mark.slow
RAY = pytest.param("ray", marks=SLOW)
TUNE = pytest.param("tune", marks=SLOW)
PARALLEL: dict[str, Any] = {"slots": 2, "cpus_per_trial": 0.5}


@pytest.fixture
def own_ray() -> Iterator[None]:
    """One Ray for the runs of a test."""
    session = RaySession(EngineSettings(**PARALLEL), lambda allotment: None)
    session.start()
    session.wait()
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(fault_trials)
    cloudpickle.register_pickle_by_value(witness)
    yield
    session.close()


@pytest.fixture
def ray_if_needed(request: pytest.FixtureRequest, engine: str) -> None:
    if engine != "serial":
        request.getfixturevalue("own_ray")


def run(
    place: Place, trial: str, harmed: int, seconds: float = 0.01, then: Callable[[], object] = int, **settings: object
) -> list[TrialRecord]:
    """One session of a run; its records in the order of their seeds. `then` is called after each commit."""
    place.run.mkdir(parents=True, exist_ok=True)

    def committed(record: TrialRecord) -> None:
        if record.status == "done" or record.final:
            witness.note(place.folder, "commit", record.key, digest_of(row_of(record)))
        then()

    trial_fn = functools.partial(getattr(fault_trials, trial), str(place.folder), seconds, harmed)
    of_engine = {} if place.engine == "serial" else PARALLEL
    chosen = EngineSettings(name=place.engine, **(of_engine | settings))
    requests = [fault_trials.request(seed) for seed in range(place.trials)]
    with Ledger.create_or_open(place.ledger) as ledger, create_engine(chosen, trial_fn=trial_fn) as engine:
        return list(execute(requests, engine, ledger, on_record=committed).records)


def look(clocks: list[tuple[float, float]]) -> None:
    clocks.append((time.process_time(), time.monotonic()))


def calls(place: Place) -> list[int]:
    """How often each trial began, by seed."""
    found = Counter(key for key, _ in witness.starts(place.folder))
    return [found[fault_trials.request(seed).key] for seed in range(place.trials)]


@pytest.mark.fault(4)
@pytest.mark.usefixtures("ray_if_needed")
@pytest.mark.parametrize("engine", [RAY, TUNE])
def test_kill_9_of_workers_at_random_moments(engine: str, tally: Tally, tmp_path: Path) -> None:
    kills = many(2, 10)
    place, killed, over = Place(tmp_path, engine, trials=60), set[int](), threading.Event()

    def kill_some() -> None:
        while len(killed) < kills and not over.wait(random.uniform(0.2, 0.6)):
            workers = {pid for _, pid in witness.starts(place.folder)[-2:]} - killed - {os.getpid()}
            for pid in list(workers)[:1]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)

    killer = threading.Thread(target=kill_some)
    killer.start()
    records = run(place, "steady", 0, seconds=0.3, max_attempts=20)
    over.set()
    killer.join()
    assert len(killed) >= min(kills, 3)
    assert [record.status for record in records] == ["done"] * place.trials
    place.count(tally, tries=len(killed))
    tally.measure("most_attempts", max(record.attempt for record in records))


@pytest.mark.fault(5)
@pytest.mark.usefixtures("ray_if_needed")
@pytest.mark.parametrize("engine", ["serial", RAY, TUNE])
def test_trials_that_always_crash(engine: str, tally: Tally, tmp_path: Path) -> None:
    harmed, place = many(2, 6), Place(tmp_path, engine, trials=20)
    trial = "raises" if engine == "serial" else "crashes"
    records = run(place, trial, harmed, max_attempts=2)
    assert [record.status for record in records] == ["failed"] * harmed + ["done"] * (20 - harmed)
    assert {record.attempt for record in records[:harmed]} == {2}
    assert all(record.error and record.accuracy is None for record in records[:harmed])
    assert calls(place)[:harmed] == [2] * harmed
    place.count(tally, tries=harmed)
    place.engine = "serial"
    healed = run(place, "steady", 0)  # the next session tries what the machine may have broken, and nothing else
    assert [record.status for record in healed] == ["done"] * 20
    place.count(tally, tries=0)


@pytest.mark.fault(7)
@pytest.mark.usefixtures("ray_if_needed")
@pytest.mark.parametrize("engine", [pytest.param("serial", marks=SLOW), RAY, TUNE])
def test_no_gpu_memory(engine: str, tally: Tally, tmp_path: Path) -> None:
    """The error that torch raises, raised without a GPU."""
    harmed, place = many(2, 6), Place(tmp_path, engine, trials=14)
    records = run(place, "out_of_gpu_memory", harmed)
    assert [record.status for record in records] == ["done", "failed"] * (harmed // 2) + ["done"] * (14 - harmed)
    assert all("CUDA out of memory" in str(record.error) and not record.final for record in records[1:harmed:2])
    assert calls(place) == [2] * harmed + [1] * (14 - harmed)
    place.count(tally, tries=harmed)


@pytest.mark.fault(8)
@pytest.mark.usefixtures("ray_if_needed")
@pytest.mark.parametrize("engine", [RAY, TUNE])
def test_hung_trials(engine: str, tally: Tally, tmp_path: Path) -> None:
    place = Place(tmp_path, engine, trials=14)
    harmed = many(2, 6)
    records = run(place, "hangs", harmed, trial_timeout=3.0)
    assert [record.status for record in records[:harmed]] == ["done", "failed"] * (harmed // 2)
    assert [record.status for record in records[harmed:]] == ["done"] * (14 - harmed)
    assert all("hung" in str(record.error) for record in records[1:harmed:2])
    place.count(tally, tries=harmed)


@pytest.mark.fault(9)
@pytest.mark.usefixtures("ray_if_needed")
@pytest.mark.parametrize("engine", ["serial", RAY, TUNE])
def test_losses_that_are_no_numbers(engine: str, tally: Tally, tmp_path: Path) -> None:
    place = Place(tmp_path, engine, trials=14)
    records = run(place, "diverges", 6)
    assert [record.status for record in records] == ["failed"] * 6 + ["done"] * 8
    errors = [f"diverged at step 2: the loss became {what}" for what in ("inf", "nan")] * 3
    assert [record.error for record in records[:6]] == errors
    assert calls(place) == [1] * 14, "it would diverge again"
    place.engine = "serial"
    again = run(place, "diverges", 6)
    assert again == records
    assert calls(place) == [1] * 14
    place.count(tally, tries=6)


@pytest.mark.fault(38)
@pytest.mark.usefixtures("ray_if_needed")
@pytest.mark.parametrize("engine", [RAY, TUNE])
def test_late_answers_of_a_first_attempt(engine: str, tally: Tally, tmp_path: Path) -> None:
    place, harmed = Place(tmp_path, engine, trials=12), many(2, 6)
    records = run(place, "late", harmed, trial_timeout=2.5)
    assert [record.attempt for record in records[:harmed]] == [2] * harmed
    assert {record.status for record in records} == {"done"}
    time.sleep(1)  # by now every late answer would be there
    place.count(tally, tries=harmed)


@pytest.mark.fault(38, engine="any")
def test_a_late_commit_changes_nothing(tally: Tally, tmp_path: Path) -> None:
    place = Place(tmp_path, "serial", trials=6)
    records = run(place, "steady", 0)
    with Ledger.create_or_open(place.ledger) as ledger:
        for record in random.sample(records, 5):
            assert not ledger.commit(fault_trials.row(fault_trials.request(record.seed)))
            place.count(tally)


@pytest.mark.fault(40)
@pytest.mark.usefixtures("ray_if_needed")
@pytest.mark.parametrize("engine", ["serial", RAY, TUNE])
def test_a_thousand_trials_of_a_millisecond(engine: str, tally: Tally, tmp_path: Path) -> None:
    trials = {"serial": 1000, "ray": 1000, "tune": 200}[engine] if is_recording() else 100
    for number in range(many(1, 5)):
        place = Place(tmp_path / str(number), engine, trials)
        clocks: list[tuple[float, float]] = []
        records = run(place, "steady", 0, 0.001, functools.partial(look, clocks))
        assert {record.status for record in records} == {"done"}
        assert calls(place) == [1] * trials
        place.count(tally)
        cpu, wall = (1000 * (end - start) / (trials - 1) for start, end in zip(clocks[0], clocks[-1], strict=True))
        tally.measure("driver_cpu_ms", cpu)  # with engine=serial the trial's own
        tally.measure("wall_ms", wall)
