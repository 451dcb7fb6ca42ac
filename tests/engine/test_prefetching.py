"""The thread that keeps slots busy, on an engine whose trials end when the test says so."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest
import trial_stubs as stubs

from scalesearch.engine.base import Engine, Running
from scalesearch.engine.execute import execute
from scalesearch.engine.prefetching import Prefetching
from scalesearch.errors import DataError
from scalesearch.store.ledger import Ledger
from scalesearch.trial import TrialRecord, TrialRequest


class ByHand(Engine):
    """Two slots; `end` ends a running trial, or the engine where it is given an error."""

    def __init__(self) -> None:
        self.busy: dict[int, TrialRequest] = {}
        self.started: list[int] = []
        self.changed = threading.Condition()
        self.ended: SimpleQueue[TrialRecord | Exception] = SimpleQueue()
        self.closed = False

    def start(self) -> None: ...

    def wait_ready(self) -> None: ...

    @property
    def slots(self) -> int:
        return 2

    def submit(self, request: TrialRequest) -> None:
        with self.changed:
            assert len(self.busy) < self.slots, "no trial is bound to a busy slot"
            self.busy[request.seed] = request
            self.started.append(request.seed)
            self.changed.notify_all()

    def next_done(self, timeout: float | None = None) -> TrialRecord | None:
        try:
            outcome = self.ended.get(timeout=timeout)
        except Empty:
            return None
        if isinstance(outcome, Exception):
            raise outcome
        with self.changed:
            del self.busy[outcome.seed]
        return outcome

    def running(self) -> Sequence[Running]:
        return [Running(request, f"worker {seed}", 0.0) for seed, request in self.busy.items()]

    def close(self) -> None:
        self.closed = True

    def end(self, seed: int, error: Exception | None = None) -> None:
        self.wait_for(lambda: seed in self.busy)
        self.ended.put(error or stubs.steady(self.busy[seed]))

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, timeout=20)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.create_or_open(tmp_path / "ledger.db") as opened:
        yield opened


@contextmanager
def given(*seeds: int) -> Iterator[tuple[ByHand, Prefetching]]:
    by_hand = ByHand()
    with Prefetching(by_hand) as engine:
        for seed in seeds:
            engine.submit(stubs.request(seed))
        by_hand.wait_for(lambda: len(by_hand.started) == min(2, len(seeds)))
        yield by_hand, engine
    assert by_hand.closed


def test_a_slot_goes_on_while_its_last_result_is_handled(ledger: Ledger) -> None:
    by_hand = ByHand()
    handled = []

    def handle(record: TrialRecord) -> None:
        handled.append(record.seed)
        if record.seed == 0:  # the driver is busy with it, and the slot runs the third trial meanwhile
            by_hand.wait_for(lambda: by_hand.started == [0, 1, 2])
            for seed in (1, 2, 3):
                by_hand.end(seed)
        if record.seed == 3:
            by_hand.end(4)

    threading.Thread(target=by_hand.end, args=[0]).start()
    got = execute([stubs.request(seed) for seed in range(5)], Prefetching(by_hand), ledger, on_record=handle)
    assert [record.seed for record in got.records] == [0, 1, 2, 3, 4]
    assert by_hand.started == [0, 1, 2, 3, 4], "what is submitted first starts first"
    assert handled == [0, 1, 2, 3, 4]


def test_the_first_free_slot_takes_what_waits() -> None:
    with given(0, 1, 2, 3) as (by_hand, engine):
        for seed in (1, 2, 3):  # trial 0 is long: nothing waits for its slot
            by_hand.end(seed)
            record = engine.next_done(timeout=20)
            assert record is not None
            assert record.seed == seed
        assert list(by_hand.busy) == [0]
        assert [running.worker for running in engine.running()] == ["worker 0"], "who watches for stalls sees it"
        assert engine.next_done(timeout=0) is None
        by_hand.end(0)
        assert engine.next_done(timeout=20) is not None
        assert engine.next_done() is None, "nothing is under way"


def test_no_more_than_there_is_room_for() -> None:
    with given(0, 1, 2, 3) as (_, engine):
        assert engine.room == 4
        with pytest.raises(AssertionError, match="room"):
            engine.submit(stubs.request(4))


def test_what_waits_is_dropped_on_close() -> None:
    with given(0, 1, 2, 3) as (by_hand, _):
        pass
    assert by_hand.started == [0, 1]


def test_what_arrived_before_an_error_is_kept(ledger: Ledger) -> None:
    by_hand = ByHand()

    def handle(record: TrialRecord) -> None:
        if record.seed == 0:
            by_hand.end(1)
            by_hand.end(2, DataError("the pictures are gone"))

    threading.Thread(target=by_hand.end, args=[0]).start()
    with pytest.raises(DataError, match="gone"):
        execute([stubs.request(seed) for seed in range(4)], Prefetching(by_hand), ledger, on_record=handle)
    assert [record.seed for record in ledger.records()] == [0, 1]
    assert by_hand.closed
