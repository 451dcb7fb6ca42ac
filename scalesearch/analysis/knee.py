"""Where growing stops paying: points of accuracy per doubling of cost, and the cost beyond which they are too few.

On a fitted curve error = a + b * x^-c the doubling from x to 2x gains 100 * b * x^-c * (1 - 2^-c) points, which falls
with x; the knee is where it equals the points asked for:

    x = (100 * b * (1 - 2^-c) / points)^(1 / c)

One point is the default because it is about what the EfficientNet family itself paid: from B0 (77.1 %, .386G) to B7
(84.3 %, 37.7G; arXiv 1905.11946, Table 2) 7.2 points for 6.6 doublings. Intervals come from the fit's bootstrap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from scalesearch.analysis.saturation import SaturationFit, tails
from scalesearch.errors import DataError
from scalesearch.units import format_count

__all__ = ["POINTS", "Knee", "find_knee", "marginal_gain"]

POINTS = 1.0  # points of accuracy that a doubling must buy

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Knee:
    """The cost beyond which a doubling buys less than `points`."""

    state: str  # "reached", "before the first cost", "not reached" or "not known"
    points: float
    cost: float | None  # only where it was reached
    low: float | None  # interval of the knee; None: open, before the first cost
    high: float | None  # None: open, beyond the last doubling measured
    sentence: str


def marginal_gain(fit: SaturationFit, cost: ArrayLike | None = None) -> pd.DataFrame:
    """Points of accuracy that the doubling from each cost to twice that buys.

    Args:
        cost: where the doublings start; by default the first cost and every doubling within the measured range.

    Returns:
        One row per cost: cost, gain, low, high (points; NaN without a fit) and measured, whether the whole doubling
        lies within the costs of the data.
    """
    if cost is None:
        doublings = max(1, math.floor(math.log2(fit.last_cost / fit.first_cost) + 1e-9))
        cost = fit.first_cost * 2.0 ** np.arange(doublings)
    costs = np.atleast_1d(np.asarray(cost, dtype=np.float64))
    gain = low = high = np.full(len(costs), math.nan)
    if fit.b is not None and fit.c is not None:
        x = costs / fit.first_cost
        gain = _gain(x, fit.b.value, fit.c.value)
        if len(fit.replicates):
            _, b, c = fit.replicates.T[:, :, None]
            low, high = np.quantile(_gain(x, b, c), tails(fit.confidence), axis=0)
    inside = (costs >= fit.first_cost * (1 - 1e-9)) & (2 * costs <= fit.last_cost * (1 + 1e-9))
    return pd.DataFrame({"cost": costs, "gain": gain, "low": low, "high": high, "measured": inside})


def find_knee(fit: SaturationFit, *, points: float = POINTS) -> Knee:
    """The cost beyond which a doubling buys less than `points`, if the data say so.

    The knee counts as reached only where the doubling that starts at it was measured; a fit that is not identified
    has no knee.

    Raises:
        DataError: points is not positive.
    """
    if not (math.isfinite(points) and points > 0):
        raise DataError("points per doubling must be positive", value=points, way_out="use 1.0")
    what = f"a doubling of cost buys less than {points:g} point{'' if points == 1 else 's'} of accuracy"
    if not fit.identified or fit.b is None or fit.c is None:
        return Knee("not known", points, None, None, None, f"where {what} is not known: {fit.why}")
    log_cost = math.log(fit.first_cost) + _log_knee(np.array([fit.b.value]), np.array([fit.c.value]), points)[0]
    draws = math.log(fit.first_cost) + _log_knee(fit.replicates[:, 1], fit.replicates[:, 2], points)
    first, last = math.log(fit.first_cost), math.log(fit.last_cost / 2)
    below, above = (
        np.quantile(draws, tails(fit.confidence), method="inverted_cdf") if len(draws) else (-math.inf, math.inf)
    )
    low = None if below < first else math.exp(min(below, last))
    high = None if above > last else math.exp(max(above, first))
    if log_cost < first:
        sentence = f"{what} already at the first cost, {format_count(fit.first_cost)}"
        return Knee("before the first cost", points, None, low, high, sentence + _range(low, high))
    if log_cost > last:
        sentence = f"that {what} is not reached within the measured range, up to {format_count(fit.last_cost)}"
        return Knee("not reached", points, None, low, high, sentence + _range(low, high))
    cost = math.exp(log_cost)
    return Knee("reached", points, cost, low, high, f"beyond {format_count(cost)} {what}{_range(low, high)}")


def _gain(x: Floats, b: Floats | float, c: Floats | float) -> Floats:
    return np.asarray(100 * b * x**-c * (1 - 2.0**-c), dtype=np.float64)


def _log_knee(b: Floats, c: Floats, points: float) -> Floats:
    """Logarithm of the knee in units of the first cost; -inf where nothing is gained at all."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(100 * b * (1 - 2.0**-c) / points) / c, dtype=np.float64)


def _range(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return " (the interval is wider than the measured range)"
    start = "before the first cost" if low is None else format_count(low)
    return f" (interval: {start} to {'beyond the last doubling' if high is None else format_count(high)})"
