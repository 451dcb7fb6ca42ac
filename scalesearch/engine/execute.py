"""The loop every study runs its trials through, whatever the engine.

A record is committed before anybody hears of it and before anything more is asked for, so whatever dies, what was told
is kept and is never run again. Its slot does not wait for that: the engine holds the next trials already, and what it
runs or holds when everything dies is all that can be lost.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from scalesearch.engine.base import Engine
from scalesearch.engine.interrupts import BreakIn, Interrupts
from scalesearch.errors import InterruptedRun
from scalesearch.store.ledger import Ledger
from scalesearch.trial import TrialRecord, TrialRequest

__all__ = ["Execution", "execute", "stream"]

# seconds between two looks at the interrupt flag while nothing arrives
_POLL: Final = 0.2


@dataclass(frozen=True, slots=True)
class Execution:
    """What one call of `execute` gave.

    Attributes:
        records: one per request, in request order, failed ones included.
        reused: units of work that the ledger answered.
        ran: units of work that were executed.
    """

    records: tuple[TrialRecord, ...]
    reused: int
    ran: int


def execute(
    requests: Sequence[TrialRequest],
    engine: Engine,
    ledger: Ledger,
    *,
    on_record: Callable[[TrialRecord], None] = lambda record: None,
    on_reused: Callable[[TrialRecord], None] = lambda record: None,
    cost: Callable[[TrialRequest], float] | None = None,
    stop: Interrupts | None = None,
) -> Execution:
    """Get a record for every request: from the ledger where it is committed, from the engine otherwise.

    A committed failure answers too, unless the machine failed (`final` is False: a killed worker, a timeout, no
    memory) in an earlier session: that is tried again once per session, so that a session never sees two answers.

    Args:
        requests: equal ones (same key) run once.
        engine: started or not; left open for the next call, closed when anything is raised.
        ledger: takes every record before `on_record` sees it; a session is one opening of it.
        on_record: called after each commit, for progress.
        on_reused: called for each record that was already there.
        cost: expected cost; the dearest trials start first, because a long one at the end leaves slots idle.
        stop: where signals are noticed.

    Raises:
        InterruptedRun: a signal came; what had arrived is committed.
        LedgerError, EngineError: see there.
        DataError, MissingPackageError, ResourceError, VerificationError: no trial can run like this.
    """
    known = _committed(requests, ledger)
    for record in known.values():
        on_reused(record)
    waiting = deque(_unique_missing(requests, known, cost))
    reused, ran = len(known), len(waiting)
    for record in stream(lambda: waiting.popleft() if waiting else None, engine, ledger, stop=stop):
        known[record.key] = record
        on_record(record)
    return Execution(tuple(known[request.key] for request in requests), reused, ran)


def stream(
    take: Callable[[], TrialRequest | None], engine: Engine, ledger: Ledger, *, stop: Interrupts | None = None
) -> Iterator[TrialRecord]:
    """Run what `take` gives, as much at a time as the engine has room for; yield every record once it is committed.

    Args:
        take: the next request, or None when there is none now; asked again after the next record. The work is done
            when it gives None while nothing is under way. It decides on what is committed by then, with up to
            `engine.room` trials under way.
        engine: started or not; left open at the end, closed when anything is raised.
        ledger: takes every record before it is yielded.
        stop: where signals are noticed.

    Raises:
        as `execute`.
    """
    stop = stop or Interrupts()
    try:
        stop.check()
        first = take()
        if first is None:
            return
        engine.start()
        with stop.immediate():
            engine.wait_ready()
        stop.arm()
        yield from _run(first, take, engine, ledger, stop)
    except BreakIn:  # came just as an interruptible part ended
        engine.close()
        raise InterruptedRun(stop.signal_number or signal.SIGINT) from None
    except BaseException:
        engine.close()
        raise


def _run(
    request: TrialRequest,
    take: Callable[[], TrialRequest | None],
    engine: Engine,
    ledger: Ledger,
    stop: Interrupts,
) -> Iterator[TrialRecord]:
    """Keep the engine full until nothing is under way."""
    under_way = _fill(engine, request, take, 0)
    while under_way:
        if stop.signal_number is not None:
            yield from _committed_arrivals(engine, ledger)
        stop.check()
        with stop.immediate(active=engine.in_process):
            record = engine.next_done(timeout=_POLL)
        if record is None:
            ledger.write_notes()  # a pause
            continue
        for committed in _committed_arrivals(engine, ledger, record):
            under_way -= 1
            yield committed
            if under_way < engine.room:  # it may have shrunk with the cluster
                under_way = _fill(engine, take(), take, under_way)
    stop.check()


def _fill(engine: Engine, request: TrialRequest | None, take: Callable[[], TrialRequest | None], under_way: int) -> int:
    """Submit `request` and what `take` gives while there is room; returns how many are under way then."""
    while request is not None:
        engine.submit(request)
        under_way += 1
        request = take() if under_way < engine.room else None
    return under_way


def _committed_arrivals(engine: Engine, ledger: Ledger, record: TrialRecord | None = None) -> list[TrialRecord]:
    """`record` and whatever else has arrived, committed together."""
    arrived = [] if record is None else [record]
    try:
        while (another := engine.next_done(timeout=0)) is not None:
            arrived.append(another)
    finally:  # also where the engine has nothing but an error left to give
        ledger.commit_all(arrived)
    return arrived


def _committed(requests: Sequence[TrialRequest], ledger: Ledger) -> dict[str, TrialRecord]:
    """Records that answer a request, by key."""
    return {
        record.key: record
        for record in ledger.records({request.key for request in requests})
        if record.final or ledger.stored_here(record.key)
    }


def _unique_missing(
    requests: Sequence[TrialRequest], known: dict[str, TrialRecord], cost: Callable[[TrialRequest], float] | None
) -> list[TrialRequest]:
    """One request per missing key, the dearest first; requests of equal cost keep their order."""
    missing = list({request.key: request for request in requests if request.key not in known}.values())
    return missing if cost is None else sorted(missing, key=cost, reverse=True)
