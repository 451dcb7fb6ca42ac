"""The loop all engines share, with the serial engine and with a scripted one."""

import functools
import importlib.util
import os
import signal
from pathlib import Path

import pytest
import trial_stubs as stubs

from scalesearch.engine.base import Engine
from scalesearch.engine.create import create_engine
from scalesearch.engine.execute import execute, stream
from scalesearch.engine.interrupts import Interrupts
from scalesearch.engine.serial_engine import SerialEngine
from scalesearch.engine.settings import EngineSettings
from scalesearch.errors import DataError, InterruptedRun, MissingPackageError
from scalesearch.store.ledger import Ledger
from scalesearch.trial import TrialRecord, TrialRequest


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.create_or_open(tmp_path / "ledger.db")


class Scripted(Engine):
    """Two slots and room for four; two trials end at a time, those submitted last first."""

    prefetch = 1

    def __init__(self, signal_at: int | None = None):
        self.waits, self.signal_at = 0, signal_at
        self.under_way: list[TrialRequest] = []
        self.arrived: list[TrialRecord] = []
        self.most = 0
        self.closed = False

    def start(self) -> None: ...

    def wait_ready(self) -> None: ...

    @property
    def slots(self) -> int:
        return 2

    def submit(self, request: TrialRequest) -> None:
        self.under_way.append(request)
        self.most = max(self.most, len(self.under_way) + len(self.arrived))

    def next_done(self, timeout: float | None = None) -> TrialRecord | None:
        if timeout != 0:
            assert not self.arrived, "what has arrived is fetched before anything is waited for"
            self.waits += 1
            if self.waits == self.signal_at:
                os.kill(os.getpid(), signal.SIGTERM)
            ended = [self.under_way.pop() for _ in self.under_way[:2]]
            self.arrived = [stubs.record(request, seconds=1.0) for request in ended]
        return self.arrived.pop(0) if self.arrived else None

    def close(self) -> None:
        self.closed = True


def test_records_come_in_request_order_and_equal_requests_run_once(tmp_path: Path, ledger: Ledger) -> None:
    requests = [stubs.request(seed) for seed in (4, 2, 4, 9)]
    seen: list[int] = []
    engine = SerialEngine(trial_fn=functools.partial(stubs.logged, str(tmp_path)))
    got = execute(requests, engine, ledger, on_record=lambda record: seen.append(record.seed))
    assert [record.seed for record in got.records] == [4, 2, 4, 9]
    assert seen == [4, 2, 9]
    assert (got.ran, got.reused) == (3, 0)
    assert len(list(tmp_path.glob("*-*"))) - len(list(tmp_path.glob("ledger*-*"))) == 3
    stored = ledger.records()
    assert [record.accuracy for record in stored] == [stubs.steady(stubs.request(s)).accuracy for s in (4, 2, 9)]
    assert all(record.worker and record.seconds is not None and record.attempt == 1 for record in stored)


def test_committed_work_is_not_repeated(tmp_path: Path, ledger: Ledger) -> None:
    engine = SerialEngine(trial_fn=stubs.steady)
    first = execute([stubs.request(1), stubs.request(2)], engine, ledger)
    reused: list[int] = []
    asked = [stubs.request(3), stubs.request(2), stubs.request(2, epochs=2)]
    second = execute(asked, engine, ledger, on_reused=lambda record: reused.append(record.seed))
    assert (second.ran, second.reused, reused) == (2, 1, [2])
    assert second.records[1] == first.records[1]
    third = execute(asked, engine, ledger)
    assert (third.ran, third.reused, third.records) == (0, 3, second.records)


def test_the_dearest_start_first(ledger: Ledger) -> None:
    requests = [stubs.request(seed) for seed in range(5)]
    cost = {0: 1.0, 1: 5.0, 2: 1.0, 3: 7.0, 4: 5.0}
    execute(requests, SerialEngine(trial_fn=stubs.steady), ledger, cost=lambda request: cost[request.seed])
    assert [record.seed for record in ledger.records()] == [3, 1, 4, 0, 2]


def test_what_is_asked_for_knows_only_what_is_committed(ledger: Ledger) -> None:
    engine, waiting, told = Scripted(), [stubs.request(seed) for seed in range(7)], set[str]()

    def take() -> TrialRequest | None:
        assert told <= ledger.done_keys(), "committed before it is told, and told before more is asked for"
        return waiting.pop(0) if waiting else None

    for record in stream(take, engine, ledger):
        assert record.key in ledger.done_keys()
        told.add(record.key)
    assert len(told) == 7
    assert engine.most == 4, "two run and two wait"
    assert not engine.closed, "it serves the next call"


def test_the_engine_is_closed_when_anything_is_raised(ledger: Ledger) -> None:
    def fails(record: TrialRecord) -> None:
        raise ValueError("the caller's own fault")

    engine = Scripted()
    with pytest.raises(ValueError, match="own fault"):
        execute([stubs.request(1), stubs.request(2)], engine, ledger, on_record=fails)
    assert engine.closed
    assert len(ledger.records()) == 2, "what arrived together is committed together"


def test_failures_are_rows_and_the_rest_goes_on(tmp_path: Path, ledger: Ledger) -> None:
    calls = functools.partial(stubs.troubled, str(tmp_path))
    engine = SerialEngine(EngineSettings(name="serial", max_attempts=3), trial_fn=calls)
    requests = [stubs.request(seed) for seed in (0, 1, 2, 4, 5)]
    got = execute(requests, engine, ledger)
    assert [record.status for record in got.records] == ["done", "failed", "failed", "failed", "done"]
    assert [record.attempt for record in got.records] == [1, 3, 1, 3, 1]
    assert [got.records[at].error for at in (1, 2, 3)] == [
        "RuntimeError: out of luck",
        "diverged at step 7",
        "SystemExit: 3",
    ]
    assert all(record.accuracy is None for record in got.records if record.status == "failed")
    assert len(list(tmp_path.glob("1-*"))) == 3
    assert [record.final for record in got.records] == [True, False, True, False, True]
    healthy = SerialEngine(trial_fn=stubs.steady)
    assert execute(requests, healthy, ledger).records == got.records, "one answer for a whole session"


def test_the_machines_failures_are_tried_again_once_per_session(tmp_path: Path, ledger: Ledger) -> None:
    troubled = functools.partial(stubs.troubled, str(tmp_path))
    requests = [stubs.request(seed) for seed in (0, 1, 2, 4)]
    execute(requests, SerialEngine(trial_fn=troubled), ledger)
    ledger.close()
    with Ledger.create_or_open(ledger.path) as second:
        again = execute(requests, SerialEngine(trial_fn=troubled), second)
        assert (again.ran, again.reused) == (2, 2)
        assert [record.status for record in again.records] == ["done", "failed", "failed", "failed"]
        assert execute(requests, SerialEngine(trial_fn=stubs.steady), second).ran == 0, "it failed in this session"
    reused: list[int] = []
    with Ledger.create_or_open(ledger.path) as third:
        engine = SerialEngine(trial_fn=stubs.steady)
        healed = execute(requests, engine, third, on_reused=lambda record: reused.append(record.seed))
        assert [record.status for record in healed.records] == ["done", "done", "failed", "done"]
        assert (healed.ran, reused) == (2, [0, 2]), "what diverged would diverge again"
        assert [record.seed for record in third.records()] == [0, 1, 2, 4]


def test_what_would_fail_every_trial_ends_the_run(ledger: Ledger) -> None:
    with pytest.raises(DataError, match="prepare them again"):
        execute([stubs.request(seed) for seed in range(4)], SerialEngine(trial_fn=stubs.without_data), ledger)
    assert [record.seed for record in ledger.records()] == [0]


def test_a_signal_breaks_into_a_serial_trial(ledger: Ledger) -> None:
    def signalled(request: TrialRequest) -> TrialRecord:
        if request.seed == 3:
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except Exception:
                pytest.fail("no trial may swallow the signal")
        return stubs.steady(request)

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    told: list[int] = []
    with Interrupts(told.append) as stop, pytest.raises(InterruptedRun) as caught:
        execute([stubs.request(seed) for seed in range(1, 6)], SerialEngine(trial_fn=signalled), ledger, stop=stop)
    assert (caught.value.exit_code, told) == (130, [signal.SIGINT])
    assert [record.seed for record in ledger.records()] == [1, 2]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_what_had_arrived_before_a_signal_is_committed(ledger: Ledger) -> None:
    engine = Scripted(signal_at=2)
    with Interrupts() as stop, pytest.raises(InterruptedRun) as caught:
        execute([stubs.request(seed) for seed in range(9)], engine, ledger, stop=stop)
    assert caught.value.exit_code == 143
    assert len(ledger.records()) == 4, "two before the signal, one with it and one from the other slot"
    assert engine.closed


def test_serial_works_where_ray_is_absent(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="pip install"):
        create_engine(EngineSettings(name="ray"))
    engine = create_engine(EngineSettings(name="serial"), trial_fn=stubs.steady)
    assert execute([stubs.request(1)], engine, ledger).records[0].status == "done"
