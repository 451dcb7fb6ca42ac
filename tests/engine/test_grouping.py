"""Seeds that share a slot: which are taken, their records, and what becomes of a group that fails."""

import functools
import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import trial_stubs as stubs

from scalesearch.data.prepare import prepare
from scalesearch.data.settings import DataSettings
from scalesearch.engine import prefetching
from scalesearch.engine.base import Engine
from scalesearch.engine.create import create_engine
from scalesearch.engine.execute import Execution, execute
from scalesearch.engine.grouping import take_group
from scalesearch.engine.interrupts import Interrupts
from scalesearch.engine.prefetching import Prefetching
from scalesearch.engine.ray_session import RaySession
from scalesearch.engine.serial_engine import SerialEngine
from scalesearch.engine.settings import EngineSettings
from scalesearch.errors import ConfigError, InterruptedRun
from scalesearch.store.ledger import Ledger
from scalesearch.train.recipe import Recipe
from scalesearch.trial import TIMING_FIELDS, TrialRecord, TrialRequest

SETTINGS: dict[str, dict[str, object]] = {
    "serial": {"name": "serial"},
    "ray": {"name": "ray", "slots": 2, "cpus_per_trial": 0.5},
}
ENGINES = pytest.mark.parametrize("name", ["serial", "ray"])
OTHER = replace(stubs.SPEC, head_width=8)


@pytest.fixture(scope="module", autouse=True)
def shared_ray() -> Iterator[None]:
    session = RaySession(EngineSettings(**SETTINGS["ray"]), lambda allotment: None)
    session.start()
    session.wait()
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(stubs)
    yield
    session.close()


def engine_of(name: str, group_seeds: int | None, *functions: object, **settings: object) -> Engine:
    chosen = EngineSettings(**SETTINGS[name] | {"group_seeds": group_seeds} | settings)
    return create_engine(chosen, **dict(zip(("trial_fn", "group_fn"), functions, strict=False)))


def run(tmp_path: Path, engine: Engine, requests: Sequence[TrialRequest], **more: object) -> Execution:
    with engine, Ledger.create_or_open(tmp_path / "ledger.db") as ledger:
        got = execute(requests, engine, ledger, **more)
        assert {record.key for record in ledger.records()} == {request.key for request in requests}
    return got


def lasting(records: Sequence[TrialRecord]) -> list[dict[str, object]]:
    rows = [asdict(record) for record in records]
    return [{name: value for name, value in row.items() if name not in TIMING_FIELDS} for row in rows]


def groups(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("group-*")}


def test_a_group_differs_in_its_seeds_alone_and_the_rest_keeps_its_order() -> None:
    waiting = deque(stubs.request(seed) for seed in (0, 1, 0, 2, 3))
    waiting.insert(1, stubs.request(5, epochs=2))
    waiting.insert(1, replace(stubs.request(6), spec=OTHER))
    assert [request.seed for request in take_group(waiting, 3)] == [0, 1, 2]
    assert [request.seed for request in waiting] == [6, 5, 0, 3]
    assert [request.seed for request in take_group(waiting, 3)] == [6]


@ENGINES
def test_rows_are_those_of_single_trials(name: str, tmp_path: Path) -> None:
    requests = [replace(stubs.request(seed), spec=spec) for seed in range(5) for spec in (stubs.SPEC, OTHER)]
    engine = engine_of(name, 3, stubs.steady, functools.partial(stubs.together, str(tmp_path)))
    assert engine.room == (3 if name == "serial" else 2 * 2 * 3)
    dearest = [stubs.SPEC, OTHER].index  # the second network first, its seeds behind each other
    got = run(tmp_path, engine, requests, cost=lambda request: dearest(request.spec))
    alone = [stubs.steady(request) for request in requests]
    assert lasting(got.records) == lasting(alone)
    assert all(record.seconds is not None and record.attempt == 1 and record.worker for record in got.records)
    assert groups(tmp_path) == {"group-0-1-2", "group-3-4"}


def test_no_groups_unless_asked_for(tmp_path: Path) -> None:
    engine = engine_of("serial", None, stubs.steady, functools.partial(stubs.together, str(tmp_path)))
    assert engine.room == 1
    run(tmp_path, engine, [stubs.request(seed) for seed in range(3)])
    assert groups(tmp_path) == set()
    assert SerialEngine(EngineSettings("serial", group_seeds=4), trial_fn=stubs.steady).group == 1, "it has no group_fn"


@ENGINES
def test_members_of_a_group_that_fails_run_one_by_one(name: str, tmp_path: Path) -> None:
    failing = functools.partial(stubs.troubled_together, str(tmp_path))
    seeds = range(6) if name == "ray" else range(3)  # in this process nothing may kill it
    got = run(tmp_path, engine_of(name, 3, stubs.steady, failing), [stubs.request(seed) for seed in seeds])
    assert lasting(got.records) == lasting([stubs.steady(stubs.request(seed)) for seed in seeds])
    assert [record.attempt for record in got.records] == [1] * len(seeds), "a group's failure is charged to nobody"
    said = [str(record.execution) for record in got.records]
    memory = "not grouped: the group failed (OutOfMemoryError: CUDA out of memory)"
    assert said[:3] == [memory] * 3
    assert all("not grouped: the group failed" in text and text != memory for text in said[3:])


def test_a_member_that_fails_alone_is_a_failure(tmp_path: Path) -> None:
    failing, troubled = (
        functools.partial(function, str(tmp_path)) for function in (stubs.troubled_together, stubs.troubled)
    )
    got = run(tmp_path, engine_of("serial", 3, troubled, failing), [stubs.request(seed) for seed in range(3)])
    assert [(record.status, record.attempt, record.final) for record in got.records] == [
        ("done", 1, True),
        ("failed", 2, False),
        ("failed", 1, True),
    ]
    assert all("not grouped" in str(record.execution) for record in got.records)


def test_a_group_has_the_time_of_all_its_trials(tmp_path: Path) -> None:
    slow = functools.partial(stubs.slow_together, 3.0, str(tmp_path))
    engine = engine_of("ray", 3, stubs.steady, slow, trial_timeout=2.0)
    got = run(tmp_path, engine, [stubs.request(seed) for seed in range(3)])
    assert [record.execution for record in got.records] == [None] * 3, "it was not ended"


@ENGINES
def test_members_are_committed_when_a_run_is_interrupted(name: str, tmp_path: Path) -> None:
    def engine() -> Engine:
        together = functools.partial(stubs.together, str(tmp_path))
        return engine_of(name, 3, functools.partial(stubs.logged, str(tmp_path)), together)

    requests = [stubs.request(seed) for seed in range(60)]
    told: list[int] = []

    def on_record(record: TrialRecord) -> None:
        told.append(record.seed)
        if len(told) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with Ledger.create_or_open(tmp_path / "ledger.db") as ledger, Interrupts() as stop:
        with pytest.raises(InterruptedRun):
            execute(requests, engine(), ledger, on_record=on_record, stop=stop)
        kept = {record.seed for record in ledger.records()}
        assert kept >= set(told)
        if name == "serial":
            assert kept == {0, 1, 2}, "the whole group is committed before anything of it is told"
    got = run(tmp_path, engine(), requests)
    assert (got.reused, got.ran) == (len(kept), 60 - len(kept))


class Grouping(Engine):
    """Slots that end a group at once, but for one with seed 99, which never ends."""

    def __init__(self, slots: int = 1) -> None:
        self.there = slots
        self.given: list[list[int]] = []
        self.arrived: deque[TrialRecord] = deque()

    def start(self) -> None: ...

    def wait_ready(self) -> None: ...

    def close(self) -> None: ...

    @property
    def slots(self) -> int:
        return self.there

    @property
    def group(self) -> int:
        return 2

    def submit(self, request: TrialRequest) -> None:
        self.submit_group([request])

    def submit_group(self, requests: Sequence[TrialRequest]) -> None:
        assert not self.arrived, "the slot still owes records"
        self.given.append([request.seed for request in requests])
        if requests[0].seed == 99:
            return
        self.arrived.extend(stubs.steady(request) for request in requests)

    def next_done(self, timeout: float | None = None) -> TrialRecord | None:
        return self.arrived.popleft() if self.arrived else None


def test_a_free_slot_waits_for_the_rest_of_a_group_that_is_being_submitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetching, "_GATHER", 60.0)
    inner = Grouping(slots=2)
    with Prefetching(inner) as engine:
        for seed in (99, 98):  # one slot is busy
            engine.submit(stubs.request(seed))
        engine.submit(stubs.request(0))
        assert engine.next_done(timeout=0.5) is None
        engine.submit(stubs.request(1))
        assert engine.next_done(timeout=60) is not None
    assert inner.given == [[99, 98], [0, 1]]


def test_a_slot_is_free_when_all_its_group_is_done(tmp_path: Path) -> None:
    engine = Grouping()
    run(tmp_path, Prefetching(engine), [stubs.request(seed) for seed in range(6)])
    assert engine.given == [[0, 1], [2, 3], [4, 5]]


@ENGINES
def test_a_real_network_gives_what_its_seeds_give_alone(name: str, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    data = prepare(DataSettings("synthetic", size=400, classes=4, side=16, val_fraction=0.3, cache_dir=cache), side=16)
    spec = replace(stubs.SPEC, resolution=12, stem_stride=1, head_width=16, num_classes=4)
    recipe = Recipe(batch_size=32, train_images=160, val_images=100)
    requests = [TrialRequest(spec, recipe, data, seed) for seed in (0, 1)]
    got = run(tmp_path, engine_of(name, 2), requests)
    (tmp_path / "alone").mkdir()
    alone = run(tmp_path / "alone", engine_of("serial", 1), requests)
    for record, single in zip(got.records, alone.records, strict=True):
        assert (record.key, record.status, record.steps) == (single.key, "done", single.steps)
        assert record.train_loss == pytest.approx(single.train_loss, rel=1e-3)
        assert record.accuracy == pytest.approx(single.accuracy, abs=0.05)
        assert str(record.execution).startswith("grouped 2, ")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"group_seeds": 0}, "whole number from 1 to 8"),
        ({"group_seeds": 9}, "whole number from 1 to 8"),
        ({"group_seeds": True}, "whole number from 1 to 8"),
        ({"group_seeds": 1.5}, "whole number from 1 to 8"),
        ({"name": "tune", "group_seeds": 2}, "engine=tune runs every seed as a trial of its own"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        EngineSettings(**settings)
    assert "\n" not in str(refused.value)
    EngineSettings("tune", group_seeds=1)


@pytest.mark.parametrize("name", ["ray", "tune"])
def test_asking_for_slots_that_are_known_starts_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def started(session: RaySession) -> None:
        raise AssertionError("Ray starts")

    monkeypatch.setattr(RaySession, "start", started)
    settings = EngineSettings(**SETTINGS["ray"] | {"name": name})
    assert create_engine(settings, trial_fn=stubs.steady).slots == 2
    assert create_engine(replace(settings, address="10.0.0.1:6379")).slots == 2
    with pytest.raises(AssertionError, match="Ray starts"):
        _ = create_engine(replace(settings, slots=None, address="10.0.0.1:6379")).slots
