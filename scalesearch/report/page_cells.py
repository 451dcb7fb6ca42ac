"""What tables of pages are made of: cells of text, from values that may be missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from scalesearch.units import format_count

__all__ = [
    "EVIDENCE_HEADS",
    "MISSING",
    "Table",
    "adjusted_objective",
    "count_cell",
    "evidence_cells",
    "number_cell",
    "text_cell",
]

MISSING: Final = "–"
EVIDENCE_HEADS: Final = ("accuracy", "95 % interval", "objective", "P(best)", "seeds")


@dataclass(frozen=True, slots=True)
class Table:
    """Text cells: `heads` over `rows`, each row with the name of its mark ("" for none).

    The first `left` columns, the last `left_last` and those of `words` are words, the others numbers. `note` stands
    below.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    left: int = 0
    left_last: int = 0
    words: tuple[int, ...] = ()
    note: str = ""


def evidence_cells(row: Mapping[str, Any] | pd.Series[Any]) -> tuple[str, ...]:
    """What stands below `EVIDENCE_HEADS`."""
    accuracy, low, high = (number_cell(row[name]) for name in ("accuracy_mean", "accuracy_low", "accuracy_high"))
    objective, p_best = number_cell(adjusted_objective(row)), number_cell(row["p_best"])
    return (
        MISSING if math.isnan(accuracy) else f"{100 * accuracy:.1f} %",
        MISSING if math.isnan(low) else f"{100 * low:.1f} – {100 * high:.1f} %",
        MISSING if math.isnan(objective) else f"{objective:.4f}",
        MISSING if math.isnan(p_best) else "< 0.01" if p_best < 0.01 else f"{p_best:.2f}",
        str(row["seeds"]),
    )


def adjusted_objective(row: Mapping[str, Any] | pd.Series[Any]) -> Any:
    """The objective without the effects of the seeds, where it was taken out."""
    return row["objective_adjusted"] if "objective_adjusted" in row else row["objective"]


def number_cell(value: Any) -> float:
    """A number that may be missing; NaN then."""
    return math.nan if value is None else float(value)


def count_cell(value: Any) -> str:
    """A count that may be missing."""
    number = number_cell(value)
    return MISSING if math.isnan(number) else format_count(number)


def text_cell(value: Any) -> str:
    """An empty cell of a table that was read again is NaN."""
    return "" if value is None or value != value else str(value)
