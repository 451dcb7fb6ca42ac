"""Least squares with seed effects and a test of lack of fit: the arithmetic under the joint law and the surface.

Model: y = design @ beta + seed + noise. Seed effects are fitted as nuisances that sum to zero, so an intercept stands
for the mean over the seeds. Pure error is what y = network + seed leaves: noise without any law. Lack of fit is the
F test of the law against that (Draper and Smith 1998, Applied Regression Analysis, section 2.1):

    F = ((RSS - PE) / (df - df_PE)) / (PE / df_PE)

Where it is found (p < LACK_OF_FIT), intervals use the lack-of-fit mean square and its degrees of freedom instead of
the pooled residual, because a misfit is shared by all seeds of a network and more seeds do not average it away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc, stdtrit

__all__ = ["LACK_OF_FIT", "Estimate", "PureError", "Regression", "lack_of_fit", "number_rows", "pure_error", "regress"]

LACK_OF_FIT = 0.05  # p value below which the law does not describe the data

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval; None where there is nothing to judge noise by."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class PureError:
    """What y = network + seed leaves: noise without any law."""

    rss: float
    df: int
    seed_effect: Floats  # (N,) of each row; sums to zero over the seeds

    @property
    def sd(self) -> float | None:
        """Noise of one training; None without networks that have several seeds."""
        return math.sqrt(self.rss / self.df) if self.df > 0 else None


@dataclass(frozen=True, slots=True)
class Regression:
    """A least-squares fit; see the module."""

    coefficients: Floats  # (p,)
    covariance: Floats  # (p, p) of the coefficients in units of sd^2
    rss: float
    df: int  # residual degrees of freedom
    r2: float | None  # share of the variance that the design explains beyond the seeds; None for a constant y
    pure_df: int
    pure_sd: float | None  # noise of one training; None without networks that have several seeds
    lack_of_fit: float | None  # p value; None where it cannot be tested
    full_rank: bool  # False: the data cannot tell the coefficients apart, and they mean nothing

    @property
    def sd(self) -> float | None:
        """What intervals are built on; None without residual degrees of freedom."""
        if self.df <= 0:
            return None
        if self.misfit and self.pure_sd is not None:
            lack = self.rss - self.pure_sd**2 * self.pure_df
            return math.sqrt(max(lack, 0.0) / (self.df - self.pure_df))
        return math.sqrt(self.rss / self.df)

    @property
    def sd_df(self) -> int:
        """Degrees of freedom of `sd`."""
        return self.df - self.pure_df if self.misfit else self.df

    @property
    def misfit(self) -> bool:
        """Whether the law does not describe the data."""
        return self.lack_of_fit is not None and self.lack_of_fit < LACK_OF_FIT

    def half_widths(self, directions: Floats, confidence: float = 0.95) -> Floats:
        """(m,) half widths of the t intervals of `directions` (m, p) times the coefficients; inf without an sd."""
        if self.sd is None:
            return np.full(len(directions), math.inf)
        critical = float(stdtrit(self.sd_df, (1 + confidence) / 2))
        return np.asarray(critical * self.sd * np.sqrt(self.variances(directions)), dtype=np.float64)

    def variances(self, directions: Floats) -> Floats:
        """(m,) variances of `directions` (m, p) times the coefficients, in units of sd^2."""
        return np.asarray(np.einsum("ij,jk,ik->i", directions, self.covariance, directions).clip(0.0), dtype=np.float64)

    def replicates(self, n: int, seed: int) -> Floats:
        """(n, p) coefficients redrawn as the fit's uncertainty has them (parametric bootstrap, the sd redrawn too)."""
        rng = np.random.default_rng(seed)
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        scale = (self.sd or 0.0) * np.sqrt(self.sd_df / rng.chisquare(max(self.sd_df, 1), size=n))
        draws = rng.standard_normal((n, len(values))) @ root.T
        return np.asarray(self.coefficients + scale[:, None] * draws, dtype=np.float64)


def number_rows(rows: Floats) -> Ints:
    """(N,) numbers 0, 1, ... of the distinct rows of an (N, k) array."""
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def regress(design: Floats, y: Floats, network: Ints, seed: Ints) -> Regression:
    """Fit y = design @ beta + seed effects.

    The seeds are eliminated first (Frisch and Waugh 1933): slopes come from deviations from the seeds' means, and the
    intercept is the mean over the seeds of what the slopes leave.

    Args:
        design: (N, p), the first column ones.
        y: (N,).
        network: (N,) number of the network of each row, 0..K-1.
        seed: (N,) number of the seed of each row, 0..S-1.
    """
    counts = np.bincount(seed).astype(np.float64)
    means = _group_means(np.column_stack([y, design[:, 1:]]), seed)
    within = np.column_stack([y, design[:, 1:]]) - means[seed]
    u, s, vt = np.linalg.svd(within[:, 1:], full_matrices=False)
    kept = s > 1e-9 * max(1.0, float(s[0])) if len(s) else np.zeros(0, dtype=np.bool_)
    inverse = np.divide(1.0, s, out=np.zeros_like(s), where=kept)
    slopes = vt.T @ (inverse * (u.T @ within[:, 0]))
    root = vt.T * inverse
    rss = float(((within[:, 0] - within[:, 1:] @ slopes) ** 2).sum())
    tss = float((within[:, 0] ** 2).sum())
    df = len(y) - len(counts) - int(kept.sum())
    # intercept = mean over seeds of (mean y - mean row @ slopes); seed means are independent of the slopes
    to_intercept = np.vstack([-means[:, 1:].mean(axis=0), np.eye(design.shape[1] - 1)])
    covariance = to_intercept @ root @ (to_intercept @ root).T
    covariance[0, 0] += float((1 / counts).sum()) / len(counts) ** 2
    pure = pure_error(y, network, seed)
    return Regression(
        coefficients=np.concatenate([[means[:, 0].mean() - means[:, 1:].mean(axis=0) @ slopes], slopes]),
        covariance=covariance,
        rss=rss,
        df=df,
        r2=1 - rss / tss if tss > 1e-20 * max(1.0, float((y**2).sum())) else None,
        pure_df=pure.df,
        pure_sd=pure.sd,
        lack_of_fit=lack_of_fit(rss, df, pure),
        full_rank=bool(kept.all()) and len(kept) == design.shape[1] - 1,
    )


def pure_error(y: Floats, network: Ints, seed: Ints) -> PureError:
    """Fit y = network + seed effects; arguments as in `regress`."""
    n_networks, n_seeds = int(network.max()) + 1, int(seed.max()) + 1
    # the more numerous of the two is eliminated, the other is fitted with columns
    swapped = n_seeds > n_networks
    many, few = (seed, network) if swapped else (network, seed)
    effects = np.eye(int(few.max()) + 1)[few]
    columns = np.column_stack([y, effects[:, :-1] - effects[:, -1:]])
    within = columns - _group_means(columns, many)[many]
    beta, _, rank, _ = np.linalg.lstsq(within[:, 1:], within[:, 0], rcond=1e-9)
    residual = within[:, 0] - within[:, 1:] @ beta
    fitted = columns[:, 1:] @ beta
    if swapped:
        of_seed = _group_means((y - fitted)[:, None], seed)[:, 0]
        fitted = (of_seed - of_seed.mean())[seed]
    df = len(y) - int(many.max()) - 1 - int(rank)
    return PureError(float((residual**2).sum()), df, fitted)


def _group_means(columns: Floats, group: Ints) -> Floats:
    """(G, k) means of (N, k) columns by group."""
    sums = np.column_stack([np.bincount(group, weights=column) for column in columns.T])
    return np.asarray(sums / np.bincount(group)[:, None], dtype=np.float64)


def lack_of_fit(rss: float, df: int, pure: PureError) -> float | None:
    """p value of a law with this residual sum of squares; None where it cannot be tested."""
    lack_df = df - pure.df
    if pure.df <= 0 or lack_df <= 0 or pure.rss <= 0:
        return None
    return float(fdtrc(lack_df, pure.df, max(rss - pure.rss, 0.0) / lack_df / (pure.rss / pure.df)))
