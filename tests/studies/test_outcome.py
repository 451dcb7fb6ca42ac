"""Figures and decisions of a study that can be checked by hand."""

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from scalesearch.clock import now
from scalesearch.engine.attempt import attempt_trial, on_drivers_time
from scalesearch.report.screen import SilentScreen
from scalesearch.store.ledger import Ledger
from scalesearch.store.run_folder import RunFolder
from scalesearch.studies.budget import decided_budget, trainings_that_fit
from scalesearch.studies.opening import Opening
from scalesearch.studies.sessions import Session, close_session, open_session, slot_utilisation, wall_seconds
from scalesearch.trial import TrialRecord, promised_record

sys.path.insert(0, str(Path(__file__).parent.parent / "engine"))
from trial_stubs import request


@dataclass
class Timed:
    seconds: float | None
    started_at: float | None
    finished_at: float | None


def test_slot_utilisation_over_two_slots() -> None:
    rows = [Timed(4, 0, 4), Timed(2, 0, 2), Timed(2, 2, 4), Timed(1, 4, 5)]
    assert slot_utilisation(rows, [Session(0.0, 2, 6.0)]) == pytest.approx(9 / 10)  # type: ignore[arg-type]


def test_a_pause_between_sessions_is_neither_idle_nor_wall_time() -> None:
    rows = [Timed(4, 1, 5), Timed(4, 1000, 1004), Timed(4, 1000, 1004)]
    sessions = [Session(0.0, 1), Session(999.0, 2, 1010.0)]  # the first was killed
    assert slot_utilisation(rows, sessions) == 1.0  # type: ignore[arg-type]
    assert wall_seconds(rows, sessions) == 5 + 11  # type: ignore[arg-type]
    assert slot_utilisation(rows, [Session(0.0, 1, 1004.0)]) == pytest.approx(12 / 1003)  # type: ignore[arg-type]


def test_a_clock_that_jumps_spoils_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    opening = Opening(RunFolder.plan(tmp_path, "grid", "x"), {}, "", SilentScreen())
    with Ledger.create_or_open(tmp_path / "ledger.db") as ledger:
        open_session(ledger, opening.started, 1)
        monkeypatch.setattr(time, "time", lambda: real() - 3e8)
        record = attempt_trial(promised_record, request(0), 1)
        assert isinstance(record, TrialRecord)
        monkeypatch.setattr(time, "time", lambda: real() + 3e8)
        (session,) = close_session(ledger, opening.started, trained=True)
    moments = [session.started, record.started_at, record.finished_at, session.ended]
    assert moments == sorted(moments)  # type: ignore[type-var]
    assert wall_seconds([record], [session]) < 60


def test_workers_whose_clocks_differ_spoil_no_figure() -> None:
    """As after a jump, for workers that started later, and on nodes that are an hour behind."""
    records = []
    for off in (0.0, -3600.0, 3600.0):
        made = [replace(promised_record(request(seed)), seconds=1.0) for seed in range(2)]
        there = now() + off
        records += on_drivers_time(
            [
                replace(one, started_at=there - 2 + number, finished_at=there - 1 + number)
                for number, one in enumerate(made)
            ]
        )
    here = now()
    session = Session(here - 2.5, 3, here)
    assert slot_utilisation(records, [session]) == pytest.approx(1.0, abs=0.05)
    assert wall_seconds(records, [session]) == pytest.approx(2.5, abs=1e-3)
    lengths = [one.finished_at - one.started_at for one in records]  # type: ignore[operator]
    assert lengths == pytest.approx([1.0] * 6, abs=1e-3)


def test_no_times_no_figure() -> None:
    assert slot_utilisation([Timed(None, None, None)], [Session(0.0, 1)]) is None  # type: ignore[arg-type]
    assert slot_utilisation([], []) is None
    assert wall_seconds([], []) == 0.0


def test_a_session_that_trained_nothing_leaves_no_trace(tmp_path: Path) -> None:
    with Ledger.create_or_open(tmp_path / "ledger.db") as ledger:
        open_session(ledger, 10.0, 2)
        first = close_session(ledger, 10.0, trained=True)
        assert [(session.started, session.slots) for session in first] == [(10.0, 2)]
        assert first[0].ended is not None
        open_session(ledger, 50.0, 4)
        assert close_session(ledger, 50.0, trained=False) == first


def test_a_session_that_was_killed_is_known_to_the_next(tmp_path: Path) -> None:
    with Ledger.create_or_open(tmp_path / "ledger.db") as ledger:
        open_session(ledger, 10.0, 2)  # and no close
        open_session(ledger, 60.0, 1)
        killed, resumed = close_session(ledger, 60.0, trained=True)
        assert (killed.started, killed.slots, killed.ended) == (10.0, 2, None)
        assert (resumed.started, resumed.slots) == (60.0, 1)


@pytest.mark.parametrize(("minutes", "fits"), [(1, 20), (2, 24), (5, 60), (50, 68)])
def test_trainings_that_fit(minutes: float, fits: int) -> None:
    # 10 s each on 2 slots: 12 a minute; 20 are done, 68 is what the race would take
    assert trainings_that_fit(minutes, 2, [5.0, 15.0], at_least=20, at_most=68) == fits


def test_the_budget_is_decided_once_for_the_same_minutes(tmp_path: Path) -> None:
    with Ledger.create_or_open(tmp_path / "ledger.db") as ledger:

        def decide(minutes: float | None, seconds: float) -> int:
            return decided_budget(ledger, minutes, 2, [seconds], at_least=20, at_most=68)

        assert decide(5, 10.0) == 60
        assert decide(5, 30.0) == 60  # a slower resumed session asks for the same trainings
        assert decide(10, 30.0) == 40
        assert decide(None, 30.0) == 68
