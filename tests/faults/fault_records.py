"""Keeps what the tests marked `fault(ROW)` tried: a pytest plugin.

    FAULT_RESULTS=FILE pytest -m fault     # appends one JSON object per test and row to FILE

ROW is a number of tests/faults/fault_rows.py. A test counts its tries, and the committed results that were lost or
repeated, through the fixture `tally`; one without it is one try in which nothing had been committed that could be
lost. With FAULT_RESULTS a test marked `fault(ROW, repeat=N)` runs N times.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

RESULTS: Final = "FAULT_RESULTS"


@dataclass
class Tally:
    """What one test tried; `lost` and `repeated` are None where nothing was committed before the fault."""

    tries: int = 0
    lost: int | None = None
    repeated: int | None = None
    measured: dict[str, float] = field(default_factory=dict)

    def add(self, *, lost: int, repeated: int, tries: int = 1) -> None:
        """Note tries and what they cost."""
        self.tries += tries
        self.lost = (self.lost or 0) + lost
        self.repeated = (self.repeated or 0) + repeated

    def measure(self, name: str, value: float) -> None:
        """Keep the greatest value of a quantity."""
        self.measured[name] = max(round(value, 2), self.measured.get(name, 0.0))


_TALLY = pytest.StashKey[Tally]()


def is_recording() -> bool:
    """Whether this is the long run, which counts."""
    return bool(os.environ.get(RESULTS))


def many(short: int, long: int) -> int:
    """Tries of a test: `long` of them in the run that counts."""
    return long if is_recording() else short


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """Where a test notes its tries."""
    return request.node.stash.setdefault(_TALLY, Tally())


@pytest.fixture(autouse=True)
def fault_try(request: pytest.FixtureRequest) -> int:
    """The number of this repetition."""
    return int(getattr(request, "param", 0))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat tests marked with `repeat` in the run that counts."""
    mark = metafunc.definition.get_closest_marker("fault")
    repeat = mark.kwargs.get("repeat", 1) if mark is not None and is_recording() else 1
    if repeat > 1:
        metafunc.parametrize("fault_try", range(repeat), indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Append the rows of a test that was tried."""
    report = yield
    tried = report.when == "call" or (report.when == "setup" and report.failed)
    if tried and not report.skipped and is_recording():
        for mark in item.iter_markers("fault"):
            for number in mark.args:
                _append(item, number, mark.kwargs, passed=report.passed)
    return report


def _append(item: pytest.Item, number: int, options: dict[str, Any], *, passed: bool) -> None:
    tally = item.stash.get(_TALLY, Tally())
    call = getattr(item, "callspec", None)
    of_call = call.params.get("engine") if call is not None else None
    row = {
        "fault": number,
        "engine": options.get("engine") or of_call or "any",
        "test": item.nodeid.partition("[")[0],
        "tries": max(1, tally.tries),
        "results_lost": tally.lost,
        "results_repeated": tally.repeated,
        "passed": passed,
        **({"measured": tally.measured} if tally.measured else {}),
    }
    with Path(os.environ[RESULTS]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
