"""Figures of an outcome that can be checked by hand."""

from dataclasses import dataclass

import pytest

from scalesearch.studies.grid_outcome import slot_utilisation


@dataclass
class Timed:
    seconds: float | None
    started_at: float | None
    finished_at: float | None


def test_slot_utilisation_over_two_slots() -> None:
    rows = [Timed(4, 0, 4), Timed(2, 0, 2), Timed(2, 2, 4), Timed(1, 4, 5)]
    assert slot_utilisation(rows, 2, [0.0]) == pytest.approx(9 / 10)  # type: ignore[arg-type]


def test_a_pause_between_sessions_is_not_idle_time() -> None:
    rows = [Timed(4, 0, 4), Timed(4, 1000, 1004)]
    assert slot_utilisation(rows, 1, [-1.0, 999.0]) == 1.0  # type: ignore[arg-type]
    assert slot_utilisation(rows, 1, [-1.0]) == pytest.approx(8 / 1004)  # type: ignore[arg-type]


def test_no_times_no_figure() -> None:
    assert slot_utilisation([Timed(None, None, None)], 1, [0.0]) is None  # type: ignore[arg-type]
    assert slot_utilisation([], 1, [0.0]) is None
