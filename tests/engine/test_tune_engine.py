"""engine=tune on one small Ray that all tests of this module share."""

import functools
import importlib.util
import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import test_signals as signals
import trial_stubs as stubs

from scalesearch.engine.base import TrialFn
from scalesearch.engine.create import create_engine
from scalesearch.engine.execute import Execution, execute
from scalesearch.engine.ray_session import RaySession
from scalesearch.engine.serial_engine import SerialEngine
from scalesearch.engine.settings import EngineSettings
from scalesearch.engine.tune_engine import TuneEngine
from scalesearch.errors import ConfigError, DataError, EngineError, MissingPackageError, ResourceError
from scalesearch.store.ledger import Ledger
from scalesearch.trial import TIMING_FIELDS, TrialRecord, TrialRequest

# half a core each, so that two slots fit on a machine with one
SETTINGS: dict[str, Any] = {"name": "tune", "slots": 2, "cpus_per_trial": 0.5}


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
    engine = TuneEngine(EngineSettings(**SETTINGS | settings), trial_fn=trial_fn)
    with engine, Ledger.create_or_open(tmp_path / "ledger.db") as ledger:
        got = execute([stubs.request(seed) for seed in seeds], engine, ledger)
        assert sorted(record.seed for record in ledger.records()) == list(seeds)
    return got


def lasting(record: TrialRecord) -> dict[str, object]:
    return {name: value for name, value in asdict(record).items() if name not in TIMING_FIELDS}


def calls(folder: Path, seeds: range) -> dict[int, int]:
    """How often each trial ran, by the files it left."""
    return {seed: len(list(folder.glob(f"{seed}-*"))) for seed in seeds}


def test_rows_are_those_of_the_serial_engine_and_tune_keeps_its_logs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    got = run(tmp_path, functools.partial(stubs.slow, 0.02, str(tmp_path)), range(30), storage="logs")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    with Ledger.create_or_open(tmp_path / "serial.db") as ledger:
        requests = [stubs.request(seed) for seed in range(30)]
        serial = execute(requests, SerialEngine(trial_fn=stubs.steady), ledger)
    assert [lasting(record) for record in got.records] == [lasting(record) for record in serial.records]
    assert all(count == 1 for count in calls(tmp_path, range(30)).values())
    assert len({record.worker for record in got.records}) == 2, "both workers took trials and stayed"
    assert capfd.readouterr() == ("", "")
    logged = [json.loads(path.read_text()) for path in (tmp_path / "logs").glob(f"tune-*/{'?' * 32}-*/result.json")]
    assert {row["record"]["seed"]: row["record"]["accuracy"] for row in logged} == {
        record.seed: record.accuracy for record in got.records
    }


def test_a_killed_worker_is_replaced_and_its_trial_repeated(tmp_path: Path) -> None:
    got = run(tmp_path, functools.partial(stubs.killed_once, str(tmp_path)), range(6))
    assert [record.status for record in got.records] == ["done"] * 6
    assert [record.attempt for record in got.records] == [1, 2, 1, 1, 1, 1]


def test_what_always_fails_is_recorded_and_the_rest_goes_on(tmp_path: Path) -> None:
    got = run(tmp_path, functools.partial(stubs.troubled, str(tmp_path)), range(8))
    failed = {record.seed: record for record in got.records if record.status == "failed"}
    assert sorted(failed) == [1, 2, 3, 4]
    assert {seed: record.attempt for seed, record in failed.items()} == {1: 2, 2: 1, 3: 2, 4: 2}
    assert {seed: record.final for seed, record in failed.items()} == {1: False, 2: True, 3: False, 4: False}
    assert failed[1].error == "RuntimeError: out of luck"
    assert failed[2].error == "diverged at step 7"
    assert "the worker died" in str(failed[3].error)
    assert calls(tmp_path, range(5)) == {0: 1, 1: 2, 2: 1, 3: 2, 4: 2}


def test_odd_numbers_are_rows_like_others_and_a_cluster_gets_the_data_set_once(tmp_path: Path) -> None:
    """A NaN and a missing value confuse Tune as metrics; data pass its queue as a reference."""
    (tmp_path / "images.bin").write_bytes(b"12")
    asked = [replace(one, data=replace(one.data, folder=str(tmp_path))) for one in map(stubs.request, (0, 1))]
    with TuneEngine(EngineSettings(**SETTINGS, address="auto"), trial_fn=stubs.odd_numbers) as engine:
        assert engine.next_done(0) is None
        for one in asked:
            engine.submit(one)
        rows = {record.seed: record for record in (engine.next_done(), engine.next_done()) if record}
        assert engine.next_done(0) is None
        assert list(engine._bundles) == [asked[0].data.fingerprint]
    assert (rows[0].status, rows[0].accuracy) == ("done", None)
    assert (rows[1].status, str(rows[1].accuracy)) == ("done", "nan")


def test_what_would_fail_every_trial_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="prepare them again") as caught:
        run(tmp_path, stubs.without_data, range(4))
    assert type(caught.value) is DataError
    with Ledger.create_or_open(tmp_path / "ledger.db") as ledger:
        assert {record.status for record in ledger.records()} <= {"done"}


def test_a_hung_trial_is_ended_and_idle_workers_may_die(tmp_path: Path) -> None:
    settings = EngineSettings(**SETTINGS, trial_timeout=2, max_attempts=1)
    with (
        TuneEngine(settings, trial_fn=stubs.hangs) as engine,
        Ledger.create_or_open(tmp_path / "ledger.db") as ledger,
    ):
        got = execute([stubs.request(seed) for seed in range(4)], engine, ledger)
        assert [record.status for record in got.records] == ["done", "failed", "done", "done"]
        assert got.records[1].error == "hung: no result within 2 s"
        assert not got.records[1].final
        for worker in {str(record.worker) for record in got.records if record.status == "done"}:
            with suppress(ProcessLookupError):
                os.kill(int(worker.rpartition(":")[2]), signal.SIGKILL)
        again = execute([stubs.request(seed) for seed in range(10, 16)], engine, ledger)
        assert [(record.status, record.attempt) for record in again.records] == [("done", 1)] * 6


def test_when_tune_dies_a_new_experiment_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    fn = functools.partial(stubs.endless_once, str(tmp_path))
    with TuneEngine(EngineSettings(**SETTINGS), trial_fn=fn) as engine:
        engine.submit(stubs.request(0))
        engine.submit(stubs.request(1))
        first = engine.next_done()
        assert first is not None
        assert (first.seed, first.attempt) == (0, 1)
        while not list(tmp_path.glob("1-*")):
            assert engine.next_done(0.1) is None
        assert engine._experiment is not None
        dead = engine._experiment
        dead._wire.requests.put("no assignment")  # type: ignore[arg-type]
        engine.submit(stubs.request(2))
        rows = {record.seed: record for record in (engine.next_done(), engine.next_done()) if record}
        assert isinstance(dead.error, AttributeError)
    assert {seed: (row.status, row.attempt) for seed, row in rows.items()} == {1: ("done", 2), 2: ("done", 1)}
    assert calls(tmp_path, range(3)) == {0: 1, 1: 2, 2: 1}


def test_a_tune_that_always_dies_is_an_error_not_a_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scalesearch.engine.tune_hooks import Submitted

    def torn(self: Submitted, trial_id: str) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Submitted, "suggest", torn)
    engine = TuneEngine(EngineSettings(**SETTINGS), trial_fn=stubs.steady)
    with engine, pytest.raises(EngineError, match=r"Ray Tune ended by itself \(.*no space left"):
        engine.wait_ready()
    # the same while trials are under way
    engine = TuneEngine(EngineSettings(**SETTINGS), trial_fn=stubs.steady)
    engine._was_ready = True
    with engine:
        engine.submit(stubs.request(1))
        with pytest.raises(EngineError, match=r"Ray Tune ended by itself \(.*no space left"):
            engine.next_done()


@pytest.mark.slow
def test_workers_that_cannot_start_are_an_error_not_a_hang() -> None:
    engine = TuneEngine(EngineSettings(**SETTINGS), trial_fn=CannotLoad())
    with engine, pytest.raises(EngineError, match="workers cannot start"):
        engine.wait_ready()


class CannotLoad:
    """Fails when it is unpickled in the worker."""

    def __call__(self, asked: TrialRequest) -> TrialRecord:
        raise NotImplementedError

    def __reduce__(self) -> tuple[object, ...]:
        return (int, ("not a number",))


def test_close_ends_trials_in_their_middle_and_only_the_missing_run_later(tmp_path: Path) -> None:
    engine = TuneEngine(EngineSettings(**SETTINGS), trial_fn=functools.partial(stubs.endless, str(tmp_path)))
    engine.submit(stubs.request(1))
    engine.submit(stubs.request(2))
    for _ in range(600):
        if len(pids := {int(path.name.split("-")[1]) for path in tmp_path.glob("pid-*")}) == 2:
            break
        assert engine.next_done(0.1) is None
    assert len(pids) == 2
    folder = engine._folder
    assert folder is not None
    assert folder.stat().st_mode & 0o077 == 0
    engine.close()
    engine.close()
    assert signals.wait_for_end(pids) == []
    assert not folder.exists()

    logged = functools.partial(stubs.logged, str(tmp_path))
    requests = [stubs.request(seed) for seed in range(6)]
    with Ledger.create_or_open(tmp_path / "ledger.db") as ledger:
        execute(requests[:3], SerialEngine(trial_fn=logged), ledger)
        with TuneEngine(EngineSettings(**SETTINGS), trial_fn=logged) as second:
            resumed = execute(requests, second, ledger)
    assert (resumed.ran, resumed.reused) == (3, 3)
    assert calls(tmp_path, range(6)) == dict.fromkeys(range(6), 1)


def test_more_than_there_is_is_refused() -> None:
    engine = TuneEngine(EngineSettings(name="tune", slots=3, cpus_per_trial=0.5, address="auto"))
    with engine, pytest.raises(ResourceError, match=r"3 slots .* the cluster, got '1 cores and 0 GPUs"):
        engine.wait_ready()
    with pytest.raises(ResourceError, match="must fit on this machine"):
        TuneEngine(EngineSettings(name="tune", slots=10_000))


@pytest.mark.parametrize("storage", ["", " ", "/proc/nowhere/logs"])
def test_a_storage_that_cannot_be_is_refused(storage: str) -> None:
    with pytest.raises(ConfigError, match=r"engine\.storage"):
        TuneEngine(EngineSettings(**SETTINGS, storage=storage))


def test_storage_is_for_tune_alone() -> None:
    with pytest.raises(ConfigError, match=r"engine\.storage .* engine=tune only"):
        EngineSettings(name="ray", storage="logs")


def test_without_ray_the_line_names_this_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="engine=tune needs the package ray; pip install"):
        create_engine(EngineSettings(name="tune"))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_signals_leave_no_process_and_lose_nothing_committed(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with signals.driver(tmp_path, "tune", 0.05, 400) as process:
        said = signals.read_until(process, "done", 5)
        family = signals.descendants(process.pid)
        process.send_signal(number)
        said += signals.read_until(process, "end of output")
        assert process.wait(40) == code
    killed = number == signal.SIGKILL
    # after kill -9 Ray's own agents notice a minute later; trials must not go on
    left = signals.wait_for_end(family, but=("ray::DashboardAgent", "ray::RuntimeEnvAgent") if killed else ())
    for pid in family if killed else ():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    folders = list(Path("/tmp").glob(f"ssr-{process.pid}-*"))
    for folder in folders:
        shutil.rmtree(folder)
    assert left == []
    assert killed or not folders
    assert (tmp_path / "stderr").read_text() == "", "no line of Tune's"
    kept = signals.committed(tmp_path)
    assert kept >= set(said)
    before = signals.runs(tmp_path, kept)
    with signals.driver(tmp_path, "serial", 0, max(kept) + 5) as process:
        assert process.wait(60) == 0
    assert signals.runs(tmp_path, kept) == before
    assert signals.committed(tmp_path) == kept | set(range(max(kept) + 5))
