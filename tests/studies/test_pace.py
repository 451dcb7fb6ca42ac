"""How `run` shares its minutes out: the sum comes out between the budget and a quarter more, whatever steps take."""

import math
from pathlib import Path

import pytest

from scalesearch.studies.budget import trainings_that_fit
from scalesearch.studies.pace import LEAST_MINUTES, Pace

SHARES = {"search": 0.35, "grid": 0.3, "axes": 0.35}


def test_the_plan_is_the_budget_less_what_is_not_training(tmp_path: Path) -> None:
    planned = Pace(tmp_path / "pace.json", 20, 1.0, SHARES).plan()
    assert sum(planned.values()) == pytest.approx(19, abs=0.02)
    assert planned["search"] == pytest.approx(planned["axes"], abs=0.01)
    assert planned == pytest.approx({verb: 19 * share for verb, share in SHARES.items()}, abs=0.02)


@pytest.mark.parametrize(
    ("search", "grid"),
    [(1.0, 1.0), (0.3, 0.5), (1.4, 1.0), (1.0, 0.1), (0.5, 1.6)],
    ids=["as planned", "both early", "search late", "grid decided at once", "grid late"],
)
@pytest.mark.parametrize("budget", [20.0, 45.0])
def test_a_whole_run_ends_between_its_budget_and_a_quarter_more(
    tmp_path: Path, budget: float, search: float, grid: float
) -> None:
    """Fake steps: each takes a multiple of what it was given, and 15 s more; axes trains rounds of 17 x 9 s."""
    pace = Pace(tmp_path / "pace.json", budget, 0.5, SHARES)
    clock = 0.0
    for step, factor in (("search", search), ("grid", grid)):
        seconds = 60 * pace.give(step) * factor + 15
        clock += seconds
        pace.took(step, seconds)
    minutes = pace.give("axes")
    trainings = trainings_that_fit(minutes, 2, [9.0] * 17, at_least=34, at_most=680)
    rounds = math.ceil(trainings / 17)  # seeds.beyond_minutes
    clock += rounds * 17 * 9 / 2 + 15 + 25
    assert 60 * budget <= clock <= 1.25 * 60 * budget


def test_what_is_left_goes_to_later_steps_and_never_below_the_least(tmp_path: Path) -> None:
    pace = Pace(tmp_path / "pace.json", 10, 0.0, SHARES)
    assert pace.give("search") == 3.5
    pace.took("search", 60.0)
    assert pace.give("grid") == pytest.approx(9 * 0.3 / 0.65, abs=0.01)
    pace.took("grid", 15 * 60.0)
    assert pace.give("axes") == LEAST_MINUTES


def test_a_repeated_run_gives_a_step_the_same_minutes(tmp_path: Path) -> None:
    path = tmp_path / "run" / "name" / "pace.json"
    first = Pace(path, 20, 1.0, SHARES)
    given = first.give("search")
    assert not path.exists()  # nothing was trained: the step may still be refused
    first.took("search", 100.0)
    grid = first.give("grid")
    again = Pace(path, 20, 1.0, SHARES)
    assert again.give("search") == given
    again.took("search", 5.0)  # drawn again
    assert again.give("grid") == grid
    assert again.seconds == {"search": 105.0}
    longer = Pace(path, 40, 1.0, SHARES)
    assert longer.give("search") > given
    assert longer.seconds == {"search": 105.0}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"minutes": {"search": "x"}, "seconds": {}}'])
def test_a_broken_file_is_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "pace.json").write_text(content)
    assert Pace(tmp_path / "pace.json", 20, 1.0, SHARES).plan() == Pace(tmp_path / "no.json", 20, 1.0, SHARES).plan()
