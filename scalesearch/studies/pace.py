"""The minutes of each step of `run`: what earlier steps left over, or took too much, goes to the later ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from scalesearch.store.atomic import write_atomic

__all__ = ["LEAST_MINUTES", "Pace"]

LEAST_MINUTES: Final = 0.5


class Pace:
    """Training minutes of every step, given out when the step begins and kept in a file.

    left = budget - time of the steps before - what starting, drawing and writing will still take, and a step gets
    left * its share / shares of this step and those after it. The last step therefore gets all that is left.

    A repeated run gives a step that has begun the same minutes again, so that it asks for the same trainings;
    another budget decides anew. A driver that was killed outright leaves its last step's time uncounted.

    Args:
        path: where the minutes given and the seconds taken are kept.
        budget_minutes: for everything.
        overhead_minutes: of it, for what is not training: spread evenly over the steps and the delivery after them.
        shares: parts of the training minutes by step, in the order of the steps.
    """

    def __init__(self, path: Path, budget_minutes: float, overhead_minutes: float, shares: Mapping[str, float]):
        self._path, self._budget, self._overhead, self._shares = path, budget_minutes, overhead_minutes, dict(shares)
        kept = _read(path)
        same = kept.get("budget_minutes") == budget_minutes
        self._given: dict[str, float] = kept.get("minutes", {}) if same else {}
        self._seconds: dict[str, float] = kept.get("seconds", {})

    def plan(self) -> dict[str, float]:
        """Training minutes of every step if each takes exactly what it is given."""
        given: dict[str, float] = {}
        for step in self._shares:
            spent = sum(given.values()) + self._overhead * len(given) / (len(self._shares) + 1)
            given[step] = self._minutes(step, spent)
        return given

    def give(self, step: str) -> float:
        """Training minutes of a step that begins now."""
        if step not in self._given:
            steps = list(self._shares)
            spent = sum(self._seconds.get(before, 0.0) for before in steps[: steps.index(step)]) / 60
            self._given[step] = self._minutes(step, spent)
            if self._seconds:  # the first step gets the same anyway, and may still be refused
                self._keep()
        return self._given[step]

    def took(self, step: str, seconds: float) -> None:
        """A session of a step ended, finished or not, after so many seconds."""
        self._seconds[step] = self._seconds.get(step, 0.0) + seconds
        self._keep()

    @property
    def seconds(self) -> dict[str, float]:
        """What every step has taken so far, in all sessions."""
        return dict(self._seconds)

    def _minutes(self, step: str, spent: float) -> float:
        steps = list(self._shares)
        later = steps[steps.index(step) :]
        overhead = self._overhead * (len(later) + 1) / (len(steps) + 1)
        left = self._budget - spent - overhead
        return max(LEAST_MINUTES, round(left * self._shares[step] / sum(self._shares[each] for each in later), 2))

    def _keep(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        kept = {"budget_minutes": self._budget, "minutes": self._given, "seconds": self._seconds}
        write_atomic(self._path, (json.dumps(kept, indent=2) + "\n").encode())


def _read(path: Path) -> dict[str, Any]:
    """What an earlier session kept; nothing where there is none or it cannot be read."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) and _numbers(kept.get("minutes")) and _numbers(kept.get("seconds")) else {}


def _numbers(values: object) -> bool:
    return isinstance(values, dict) and all(isinstance(value, int | float) for value in values.values())
