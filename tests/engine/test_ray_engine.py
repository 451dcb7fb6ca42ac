"""engine=ray on one small Ray that all tests of this module share."""

import functools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import trial_stubs as stubs

from scalesearch.data.prepared import PreparedData
from scalesearch.engine.base import TrialFn
from scalesearch.engine.create import create_engine
from scalesearch.engine.data_shipping import pack, unpack
from scalesearch.engine.execute import Execution, execute
from scalesearch.engine.ray_engine import RayEngine
from scalesearch.engine.ray_session import RaySession
from scalesearch.engine.ray_worker import TrialWorker
from scalesearch.engine.serial_engine import SerialEngine
from scalesearch.engine.settings import EngineSettings
from scalesearch.errors import DataError, EngineError, ResourceError
from scalesearch.store.ledger import Ledger
from scalesearch.trial import TIMING_FIELDS, TrialRecord

# half a core each, so that two slots fit on a machine with one
SETTINGS = {"slots": 2, "cpus_per_trial": 0.5}


@pytest.fixture(scope="module", autouse=True)
def shared_ray() -> Iterator[None]:
    session = RaySession(EngineSettings(**SETTINGS), lambda allotment: None)
    session.start()
    session.wait()
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(stubs)
    yield
    session.close()


def run(tmp_path: Path, trial_fn: TrialFn, seeds: range, **settings: object) -> Execution:
    engine = create_engine(EngineSettings(**SETTINGS | settings), trial_fn=trial_fn)
    with engine, Ledger.create_or_open(tmp_path / "ledger.db") as ledger:
        got = execute([stubs.request(seed) for seed in seeds], engine, ledger)
        assert sorted(record.seed for record in ledger.records()) == list(seeds)
    return got


def lasting(record: TrialRecord) -> dict[str, object]:
    return {name: value for name, value in asdict(record).items() if name not in TIMING_FIELDS}


def test_rows_are_those_of_the_serial_engine(tmp_path: Path) -> None:
    parallel = run(tmp_path, stubs.steady, range(40))
    with Ledger.create_or_open(tmp_path / "serial.db") as ledger:
        requests = [stubs.request(seed) for seed in range(40)]
        serial = execute(requests, SerialEngine(trial_fn=stubs.steady), ledger)
    assert [lasting(record) for record in parallel.records] == [lasting(record) for record in serial.records]
    assert len({record.worker for record in parallel.records}) == 2


def test_a_killed_worker_is_replaced_and_its_trial_repeated(tmp_path: Path) -> None:
    got = run(tmp_path, functools.partial(stubs.killed_once, str(tmp_path)), range(6))
    assert [record.status for record in got.records] == ["done"] * 6
    assert [record.attempt for record in got.records] == [1, 2, 1, 1, 1, 1]


def test_what_ran_out_of_memory_is_tried_again_alone(tmp_path: Path) -> None:
    folder = tmp_path / "running"
    folder.mkdir()
    got = run(tmp_path, functools.partial(stubs.greedy, str(folder)), range(6))
    assert [record.status for record in got.records] == ["done"] * 6
    assert [record.attempt for record in got.records] == [1, 2, 1, 1, 1, 1]
    seed_1 = got.records[1]
    assert seed_1.started_at is not None
    assert seed_1.finished_at is not None
    for other in got.records:
        if other.seed != 1:
            assert other.finished_at <= seed_1.started_at or other.started_at >= seed_1.finished_at


def test_what_always_fails_is_recorded_and_the_rest_goes_on(tmp_path: Path) -> None:
    got = run(tmp_path, functools.partial(stubs.troubled, str(tmp_path)), range(8))
    failed = {record.seed: record for record in got.records if record.status == "failed"}
    assert sorted(failed) == [1, 2, 3, 4]
    assert {seed: record.attempt for seed, record in failed.items()} == {1: 2, 2: 1, 3: 2, 4: 2}
    assert {seed: record.final for seed, record in failed.items()} == {1: False, 2: True, 3: False, 4: False}
    assert failed[1].error == "RuntimeError: out of luck"
    assert failed[2].error == "diverged at step 7"
    assert "the worker died" in str(failed[3].error)
    assert {seed: len(list(tmp_path.glob(f"{seed}-*"))) for seed in range(5)} == {0: 1, 1: 2, 2: 1, 3: 2, 4: 2}


def test_what_would_fail_every_trial_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="prepare them again") as caught:
        run(tmp_path, stubs.without_data, range(4))
    assert type(caught.value) is DataError
    with Ledger.create_or_open(tmp_path / "ledger.db") as ledger:
        assert {record.status for record in ledger.records()} <= {"done"}


def test_a_hung_trial_is_ended(tmp_path: Path) -> None:
    got = run(tmp_path, stubs.hangs, range(4), trial_timeout=0.5, max_attempts=1)
    assert [record.status for record in got.records] == ["done", "failed", "done", "done"]
    assert got.records[1].error == "hung: no result within 0.5 s"
    assert not got.records[1].final


def test_a_trial_that_waits_for_its_slot_is_not_hung(tmp_path: Path) -> None:
    got = run(tmp_path, functools.partial(stubs.slow, 0.4, str(tmp_path)), range(8), trial_timeout=0.7, max_attempts=1)
    assert [record.status for record in got.records] == ["done"] * 8


def test_more_than_the_cluster_has_is_refused() -> None:
    engine = RayEngine(EngineSettings(slots=3, cpus_per_trial=0.5, address="auto"))
    with engine, pytest.raises(ResourceError, match=r"3 slots .* the cluster, got '1 cores and 0 GPUs"):
        engine.wait_ready()


def test_workers_that_cannot_start_are_an_error_not_a_hang(tmp_path: Path) -> None:
    engine = RayEngine(EngineSettings(**SETTINGS), trial_fn=CannotLoad())
    with engine, pytest.raises(EngineError, match="workers cannot start"):
        engine.wait_ready()


class CannotLoad:
    """A trial function that breaks where it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return (int, ("not a number",))


def test_a_node_without_the_data_gets_it_once(tmp_path: Path) -> None:
    import ray

    source = tmp_path / "source"
    source.mkdir()
    np.save(source / "train_images.npy", np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3))
    data = PreparedData(str(source), "tiny", "f" * 16, 4, 3, ("a",), 1, 1, 4)
    files = pack(data)
    source.rename(tmp_path / "gone")
    there = unpack(data, files, tmp_path / "node")
    assert Path(there.folder).parent == tmp_path / "node"
    np.testing.assert_array_equal(np.load(Path(there.folder, "train_images.npy")).ravel(), np.arange(48))
    assert unpack(data, {}, tmp_path / "node") == there, "the second worker finds it"
    assert [path.name for path in (tmp_path / "node").iterdir()] == ["f" * 16]
    # the same through a worker: its trial sees a folder that exists
    worker = TrialWorker.__new__(TrialWorker)
    worker._trial_fn = lambda asked: stubs.record(asked, device=asked.data.folder)
    asked = stubs.request(1)
    outcome = worker.run(asked, 1, [ray.put({"x.npy": np.zeros(3, np.uint8)})])
    assert isinstance(outcome, TrialRecord)
    assert outcome.key == asked.key
    folder = Path(str(outcome.device))
    assert [path.name for path in folder.iterdir()] == ["x.npy"]
    (folder / "x.npy").unlink()
    folder.rmdir()
    with suppress(OSError):  # other data sets may lie there
        folder.parent.rmdir()
