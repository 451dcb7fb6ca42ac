"""What the figures of a search share: which trainings they show, and the look of short and long ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

__all__ = ["epochs_words", "legend_height", "robust_limits", "searched", "shades"]

# the longest trainings are the darkest; tints of one blue, so that a grey print keeps the order
_TINTS: Final = ("#0072b2", "#6fb3dc", "#bcd9ec", "#dceaf4")
_FAR: Final = 3.0  # interquartile ranges below the lower quartile from where results are drawn on the edge


def searched(trials: pd.DataFrame) -> pd.DataFrame:
    """The trainings of the search itself by ascending number, without those that compared finalists.

    Where epochs are not known, as of results that a table holds, they are 0.
    """
    rows = trials[trials["phase"] == "search"] if "phase" in trials else trials
    epochs = rows["epochs"].astype(float).fillna(0.0) if "epochs" in rows else 0.0
    return rows.assign(epochs=epochs).sort_values("number", kind="stable", ignore_index=True)


def shades(epochs: Sequence[float]) -> dict[float, str]:
    """A colour for each number of epochs, longest first."""
    longest_first = sorted(set(epochs), reverse=True)
    return {length: _TINTS[min(i, len(_TINTS) - 1)] for i, length in enumerate(longest_first)}


def epochs_words(before: str, epochs: float, after: str = "") -> str:
    """ "trained for 4 epochs"; without the epochs where they are not known."""
    if not epochs:
        return before.removesuffix(" for") or after.removeprefix(", ")
    return f"{before} {epochs:g} epoch{'' if epochs == 1 else 's'}{after}".strip()


def robust_limits(values: pd.Series[float], groups: pd.Series[float], *, least: float) -> tuple[float, float]:
    """Limits of an axis that holds all values but those far below the others of their group, at least `least` apart."""
    known = values[np.isfinite(values)]
    if known.empty:
        return 0.0, 1.0
    high = float(known.max())
    low = min(_lowest(group, least) for _, group in known.groupby(groups.fillna(-1.0).loc[known.index]))
    margin = 0.07 * (high - low) + max(0.0, least - (high - low)) / 2
    return low - margin, high + 1.4 * margin


def legend_height(n: int, columns: int, height: float) -> float:
    """Share of a figure of `height` inches that a legend of `n` entries takes."""
    return (0.06 + 0.2 * math.ceil(n / columns)) / height


def _lowest(values: pd.Series[float], least: float) -> float:
    lower, upper = (float(values.quantile(q)) for q in (0.25, 0.75))
    return max(float(values.min()), lower - _FAR * max(upper - lower, least / 4))
