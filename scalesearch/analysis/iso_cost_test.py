"""Does compound scaling beat each single axis at equal cost? Paired over seeds, corrected for several comparisons.

Difference of a seed: accuracy of the reference minus accuracy of the axis, same seed, same cost. t test on its mean;
the sd is pooled over all networks of a budget by the additive model of `evidence` (three seeds of one pair say almost
nothing about their own spread), so it has (networks - 1) * (seeds - 1) degrees of freedom. Effect size: Cohen's
d_z = mean difference / sd of the pair's own differences (Cohen 1988, Statistical Power Analysis, section 2.3.5).
p values are corrected by Holm (1979), "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6;
intervals are not corrected.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from scalesearch.analysis.evidence import MIN_SEEDS, fit_additive
from scalesearch.analysis.usable import check_comparable, check_confidence, require_columns, usable_rows
from scalesearch.errors import DataError

__all__ = ["COST_TOLERANCE", "Difference", "IsoCostTest", "compare_iso_cost", "holm"]

COST_TOLERANCE = 0.05  # networks of one budget may differ by so much in realised cost

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """Reference against one axis at one budget; points of accuracy, positive where the reference is better."""

    axis: str
    budget: str
    n_seeds: int  # seeds that both have
    points: float | None  # mean difference; None without a common seed
    low: float | None
    high: float | None
    d_z: float | None  # None with one seed or without any spread
    p: float | None
    p_holm: float | None
    cost_ratio: float | None  # reference over axis
    verdict: str  # "better", "worse", "not told apart" or "too few seeds"


@dataclass(frozen=True, slots=True)
class IsoCostTest:
    """All comparisons of a reference with the axes; see `compare_iso_cost`."""

    reference: str
    differences: tuple[Difference, ...]
    n_dropped: int
    warnings: tuple[str, ...]
    sentence: str


def compare_iso_cost(
    trials: pd.DataFrame, *, reference: str = "compound", confidence: float = 0.95, tolerance: float = COST_TOLERANCE
) -> IsoCostTest:
    """Compare the reference with every other axis at equal cost.

    Args:
        trials: one row per training: axis ("width", "compound", ...), seed, accuracy (0..1), optionally budget (a
            name; networks are compared within one) and cost. Rows without an accuracy are dropped and counted.
        reference: the axis that the others are compared with.
        confidence: of intervals and verdicts.
        tolerance: relative difference in cost above which a comparison is warned of as not iso-cost.

    Returns:
        One `Difference` per budget and axis. Fewer than MIN_SEEDS common seeds give no verdict.

    Raises:
        DataError: a column is missing, the reference has no training, an axis has two trainings with one seed, or
            trials of several data sets or recipes are mixed.
    """
    check_confidence(confidence)
    check_comparable(trials, "a comparison at equal cost")
    require_columns(trials, ["axis", "seed", "accuracy"], "a comparison at equal cost")
    rows, dropped = usable_rows(trials, ["accuracy"], "a comparison at equal cost")
    if reference not in set(rows["axis"].astype(str)):
        known = ", ".join(sorted(set(rows["axis"].astype(str))))
        raise DataError("the reference needs trainings", value=reference, way_out=f"choose from {known}")
    rows = rows.assign(axis=rows["axis"].astype(str), budget=rows["budget"].astype(str) if "budget" in rows else "")
    if rows.duplicated(["axis", "budget", "seed"]).any():
        raise DataError("an axis may have one training per budget and seed", way_out="keep one of the rows")
    raw = [
        found
        for _, budget in rows.groupby("budget", sort=False)
        for found in _differences(budget, reference, confidence)
    ]
    adjusted = holm([p for _, p in raw])
    differences = tuple(_judged(d, p, q, confidence) for (d, p), q in zip(raw, adjusted, strict=True))
    warnings = tuple(_warnings(differences, tolerance, dropped))
    return IsoCostTest(reference, differences, dropped, warnings, _sentence(reference, differences))


def holm(p_values: list[float | None]) -> list[float | None]:
    """Holm's adjusted p values; missing ones stay missing and do not count."""
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, i) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        adjusted[i] = highest
    return adjusted


def _differences(rows: pd.DataFrame, reference: str, confidence: float) -> Iterator[tuple[Difference, float | None]]:
    """Every axis of one budget against the reference, with its p value."""
    wide = rows.pivot(index="axis", columns="seed", values="accuracy")
    if reference not in wide.index:
        return
    costs = rows.groupby("axis")["cost"].mean() if "cost" in rows.columns else None
    fit = fit_additive(wide.to_numpy(dtype=np.float64))
    measured = fit.sd is not None and fit.sd > 1e-12
    for axis in wide.index:
        if axis == reference:
            continue
        pair = (wide.loc[reference] - wide.loc[axis]).dropna().to_numpy(dtype=np.float64)
        n, mean = len(pair), float(pair.mean()) if len(pair) else None
        own = float(pair.std(ddof=1)) if n > 1 else 0.0
        low = high = p = None
        if mean is not None and fit.sd is not None and measured:
            error = fit.sd * math.sqrt(2 / n)
            half = float(stdtrit(fit.df, (1 + confidence) / 2)) * error
            low, high, p = mean - half, mean + half, 2 * float(stdtr(fit.df, -abs(mean) / error))
        yield (
            Difference(
                axis=str(axis),
                budget=str(rows["budget"].iloc[0]),
                n_seeds=n,
                points=_points(mean),
                low=_points(low),
                high=_points(high),
                d_z=mean / own if mean is not None and own > 1e-12 else None,
                p=p,
                p_holm=None,
                cost_ratio=None if costs is None else float(costs[reference] / costs[axis]),
                verdict="",
            ),
            p if n >= MIN_SEEDS else None,
        )


def _points(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _judged(difference: Difference, p: float | None, p_holm: float | None, confidence: float) -> Difference:
    if p is None or p_holm is None or difference.points is None:
        verdict = "too few seeds" if difference.n_seeds < MIN_SEEDS else "not told apart"
    elif p_holm >= 1 - confidence:
        verdict = "not told apart"
    else:
        verdict = "better" if difference.points > 0 else "worse"
    return replace(difference, p_holm=p_holm, verdict=verdict)


def _warnings(differences: tuple[Difference, ...], tolerance: float, dropped: int) -> Iterator[str]:
    if dropped:
        yield f"{dropped} trainings without an accuracy left out"
    for d in differences:
        if d.cost_ratio is not None and not 1 - tolerance <= d.cost_ratio <= 1 + tolerance:
            yield f"{d.axis}{_at(d)} is not at equal cost: the reference costs {d.cost_ratio:.2f} times as much"


def _sentence(reference: str, differences: tuple[Difference, ...]) -> str:
    if not differences:
        return f"nothing to compare {reference} with"
    parts = []
    for verdict in ("better", "worse", "not told apart", "too few seeds"):
        chosen = [f"{d.axis}{_at(d)}" + _gap(d) for d in differences if d.verdict == verdict]
        word = {"better": "is better than", "worse": "is worse than", "not told apart": "cannot be told from"}
        if chosen:
            parts.append(f"{word.get(verdict, 'has too few seeds in common with')} {', '.join(chosen)}")
    return f"{reference} {'; '.join(parts)}"


def _at(difference: Difference) -> str:
    return f" at {difference.budget}" if difference.budget else ""


def _gap(difference: Difference) -> str:
    return "" if difference.points is None else f" ({difference.points:+.2f} points)"
