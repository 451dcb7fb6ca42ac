"""Which rows of a table can be analysed: the columns are there, the numbers are finite, the trials are comparable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from scalesearch.errors import DataError

__all__ = ["COMPARABLE", "check_comparable", "check_confidence", "require_columns", "usable_rows"]

#: what trials must have in common before their accuracies can be compared, where the table tells it
COMPARABLE = ("data", "recipe", "epochs", "images")


def require_columns(table: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """Check that the columns exist.

    Raises:
        DataError: one is missing.
    """
    missing = [name for name in columns if name not in table.columns]
    if missing:
        rule = f"{what} needs the columns {', '.join(columns)}"
        raise DataError(rule, value=f"no {', '.join(missing)}", way_out="add or rename the columns")


def usable_rows(
    table: pd.DataFrame, columns: Sequence[str], what: str, *, positive: Sequence[str] = ()
) -> tuple[pd.DataFrame, int]:
    """The rows whose `columns` are finite numbers (and above zero for those in `positive`), as floats.

    Returns:
        Those rows of `table` with a fresh index, and the number of rows that were dropped.

    Raises:
        DataError: a column is missing, is not numeric, or no row is left.
    """
    require_columns(table, columns, what)
    try:
        numbers = table[list(columns)].astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} needs numbers", value=error, way_out="convert the columns") from error
    good = np.isfinite(numbers.to_numpy()).all(axis=1)
    for name in positive:
        good &= numbers[name].to_numpy() > 0
    if not good.any():
        rule = f"{what} needs at least one row with finite {', '.join(columns)}"
        raise DataError(rule, value=f"{len(table)} rows, none usable", way_out="look at the failed trials")
    kept = table.loc[good].copy()
    kept[list(columns)] = numbers.loc[good]
    return kept.reset_index(drop=True), int((~good).sum())


def check_comparable(table: pd.DataFrame, what: str) -> None:
    """Refuse a comparison across data sets or recipes.

    Raises:
        DataError: a column of `COMPARABLE` holds more than one value.
    """
    for name in COMPARABLE:
        if name in table.columns and table[name].nunique(dropna=False) > 1:
            values = ", ".join(str(value) for value in table[name].unique()[:4])
            raise DataError(f"{what} needs trials of one {name}", value=values, way_out=f"select one {name}")


def check_confidence(confidence: float) -> None:
    """Check a confidence level.

    Raises:
        DataError: not from 0.5 to below 1.
    """
    if not 0.5 <= confidence < 1:
        raise DataError("confidence must be from 0.5 to below 1", value=confidence, way_out="use 0.95")
