"""The sessions that worked on a run: a pause between two of them is neither work nor idle time."""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

from scalesearch.clock import now
from scalesearch.store.ledger import Ledger
from scalesearch.store.stored_values import stored_value
from scalesearch.trial import TrialRecord

__all__ = ["Session", "close_session", "open_session", "slot_utilisation", "wall_seconds"]

_KEY = "sessions"


@dataclass(frozen=True, slots=True)
class Session:
    """One call that trained something: when it began, its slots, and when it ended (None where it was killed)."""

    started: float
    slots: int
    ended: float | None = None


def open_session(ledger: Ledger, started: float, slots: int) -> None:
    """Note a session before it trains, so that one that is killed is known to the next."""
    _store(ledger, [*_stored(ledger), Session(started, slots)])


def close_session(ledger: Ledger, started: float, *, trained: bool) -> tuple[Session, ...]:
    """Note the end of the session that began at `started`, or forget it where it trained nothing; returns them all."""
    others = [session for session in _stored(ledger) if session.started != started]
    this = [replace(session, ended=now()) for session in _stored(ledger) if session.started == started]
    sessions = [*others, *this] if trained else others
    _store(ledger, sessions)
    return tuple(sessions)


def _stored(ledger: Ledger) -> list[Session]:
    return stored_value(ledger, _KEY, lambda rows: [_session(**row) for row in rows], [])


def _session(started: float, slots: int, ended: float | None = None) -> Session:
    return Session(float(started), int(slots), None if ended is None else float(ended))


def _store(ledger: Ledger, sessions: Sequence[Session]) -> None:
    ledger.set_meta(_KEY, json.dumps([asdict(session) for session in sessions]))


def _session_of(record: TrialRecord, sessions: Sequence[Session]) -> int:
    """Index of the session a record was trained in."""
    assert record.started_at is not None
    return max(0, bisect([session.started for session in sessions], record.started_at) - 1)


def slot_utilisation(records: Iterable[TrialRecord], sessions: Sequence[Session]) -> float | None:
    """Time inside trials over slots x wall, from the first start of a trial to the last end; None without times."""
    busy = offered = 0.0
    for index, spans in _spans(records, sessions).items():
        busy += sum(seconds for _, _, seconds in spans)
        offered += sessions[index].slots * (max(end for _, end, _ in spans) - min(start for start, _, _ in spans))
    return busy / offered if offered > 0 else None


def wall_seconds(records: Iterable[TrialRecord], sessions: Sequence[Session]) -> float:
    """Seconds that the sessions took, start-up included; one that was killed counts until its last training."""
    spans = _spans(records, sessions)
    total = 0.0
    for index, session in enumerate(sessions):
        last = max((end for _, end, _ in spans.get(index, [])), default=session.started)
        total += (last if session.ended is None else session.ended) - session.started
    return total


def _spans(records: Iterable[TrialRecord], sessions: Sequence[Session]) -> dict[int, list[tuple[float, float, float]]]:
    """(start, end, seconds) of every timed training, by session."""
    spans: dict[int, list[tuple[float, float, float]]] = {}
    for record in records if sessions else ():
        if record.seconds is not None and record.started_at is not None and record.finished_at is not None:
            span = (record.started_at, record.finished_at, record.seconds)
            spans.setdefault(_session_of(record, sessions), []).append(span)
    return spans
