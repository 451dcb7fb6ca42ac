"""How many trainings fit the minutes: decided once, on the first round's own durations, and kept in the ledger."""

from __future__ import annotations

import json
from collections.abc import Sequence

from scalesearch.store.ledger import Ledger
from scalesearch.store.stored_values import stored_value

__all__ = ["decided_budget", "trainings_that_fit"]


def trainings_that_fit(minutes: float, slots: int, seconds: Sequence[float], *, at_least: int, at_most: int) -> int:
    """slots * 60 * minutes / mean(seconds), between the two bounds.

    Args:
        seconds: durations of trainings, each positive; without any the upper bound stands.
        at_least: trainings of the first round, which are done by the time this is asked.
        at_most: the race's own budget.
    """
    fit = int(60 * minutes * slots * len(seconds) / sum(seconds)) if seconds else at_most
    return max(at_least, min(fit, at_most))


def decided_budget(
    ledger: Ledger,
    minutes: float | None,
    slots: int,
    seconds: Sequence[float],
    *,
    at_least: int,
    at_most: int,
    key: str = "budget",
) -> int:
    """The budget of a run: what an earlier session decided for the same minutes, else what fits now, which is kept.

    `key` tells the decisions of one run apart.
    A resumed run therefore asks for the same trainings as an uninterrupted one; other minutes decide anew.
    """
    if minutes is None:
        return at_most
    decided = stored_value(ledger, key, lambda found: (found["minutes"], int(found["trainings"])), None)
    if decided is None or decided[0] != minutes:
        decided = minutes, trainings_that_fit(minutes, slots, seconds, at_least=at_least, at_most=at_most)
        ledger.set_meta(key, json.dumps({"minutes": minutes, "trainings": decided[1]}))
    return max(at_least, min(decided[1], at_most))
