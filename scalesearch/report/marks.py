"""What an outcome looks like and is called, the same in every figure and table, and the finding in a few words."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from scalesearch.report.render import COLOURS

__all__ = ["OUTCOMES", "Mark", "coefficients_text", "finding", "mark_of", "rule_label", "with_marks"]


@dataclass(frozen=True, slots=True)
class Mark:
    """How one outcome is drawn.

    Attributes:
        name: the outcome, as figures' data holds it.
        label: what the legend calls it.
        colour: where colour shows the outcome.
        marker: matplotlib's code.
        size: relative area of the marker.
        order: later ones are drawn over earlier ones.
    """

    name: str
    label: str
    colour: str
    marker: str
    size: float
    order: int


OUTCOMES: Final[Mapping[str, Mark]] = {
    mark.name: mark
    for mark in (
        Mark("best", "best estimate", COLOURS["vermillion"], "*", 2.6, 6),
        Mark("tied", "tied with it", COLOURS["blue"], "o", 1.0, 5),
        Mark("told apart", "told apart from it", "#9a9a9a", "o", 0.8, 4),
        Mark("undecided", "not decided", COLOURS["sky_blue"], "s", 0.8, 3),
        Mark("failed", "no result", COLOURS["black"], "x", 0.8, 2),
    )
}

_LABEL_WIDTH: Final = 26
_LABEL_LINES: Final = 2


def mark_of(outcome: str, value: float | None) -> Mark:
    """The mark of a candidate with that outcome and objective (None or NaN: there is none)."""
    if value is None or math.isnan(value) or outcome == "failed":
        return OUTCOMES["failed"]
    return OUTCOMES.get(outcome, OUTCOMES["undecided"])


def with_marks(standings: pd.DataFrame) -> pd.DataFrame:
    """The columns that all figures share: one row per candidate, in the order of `standings`.

    Returns:
        `name, alpha, beta, gamma, rule, objective_adjusted, outcome, mark`: the objective with the seed effects
        removed, which decides (the plain mean where `standings` has nothing else), and the name of the mark.
    """
    data = standings[["name", "alpha", "beta", "gamma"]].copy()
    # an empty cell of a table that was read again is NaN
    data["rule"] = standings["rule"].fillna("").astype(str)
    chosen = "objective_adjusted" if "objective_adjusted" in standings else "objective"
    data["objective_adjusted"] = standings[chosen].astype(float)
    data["outcome"] = standings["outcome"].fillna("").astype(str)
    pairs = zip(data["outcome"], data["objective_adjusted"], strict=True)
    data["mark"] = [mark_of(outcome, value).name for outcome, value in pairs]
    return data.reset_index(drop=True)


def finding(data: pd.DataFrame, *, ratio: float) -> str:
    """What the grid found, in a few words, from a frame with the column `mark`."""
    n = len(data)
    count = data["mark"].value_counts()
    n_failed, n_ties = int(count.get("failed", 0)), int(count.get("tied", 0))
    n_open = int(count.get("undecided", 0))
    start = f"{n} candidate{'' if n == 1 else 's'} at {ratio:g}× the cost"
    failed = f" ({n_failed} without a result)" if n_failed else ""
    if n_failed == n:
        return f"{start}: no result"
    if n - n_failed == 1:
        return f"{start}: nothing to compare with{failed}"
    if n_open:
        return f"{start}: {n_open} not decided yet{failed}"
    if not n_ties:
        return f"{start}: one winner{failed}"
    if n_ties == n - 1:
        return f"{start}: all tied"
    return f"{start}: a tie of {n_ties + 1}{failed}"


def coefficients_text(row: Mapping[str, Any] | pd.Series[Any]) -> str:
    """Alpha, beta and gamma of a row: "(1.19, 1.10, 1.15)"."""
    return f"({row['alpha']:.2f}, {row['beta']:.2f}, {row['gamma']:.2f})"


def rule_label(rule: str, *, width: int = _LABEL_WIDTH, lines: int = _LABEL_LINES) -> str:
    """A rule's name for a figure: words instead of underscores, at most `lines` lines of `width` characters."""
    words = rule.replace("_", " ").replace("+", " + ")
    wrapped = textwrap.wrap(words, width)
    if len(wrapped) > lines:
        wrapped[lines - 1] = f"{wrapped[lines - 1][: width - 1]}…"
    return "\n".join(wrapped[:lines])
