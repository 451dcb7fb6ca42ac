"""Which candidate is best, and which cannot be told from it.

Model: value(i, s) = quality_i + seed_s + noise, noise ~ N(0, sigma^2): the two-way additive model of paired seeds,
fitted by least squares on whatever (candidate, seed) pairs exist. The decision rule: candidate j is told apart from the
leader L when

    (quality_L - quality_j) / (sigma * sqrt(v_Lj)) > t(1 - (1 - confidence) / (2 * LOOKS), df)

with v_Lj from the design (2/n for n seeds in common and no gaps) and sigma pooled over all candidates. That comparing
the first with the second is enough, without a correction for the number of candidates, is Gutmann and Maymin (1987),
"Is the selected population the best?", Annals of Statistics 15; LOOKS pays for looking after every round of the
race (Bonferroni). docs/evidence.md shows by simulation what this rule gets right and how often.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from scalesearch.errors import ConfigError, DataError, TrialError

__all__ = ["LOOKS", "MIN_SEEDS", "AdditiveFit", "Comparison", "Verdict", "compare", "fit_additive", "judge"]

LOOKS = 8  # looks at the data that the error is shared between; a race takes about six, see docs/evidence.md
MIN_SEEDS = 3  # a winner is never called on fewer seeds of its own
_NAMED = 4  # candidates a sentence names before it says "and n more"

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class AdditiveFit:
    """Least-squares fit of value = quality + seed, for K candidates (rows) and S seeds (columns)."""

    estimate: Floats  # (K,) quality plus the average seed effect; NaN without a value
    covariance: Floats  # (K, K) of the qualities, in units of sigma^2 (a pseudo-inverse: only contrasts have a meaning)
    variance: Floats  # (K,) of the estimate, in units of sigma^2, given these seeds
    residual: Floats  # (K, S), 0 where there is no value
    df: int  # residual degrees of freedom
    sd: float | None  # pooled residual standard deviation; None when df is 0
    block: NDArray[np.int64]  # (K,) candidates joined by common seeds, directly or through others, share a number


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every candidate against the leader."""

    fit: AdditiveFit
    leader: int
    gap: Floats  # (K,) estimate of the leader minus estimate
    error: Floats  # (K,) standard error of the gap; inf where it is not known
    apart: Flags  # (K,) told apart from the leader; False for candidates without a value
    measured: bool  # whether there is a residual sd above rounding to judge gaps by


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of a grid; see `judge`."""

    winner: str
    ties: tuple[str, ...]  # cannot be told from the winner, best first; the winner is not among them
    p_best: Mapping[str, float]
    estimate: Mapping[str, float]
    ci95: Mapping[str, tuple[float, float] | None]
    n_seeds: Mapping[str, int]
    seed_sd: float | None
    enough: bool
    sentence: str


def judge(values: pd.DataFrame, *, confidence: float = 0.95, n_bootstrap: int = 2000, seed: int = 0) -> Verdict:
    """Name the best candidate and all that cannot be told from it.

    Args:
        values: one row per training, columns `candidate` (str), `seed` (int), `value` (higher is better); NaN and
            infinite values are failed trainings and are ignored. The order of the rows does not matter.
        confidence: 1 - confidence bounds the chance that a lone winner is named although another is as good.
        n_bootstrap: replicates behind `p_best`.
        seed: of the bootstrap.

    Returns:
        A verdict in which `estimate`, `ci95` and `p_best` hold the candidates with at least one value. `estimate` is
        the mean over all seeds with the seed effects removed; `ci95` its t interval with the pooled residual sd, given
        these seeds, None when no sd can be estimated (one seed); `p_best` see `_probability_best`. With `enough`
        False (fewer than MIN_SEEDS seeds of the leader, or no residual sd to judge by) everybody is a tie.

    Raises:
        DataError: a column is missing or a (candidate, seed) pair occurs twice.
        ConfigError: confidence or n_bootstrap out of range.
        TrialError: not one training has a value.
    """
    if not 0.5 <= confidence < 1:
        raise ConfigError("confidence must be from 0.5 to below 1", value=confidence, way_out="use 0.95")
    if n_bootstrap < 1:
        raise ConfigError("n_bootstrap must be at least 1", value=n_bootstrap, way_out="use 2000")
    names, matrix = _as_matrix(values)
    counts = np.isfinite(matrix).sum(axis=1)
    n_seeds = dict(zip(names, counts.tolist(), strict=True))
    names, matrix = [name for name in names if n_seeds[name]], matrix[counts > 0]
    result = compare(matrix, confidence)
    fit, leader = result.fit, result.leader
    enough = len(names) == 1 or (result.measured and n_seeds[names[leader]] >= MIN_SEEDS)
    order = [int(i) for i in np.argsort(-fit.estimate, kind="stable") if i != leader]
    ties = tuple(names[i] for i in order if not (enough and result.apart[i]))
    p_best = _probability_best(matrix, fit, n_bootstrap, seed)
    winner = names[leader]
    return Verdict(
        winner=winner,
        ties=ties,
        p_best=dict(zip(names, p_best.tolist(), strict=True)),
        estimate=dict(zip(names, fit.estimate.tolist(), strict=True)),
        ci95=dict(zip(names, _intervals(fit), strict=True)),
        n_seeds=n_seeds,
        seed_sd=fit.sd,
        enough=enough,
        sentence=_sentence(winner, ties, len(names), n_seeds[winner], float(p_best[leader]), enough, confidence),
    )


def compare(values: Floats, confidence: float = 0.95) -> Comparison:
    """Tell candidates from the one with the best estimate.

    Args:
        values: (K, S), one row per candidate, one column per seed, NaN where there is no value.

    Raises:
        TrialError: not one value.
    """
    if not np.isfinite(values).any():
        raise TrialError("no training succeeded, so no candidate can be judged; see the errors of the trials")
    fit = fit_additive(values)
    leader = int(np.nanargmax(fit.estimate))
    gap = fit.estimate[leader] - fit.estimate
    diagonal = np.diagonal(fit.covariance)
    spread = np.maximum(diagonal[leader] + diagonal - 2 * fit.covariance[leader], 0.0)
    error = np.full(len(values), math.inf)
    if fit.sd is not None:
        same_block = fit.block == fit.block[leader]
        error[same_block] = fit.sd * np.sqrt(spread[same_block])
    critical = stdtrit(max(fit.df, 1), 1 - (1 - confidence) / (2 * LOOKS))
    # where seeds make no difference at all (every net at chance, say) nothing is known of the noise: no evidence
    measured = fit.sd is not None and fit.sd > 1e-12 * float(np.nanmax(np.abs(values)))
    apart = (gap > critical * error) & measured
    apart[leader] = False
    return Comparison(fit, leader, gap, error, apart, measured)


def fit_additive(values: Floats) -> AdditiveFit:
    """Fit quality + seed by least squares to a (K, S) matrix with NaN for missing values.

    The seeds are eliminated first: with m the 0/1 design and n_s the values in seed s, the normal equations of the
    qualities are A q = r, A = diag(m 1) - sum_s m_s m_s' / n_s, r = sum_s m_s * (value_s - mean_s).
    """
    there = np.isfinite(values)
    m = there.astype(np.float64)
    y = np.where(there, values, 0.0)
    per_seed = m.sum(axis=0)
    share = m / np.maximum(per_seed, 1)
    seed_mean = (y * share).sum(axis=0)
    laplacian = np.diag(m.sum(axis=1)) - m @ share.T
    covariance = np.linalg.pinv(laplacian, rcond=1e-10, hermitian=True)
    quality = covariance @ (m * (y - seed_mean)).sum(axis=1)
    seed_effect = seed_mean - quality @ share
    residual = m * (y - quality[:, None] - seed_effect)
    block, n_blocks = _blocks(m)
    df = int(there.sum() - (per_seed > 0).sum() - there.any(axis=1).sum() + n_blocks)
    sd = math.sqrt(float((residual**2).sum()) / df) if df > 0 else None
    estimate, variance = np.full(len(m), math.nan), np.full(len(m), math.nan)
    for b in range(n_blocks):
        rows = block == b
        columns = m[rows].any(axis=0)
        # quality plus the mean seed effect of the block, as a contrast of the qualities and of the seed means
        contrast = np.eye(len(m))[rows] - share[:, columns].mean(axis=1)
        estimate[rows] = contrast @ quality + seed_mean[columns].mean()
        level = (1 / per_seed[columns]).sum() / columns.sum() ** 2
        variance[rows] = np.einsum("ij,jk,ik->i", contrast, covariance, contrast) + level
    return AdditiveFit(estimate, covariance, variance, residual, df, sd, block)


def _as_matrix(values: pd.DataFrame) -> tuple[list[str], Floats]:
    missing = sorted({"candidate", "seed", "value"} - set(values.columns))
    if missing:
        raise DataError("trainings need the columns candidate, seed and value", value=f"no {', '.join(missing)}")
    names, seeds = values["candidate"].astype(str).tolist(), values["seed"].tolist()
    numbers = values["value"].to_numpy(dtype=np.float64, na_value=math.nan)
    row = {name: i for i, name in enumerate(sorted(set(names)))}
    column = {s: j for j, s in enumerate(sorted(set(seeds)))}
    matrix, seen = np.full((len(row), len(column)), math.nan), set()
    for name, s, number in zip(names, seeds, numbers, strict=True):
        if (name, s) in seen:
            pair = f"({name}, {s}) twice"
            raise DataError("a candidate may have one training per seed", value=pair, way_out="keep one of the rows")
        seen.add((name, s))
        matrix[row[name], column[s]] = number if math.isfinite(number) else math.nan
    return list(row), matrix


def _blocks(m: Floats) -> tuple[NDArray[np.int64], int]:
    """Number the groups of candidates joined by common seeds; -1 for candidates without a value."""
    block = np.full(len(m), -1, dtype=np.int64)
    n_blocks = 0
    for start in range(len(m)):
        if block[start] >= 0 or not m[start].any():
            continue
        rows, size = np.arange(len(m)) == start, 0
        while rows.sum() > size:
            size = int(rows.sum())
            rows = m[:, m[rows].any(axis=0)].any(axis=1)
        block[rows] = n_blocks
        n_blocks += 1
    return block, n_blocks


def _intervals(fit: AdditiveFit) -> list[tuple[float, float] | None]:
    if fit.sd is None:
        return [None] * len(fit.estimate)
    half = float(stdtrit(fit.df, 0.975)) * fit.sd * np.sqrt(fit.variance)
    return list(zip((fit.estimate - half).tolist(), (fit.estimate + half).tolist(), strict=True))


def _probability_best(values: Floats, fit: AdditiveFit, n_bootstrap: int, seed: int) -> Floats:
    """Share of bootstrap replicates in which each candidate has the best estimate; (K,), sums to 1.

    Bootstrap of residuals over seeds, paired: a replicate draws seeds with replacement, the same for all candidates,
    and adds the residuals of the drawn seeds to the fit, on the design as it is, so that a candidate with two seeds
    stays as uncertain as two seeds make it. Where a candidate was not trained with the drawn seed it gets a residual
    drawn from all. Residuals are scaled by sqrt(N / df) because a fit makes them too small (Davison and Hinkley 1997,
    Bootstrap Methods and their Application, section 6.2.3). Without degrees of freedom nothing is known: 1/K each.
    """
    k, n_columns = values.shape
    if fit.df <= 0:
        return np.full(k, 1 / k)
    there = np.isfinite(values)
    m = there.astype(np.float64)
    rng = np.random.default_rng(seed)
    pool = fit.residual[there] * math.sqrt(there.sum() / fit.df)
    scaled = fit.residual * math.sqrt(there.sum() / fit.df)
    drawn = rng.integers(n_columns, size=(n_bootstrap, n_columns))
    noise = np.where(there[:, drawn], scaled[:, drawn], rng.choice(pool, size=(k, n_bootstrap, n_columns)))
    noise *= m[:, None, :]
    noise -= m[:, None, :] * (noise.sum(axis=0) / np.maximum(m.sum(axis=0), 1))
    replicate = fit.estimate[:, None] + fit.covariance @ noise.sum(axis=2)
    tolerance = 1e-12 * float(np.abs(values[there]).max())
    best = replicate >= replicate.max(axis=0) - tolerance
    shares: Floats = (best / best.sum(axis=0)).mean(axis=1)
    return shares


def _sentence(
    winner: str, ties: Sequence[str], n: int, seeds: int, p_best: float, enough: bool, confidence: float
) -> str:
    count = f"{seeds} seed{'' if seeds == 1 else 's'}"
    if n == 1:
        return f"{winner} is the only candidate with a result ({count})"
    if not enough:
        return f"too little evidence to tell the {n} candidates apart: {winner} leads after {count}, " + (
            f"but a winner needs at least {MIN_SEEDS}" if seeds < MIN_SEEDS else "but seeds make no difference at all"
        )
    if not ties:
        others = "the other is" if n == 2 else f"the {n - 1} others are"
        return f"{winner} is best: {others} told apart from it ({count}, probability of best {p_best:.2f})"
    named = ", ".join(ties[:_NAMED]) + (f" and {len(ties) - _NAMED} more" if len(ties) > _NAMED else "")
    return (
        f"a tie between {len(ties) + 1} of {n} candidates: {winner} leads ({count}, probability of best {p_best:.2f}), "
        f"but {named} cannot be told from it at {confidence:.0%} confidence"
    )
