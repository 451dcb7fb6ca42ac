"""Judging candidates by one smooth law over all trainings instead of one by one.

Model: log(error) = quadratic polynomial in log depth, log width, log resolution + seed effect + noise (a second-order
response surface, Box and Wilson 1951, "On the experimental attainment of optimum conditions", JRSS B 13). Every
comparable training informs every candidate, those of cheaper networks too. The polynomial is taken in the principal
directions of all networks (a quadratic stays one under rotation); a direction in which they hardly differ (FLAT), such
as cost where only candidates of equal cost were trained, gets no curvature. A candidate is worth

    value_j = (1 - error_j) * price_j,     price = (cost / target)^w of the objective, 1 without

and is told apart from the leader L when

    (value_L - value_j) / se_Lj  >  t(1 - (1 - confidence) / (2 * LOOKS), df)

the rule of `evidence`, with se_Lj from the fit by the delta method. A law can be wrong: where several seeds of one
network agree among themselves but not with the law (lack of fit), no winner is named. docs/analysis.md shows by
simulation what this gets right and how often.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from scalesearch.analysis.evidence import LOOKS
from scalesearch.analysis.joint_law import AXES, design_of, log_coordinates
from scalesearch.analysis.regression import LACK_OF_FIT, Regression, number_rows, regress
from scalesearch.analysis.usable import check_comparable, check_confidence, usable_rows
from scalesearch.errors import DataError

__all__ = [
    "FLAT",
    "MIN_DF",
    "MIN_PURE_DF",
    "Frame",
    "Surface",
    "SurfaceVerdict",
    "fit_surface",
    "judge_surface",
    "read_candidates",
]

MIN_DF = 4  # residual degrees of freedom below which no winner is named
MIN_PURE_DF = 2  # repeats (second seeds of a network) below which the law cannot be tested against noise
FLAT = 0.15  # a direction gets no curvature when its range is below this part of the widest direction's
_NAMED = 4  # candidates a sentence names before it says "and n more"

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Frame:
    """Principal directions of a set of networks, scaled to about -1..1."""

    centre: Floats  # (3,) log sizes
    wide: Floats  # (3, k) directions with curvature
    flat: Floats  # (3, m) directions without

    @classmethod
    def of(cls, networks: Floats, candidates: Floats) -> Frame:
        """The frame of (N, 3) log sizes, centred on the (K, 3) candidates."""
        centre = candidates.mean(axis=0)
        points = np.vstack([networks, candidates]) - centre
        turned = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2]
        spread = np.ptp(points @ turned.T, axis=0)
        scaled = turned.T / np.maximum(np.abs(points @ turned.T).max(axis=0), 1e-9)
        wide, there = spread > FLAT * spread.max(), spread > 1e-6
        return cls(centre, scaled[:, wide & there], scaled[:, ~wide & there])

    @property
    def n_terms(self) -> int:
        """Coefficients of the law."""
        k = int(self.wide.shape[1])
        return 1 + k + k * (k + 1) // 2 + int(self.flat.shape[1])

    def design(self, logs: Floats) -> Floats:
        """(N, n_terms) design rows of (N, 3) log sizes."""
        at = logs - self.centre
        return np.hstack([design_of(at @ self.wide, True), at @ self.flat])


@dataclass(frozen=True, slots=True)
class Surface:
    """A fitted surface, and where the candidates lie on it."""

    fit: Regression
    points: Floats  # (K, p) design rows of the candidates
    price: Floats  # (K,)
    n_trials: int
    n_networks: int
    n_dropped: int
    refusal: str  # why there is no law; "" if there is one

    def values(self, coefficients: Floats) -> Floats:
        """(..., K) values of the candidates under coefficients (..., p)."""
        return np.asarray((1 - np.exp(coefficients @ self.points.T)) * self.price, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class SurfaceVerdict:
    """The answer of pooled evidence; see `judge_surface`. The mappings are empty without a law."""

    winner: str | None
    ties: tuple[str, ...]  # cannot be told from the winner, best first; the winner is not among them
    region: tuple[str, ...]  # the fewest candidates that together hold `confidence` of p_best, likeliest first
    p_best: Mapping[str, float]
    value: Mapping[str, float]  # predicted objective
    error: Mapping[str, float]  # predicted error
    ci95: Mapping[str, tuple[float, float] | None]  # of the predicted error, given these seeds
    n_trials: int
    n_networks: int
    n_dropped: int
    residual_sd: float | None  # of log(error)
    lack_of_fit: float | None  # p value; None where it cannot be tested
    enough: bool
    sentence: str


def judge_surface(
    trials: pd.DataFrame,
    candidates: pd.DataFrame,
    *,
    confidence: float = 0.95,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> SurfaceVerdict:
    """Name the best candidate under a smooth law, and all that cannot be told from it.

    Args:
        trials: one row per training of any comparable network: depth, width, resolution (multipliers or sizes), seed,
            accuracy (0..1, below 1). Rows with missing values are dropped and counted.
        candidates: one row each: candidate (name), depth, width, resolution in the same units, and optionally `price`.
        confidence: 1 - confidence bounds the chance that a lone winner is named although another is as good, as long
            as the law holds.
        n_bootstrap: replicates behind `p_best` and `region` (parametric: coefficients redrawn from the fit).
        seed: of the bootstrap.

    Returns:
        A verdict. With `enough` False everybody is a tie and `sentence` says why: too few trainings, nothing repeated
        (MIN_PURE_DF), or a law that does not describe the trainings.

    Raises:
        DataError: a column is missing, a candidate occurs twice or has no size, no training is usable, or trials of
            several data sets or recipes are mixed.
    """
    check_confidence(confidence)
    names, _, _ = read_candidates(candidates)
    surface = fit_surface(trials, candidates)
    if surface.refusal:
        return _refusal(surface, names)
    value = surface.values(surface.fit.coefficients)
    leader = int(value.argmax())
    reason = _reason(surface)
    apart = _told_apart(surface, value, leader, confidence) & (not reason)
    order = [int(i) for i in np.argsort(-value, kind="stable") if i != leader]
    ties = tuple(names[i] for i in order if not apart[i])
    p_best = _probability_best(surface, n_bootstrap, seed)
    error = np.exp(surface.points @ surface.fit.coefficients)
    half = surface.fit.half_widths(surface.points)
    return SurfaceVerdict(
        winner=names[leader],
        ties=ties,
        region=_region(names, p_best, confidence),
        p_best=dict(zip(names, p_best.tolist(), strict=True)),
        value=dict(zip(names, value.tolist(), strict=True)),
        error=dict(zip(names, error.tolist(), strict=True)),
        ci95={n: _interval(e, h) for n, e, h in zip(names, error.tolist(), half.tolist(), strict=True)},
        n_trials=surface.n_trials,
        n_networks=surface.n_networks,
        n_dropped=surface.n_dropped,
        residual_sd=surface.fit.sd,
        lack_of_fit=surface.fit.lack_of_fit,
        enough=not reason,
        sentence=_sentence(surface, names[leader], ties, len(names), float(p_best[leader]), reason, confidence),
    )


def fit_surface(trials: pd.DataFrame, candidates: pd.DataFrame) -> Surface:
    """Fit the law to the trainings and place the candidates on it; see `judge_surface` for the tables and errors."""
    check_comparable(trials, "a surface")
    with_error = trials.assign(error=1 - trials["accuracy"]) if "accuracy" in trials.columns else trials
    columns = [*AXES, "seed", "accuracy", "error"]
    rows, dropped = usable_rows(with_error, columns, "a surface", positive=[*AXES, "error"])
    _, sizes, price = read_candidates(candidates)
    logs = log_coordinates(rows, AXES)
    frame = Frame.of(logs, sizes)
    networks = number_rows(np.round(logs, 9))
    seeds = pd.factorize(rows["seed"])[0].astype(np.int64)
    fit = regress(frame.design(logs), np.log(rows["error"].to_numpy()), networks, seeds)
    n_networks = int(networks.max()) + 1
    refusal = ""
    if n_networks < frame.n_terms:
        refusal = f"too few networks for a surface: {frame.n_terms} coefficients, {n_networks} networks trained"
    elif not fit.full_rank:
        refusal = "no surface: the networks trained do not differ enough to tell depth, width and resolution apart"
    elif fit.r2 is None:
        refusal = "no surface: every training has the same accuracy"
    return Surface(fit, frame.design(sizes), price, len(rows), n_networks, dropped, refusal)


def read_candidates(candidates: pd.DataFrame) -> tuple[list[str], Floats, Floats]:
    """Names, (K, 3) log sizes in the order of AXES, and (K,) prices.

    Raises:
        DataError: a column is missing, a name occurs twice, or a size is not a positive number.
    """
    columns = [*AXES, "price"] if "price" in candidates.columns else list(AXES)
    rows, dropped = usable_rows(candidates, columns, "a table of candidates", positive=columns)
    if dropped or "candidate" not in rows.columns or rows["candidate"].duplicated().any():
        rule = "candidates need different names in the column candidate, and positive sizes"
        raise DataError(rule, value=f"{len(candidates)} rows, {dropped} without sizes")
    price = rows["price"].to_numpy(dtype=np.float64) if "price" in rows.columns else np.ones(len(rows))
    return rows["candidate"].astype(str).tolist(), log_coordinates(rows, AXES), price


def _told_apart(surface: Surface, value: Floats, leader: int, confidence: float) -> Flags:
    fit = surface.fit
    # gradient of each value with respect to the coefficients: -error * price * x
    slope = -(surface.price - value)[:, None] * surface.points
    error = (fit.sd or 0.0) * np.sqrt(fit.variances(slope[leader] - slope))
    critical = float(stdtrit(max(fit.sd_df, 1), 1 - (1 - confidence) / (2 * LOOKS)))
    gap = value[leader] - value
    return np.asarray(gap > np.maximum(critical * error, 1e-12), dtype=np.bool_)


def _probability_best(surface: Surface, n_bootstrap: int, seed: int) -> Floats:
    """Share of replicates in which each candidate leads; equal values share. (K,), sums to 1."""
    if surface.fit.sd is None:
        return np.full(len(surface.points), 1 / len(surface.points))
    values = surface.values(surface.fit.replicates(n_bootstrap, seed))
    best = values >= values.max(axis=1, keepdims=True) - 1e-12
    return np.asarray((best / best.sum(axis=1, keepdims=True)).mean(axis=0), dtype=np.float64)


def _region(names: Sequence[str], p_best: Floats, confidence: float) -> tuple[str, ...]:
    order = np.argsort(-p_best, kind="stable")
    count = int(np.searchsorted(np.cumsum(p_best[order]), confidence - 1e-9)) + 1
    return tuple(names[i] for i in order[:count])


def _interval(error: float, half: float) -> tuple[float, float] | None:
    return (error * math.exp(-half), error * math.exp(half)) if half < 700 else None


def _reason(surface: Surface) -> str:
    """Why the surface may not name a winner; "" if it may."""
    fit = surface.fit
    if fit.df < MIN_DF:
        return f"{surface.n_trials} trainings leave {fit.df} degrees of freedom, a verdict needs {MIN_DF}"
    if fit.pure_df < MIN_PURE_DF or not fit.pure_sd:
        return "too few networks were trained with a second seed to test the law against noise"
    if fit.misfit:
        return f"the law does not describe the trainings (lack of fit, p = {fit.lack_of_fit:.3f} < {LACK_OF_FIT:g})"
    return ""


def _refusal(surface: Surface, names: Sequence[str]) -> SurfaceVerdict:
    return SurfaceVerdict(
        winner=None,
        ties=tuple(names),
        region=tuple(names),
        p_best={},
        value={},
        error={},
        ci95={},
        n_trials=surface.n_trials,
        n_networks=surface.n_networks,
        n_dropped=surface.n_dropped,
        residual_sd=None,
        lack_of_fit=None,
        enough=False,
        sentence=surface.refusal,
    )


def _sentence(
    surface: Surface, winner: str, ties: Sequence[str], n: int, p_best: float, reason: str, confidence: float
) -> str:
    basis = f"surface over {surface.n_trials} trainings of {surface.n_networks} networks"
    if n == 1:
        return f"{winner} is the only candidate ({basis})"
    if reason:
        return f"too little evidence to tell the {n} candidates apart: {winner} leads on a {basis}, but {reason}"
    if not ties:
        others = "the other is" if n == 2 else f"the {n - 1} others are"
        return f"{winner} is best: {others} told apart from it ({basis}, probability of best {p_best:.2f})"
    named = ", ".join(ties[:_NAMED]) + (f" and {len(ties) - _NAMED} more" if len(ties) > _NAMED else "")
    return (
        f"a tie between {len(ties) + 1} of {n} candidates: {winner} leads ({basis}, probability of best {p_best:.2f}), "
        f"but {named} cannot be told from it at {confidence:.0%} confidence"
    )
