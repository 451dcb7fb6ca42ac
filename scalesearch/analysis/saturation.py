"""Diminishing returns of one axis: error = a + b * x^-c with x = cost / first cost, a >= 0, b >= 0, c in C_RANGE.

The usual form of a learning curve with a floor (Hestness et al. 2017, arXiv 1712.00409, section 3; Rosenfeld et al.
2020, arXiv 1909.12673). For a given c it is linear in a and b, so the fit is a scan over c with the bounded least
squares of a and b in closed form (variable projection, Golub and Pereyra 1973, SIAM J. Numer. Anal. 10): every start
at once, and no local minimum to be caught in.

Seeds are paired: their effects are removed first, and every cost counts by its number of trainings. Intervals of a, b
and c are profile likelihood intervals, all values with RSS <= RSS_min + sd^2 * t^2 (Bates and Watts 1988, Nonlinear
Regression Analysis, section 6.1.2). Bands come from a parametric bootstrap in which the sd is redrawn too, so that few
degrees of freedom widen them. Both hold given the seeds used. docs/analysis.md shows how often they hold the truth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtrc

from scalesearch.analysis.power_curve import (
    C_RANGE,
    CurveMeans,
    Noise,
    bootstrap,
    curve_at,
    noise_of,
    profile,
    solve,
)
from scalesearch.analysis.regression import Estimate, pure_error
from scalesearch.analysis.usable import check_comparable, check_confidence, usable_rows

__all__ = ["C_RANGE", "MIN_COSTS", "SaturationFit", "fit_curves", "fit_saturation"]

MIN_COSTS = 4  # three coefficients and one to spare
_WIDEST = 10.0  # an exponent known no better than this factor is not known

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SaturationFit:
    """One fitted curve; see `fit_saturation`. a, b and c are None where there are too few points to fit."""

    a: Estimate | None  # error that no cost removes
    b: Estimate | None  # error at the first cost that cost removes
    c: Estimate | None  # exponent
    residual_sd: float | None  # of the error of one training
    r2: float | None  # over the costs' mean errors
    lack_of_fit: float | None  # p value against the noise between seeds; None with one seed
    n_rows: int
    n_costs: int
    n_seeds: int
    n_dropped: int
    first_cost: float
    last_cost: float
    confidence: float
    identified: bool
    why: str  # what stands in the way; "" if identified
    notes: tuple[str, ...]  # what to be careful about
    replicates: Floats = field(repr=False, compare=False)  # (R, 3) a, b, c of the bootstrap

    def predict(self, cost: ArrayLike) -> pd.DataFrame:
        """Error at costs, with its band.

        Returns:
            One row per cost: cost, error, low, high (NaN without a fit) and measured, whether the cost lies between
            the first and the last one of the data.
        """
        costs = np.atleast_1d(np.asarray(cost, dtype=np.float64))
        error = low = high = np.full(len(costs), math.nan)
        if self.a is not None and self.b is not None and self.c is not None:
            x = costs / self.first_cost
            error = self.a.value + self.b.value * x**-self.c.value
            if len(self.replicates):
                a, b, c = self.replicates.T[:, :, None]
                low, high = np.quantile(a + b * x**-c, tails(self.confidence), axis=0)
        measured = (costs >= self.first_cost * (1 - 1e-9)) & (costs <= self.last_cost * (1 + 1e-9))
        return pd.DataFrame({"cost": costs, "error": error, "low": low, "high": high, "measured": measured})


def fit_curves(trials: pd.DataFrame, *, by: str, confidence: float = 0.95) -> Mapping[str, SaturationFit]:
    """`fit_saturation` for each value of the column `by`, in order of appearance."""
    groups = trials.groupby(by, sort=False)
    return {str(name): fit_saturation(rows, confidence=confidence) for name, rows in groups}


def fit_saturation(
    curve: pd.DataFrame, *, confidence: float = 0.95, n_bootstrap: int = 500, seed: int = 0
) -> SaturationFit:
    """Fit a saturating curve, or say why the data cannot carry one.

    Args:
        curve: one row per training: cost (positive, any unit), accuracy (0..1) and `seed` where there are several.
            Rows with missing values are dropped and counted.
        confidence: of all intervals.
        n_bootstrap: replicates behind bands.
        seed: of the bootstrap.

    Returns:
        A fit. `identified` is False, with a sentence in `why`, for fewer than MIN_COSTS costs, an accuracy that does
        not change with cost by more than the noise, points that lie along no such curve, or an exponent that could be
        nearly anything; what could be estimated is still there.

    Raises:
        DataError: a column is missing, no row is usable, or trials of several data sets or recipes are mixed.
    """
    check_confidence(confidence)
    check_comparable(curve, "a saturation fit")
    rows, dropped = usable_rows(curve, ["cost", "accuracy"], "a saturation fit", positive=["cost"])
    means = _means(rows)
    notes = [f"{dropped} rows without cost or accuracy left out"] if dropped else []
    if means.n_seeds == 1:
        notes.append("one seed: noise is judged by the distance from the curve alone")
    why = _hopeless(means)
    solution = np.full(3, math.nan) if why else solve(means.x, means.weight, means.y)
    between = float((means.weight * (means.y - curve_at(means.x, solution)) ** 2).sum())
    noise = Noise(None, 0, None) if why else noise_of(means, between)
    abc: list[Estimate] = []
    replicates = np.zeros((0, 3))
    if noise.sd is not None:
        abc = profile(means, solution, noise, confidence)
        replicates = bootstrap(means, solution, noise, n_bootstrap, seed)
        why = _unidentified(means, abc, between, noise, confidence)
    if noise.misfit:
        notes.append("the curve does not describe the data (lack of fit): intervals include the misfit")
    spread = float((means.weight * (means.y - np.average(means.y, weights=means.weight)) ** 2).sum())
    return SaturationFit(
        a=abc[0] if abc else None,
        b=abc[1] if abc else None,
        c=abc[2] if abc else None,
        residual_sd=noise.sd,
        r2=1 - between / spread if abc and spread > 0 else None,
        lack_of_fit=noise.lack_of_fit,
        n_rows=len(rows),
        n_costs=len(means.x),
        n_seeds=means.n_seeds,
        n_dropped=dropped,
        first_cost=float(rows["cost"].min()),
        last_cost=float(rows["cost"].max()),
        confidence=confidence,
        identified=not why,
        why=why,
        notes=tuple(notes),
        replicates=replicates,
    )


def _means(rows: pd.DataFrame) -> CurveMeans:
    cost, error = rows["cost"].to_numpy(), 1 - rows["accuracy"].to_numpy()
    seeds = pd.factorize(rows["seed"])[0] if "seed" in rows.columns else np.zeros(len(rows))
    costs, place, counts = np.unique(cost, return_inverse=True, return_counts=True)
    pure = pure_error(error, place.astype(np.int64), seeds.astype(np.int64))
    mean = np.bincount(place, weights=error - pure.seed_effect) / counts
    return CurveMeans(costs / costs[0], mean, counts.astype(np.float64), pure, int(seeds.max()) + 1)


def _hopeless(means: CurveMeans) -> str:
    if len(means.x) < MIN_COSTS:
        return f"no curve: {len(means.x)} different costs, a curve with a floor needs at least {MIN_COSTS}"
    if np.ptp(means.y) <= 1e-12:
        return "no curve: the accuracy is the same at every cost"
    return ""


def _unidentified(means: CurveMeans, abc: list[Estimate], between: float, noise: Noise, confidence: float) -> str:
    """Why the coefficients mean nothing; "" if they do."""
    constant = float((means.weight * (means.y - np.average(means.y, weights=means.weight)) ** 2).sum())
    sd, c = noise.sd or 0.0, abc[2]
    if abc[1].value <= 0 or (sd > 0 and fdtrc(2, noise.df, (constant - between) / 2 / sd**2) > 1 - confidence):
        if noise.misfit and abc[1].value > 0:
            return "no curve: none that saturates passes the points as closely as the noise between trainings asks"
        return "no curve: the accuracy does not grow with cost by more than the noise between trainings"
    low, high = c.low or C_RANGE[0], c.high or C_RANGE[1]
    if high >= C_RANGE[1] * 0.99 or low <= C_RANGE[0] * 1.01 or high > _WIDEST * low:
        return f"no curve: the exponent could be anything from {low:.2g} to {high:.2g}; measure more costs or seeds"
    return ""


def tails(confidence: float) -> tuple[float, float]:
    """The two quantiles of a central interval."""
    return (1 - confidence) / 2, (1 + confidence) / 2
