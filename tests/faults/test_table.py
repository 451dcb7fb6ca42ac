"""The table of docs/reliability.md holds what docs/faults.json holds."""

import json
import re
from pathlib import Path

import count_faults
import pytest
from fault_rows import ROWS

REPOSITORY = Path(__file__).parents[2]


def test_the_page_shows_the_counts() -> None:
    if not count_faults.JSON.exists():
        pytest.skip("not counted yet")
    shown = count_faults.shown(json.loads(count_faults.JSON.read_text()))
    assert f"{shown}{count_faults.END}" in count_faults.PAGE.read_text(), "with what is missing"


def test_only_rows_of_the_plan_are_marked() -> None:
    marked = {
        int(number)
        for path in (REPOSITORY / "tests").rglob("*.py")
        for numbers in re.findall(r"mark\.fault\(([\d, ]+)", path.read_text())
        for number in re.findall(r"\d+", numbers)
    }
    assert marked <= set(ROWS)


def test_counts_are_added_up() -> None:
    one = {
        "fault": 1,
        "engine": "ray",
        "tries": 2,
        "results_lost": 0,
        "results_repeated": 0,
        "passed": True,
        "test": "a.py::b",
    }
    other = one | {"tries": 3, "test": "a.py::c", "results_lost": 1, "measured": {"orphans_s": 2.0}}
    refused = one | {"fault": 22, "results_lost": None, "results_repeated": None, "passed": False}
    first, second = count_faults.summed([one, other, refused], "fault", "engine")
    assert (first["tries"], first["results_lost"], first["measured"]) == (5, 1, {"orphans_s": 2.0})
    assert first["test"] == "a.py::b, c"
    assert (second["results_lost"], second["passed"]) == (None, False)
    found = "\n".join(count_faults.complaints([first, second]))
    for words in (
        "row 1 failed",
        "row 1 was tried 5",
        "row 22 failed",
        "row 22 was tried 2 times",
        "row 3 was not",
        "row 1 was not tried with engine=tune",
    ):
        assert words in found
