"""Does the cheap proxy rank networks as longer training does, and does it favour wide ones?

Agreement: Kendall's tau-b and Spearman's rho between proxy scores and longer training, with percentile bootstrap
intervals over the networks (Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13). Width bias: short
trainings are known to favour width (the one published 5-epoch grid prefers high beta and low alpha); it shows as a rank
correlation between log width and the places that a network loses when it is trained longer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

from scalesearch.analysis.regression import Estimate
from scalesearch.analysis.usable import check_comparable, check_confidence, usable_rows

__all__ = ["MIN_NETWORKS", "RankAgreement", "WidthBias", "rank_agreement", "width_bias"]

MIN_NETWORKS = 5  # below that an order says nothing
_DRAWN = 1_000_000  # networks drawn over all replicates
_MANY = 100  # networks from which sorting draw by draw is faster than comparing all pairs of many draws at once
_CHUNK = 2_000_000  # elements of a block of comparisons

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RankAgreement:
    """How well two scores order the same networks; see `rank_agreement`."""

    kendall: Estimate | None  # tau-b, -1..1
    spearman: Estimate | None  # rho, -1..1
    n_networks: int
    n_dropped: int
    enough: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class WidthBias:
    """Whether the proxy flatters wide networks; see `width_bias`."""

    correlation: Estimate | None  # Spearman of log width with the places lost by longer training; positive: flattered
    n_networks: int
    n_dropped: int
    biased: bool
    sentence: str


def rank_agreement(
    scores: pd.DataFrame, *, confidence: float = 0.95, n_bootstrap: int = 1000, seed: int = 0
) -> RankAgreement:
    """Compare the order of proxy scores with the order after longer training.

    Args:
        scores: one row per network: proxy and full (higher is better; means over seeds where there are several).
            Rows with missing values are dropped and counted.
        confidence: of the intervals.
        n_bootstrap: replicates; fewer for more than 1,000 networks.
        seed: of the bootstrap.

    Raises:
        DataError: a column is missing, no row is usable, or rows of several data sets or recipes are mixed.
    """
    check_confidence(confidence)
    check_comparable(scores, "a rank agreement")
    rows, dropped = usable_rows(scores, ["proxy", "full"], "a rank agreement")
    proxy, full, n = rows["proxy"].to_numpy(), rows["full"].to_numpy(), len(rows)
    why = _hopeless(n, proxy, full)
    if why:
        return RankAgreement(None, None, n, dropped, False, f"no rank agreement: {why}")
    draws = np.vstack([np.arange(n), _draws(n, n_bootstrap, seed)])
    kendall = _estimate(_kendall(proxy, full, draws), confidence)
    spearman = _estimate(_spearman(proxy, full, draws), confidence)
    return RankAgreement(kendall, spearman, n, dropped, True, _agreement_sentence(kendall, spearman, n))


def width_bias(scores: pd.DataFrame, *, confidence: float = 0.95, n_bootstrap: int = 1000, seed: int = 0) -> WidthBias:
    """Whether networks fall back in longer training the more the wider they are.

    Args:
        scores: as in `rank_agreement`, with width (multiplier or channels).

    Raises:
        DataError: as in `rank_agreement`.
    """
    check_confidence(confidence)
    check_comparable(scores, "a width bias")
    rows, dropped = usable_rows(scores, ["proxy", "full", "width"], "a width bias", positive=["width"])
    proxy, full, n = rows["proxy"].to_numpy(), rows["full"].to_numpy(), len(rows)
    width = np.log(rows["width"].to_numpy())
    why = _hopeless(n, proxy, full)
    if not why and np.ptp(width) <= 1e-9:
        why = "all networks have the same width"
    if why:
        return WidthBias(None, n, dropped, False, f"no judgement of width bias: {why}")
    # places lost: rank 1 is best, so a network that leads on the proxy only loses many
    lost = rankdata(-full) - rankdata(-proxy)
    if np.ptp(lost) == 0:
        return WidthBias(Estimate(0.0, None, None), n, dropped, False, "no width bias: both orders are the same")
    draws = np.vstack([np.arange(n), _draws(n, n_bootstrap, seed)])
    found = _estimate(_spearman(width, lost, draws), confidence)
    biased = found.low is not None and found.low > 0
    said = f"correlation of log width with places lost {_text(found)}, {n} networks"
    sentence = (
        f"the proxy flatters wide networks: the wider, the more places they lose in longer training ({said})"
        if biased
        else f"no width bias is shown ({said})"
    )
    return WidthBias(found, n, dropped, biased, sentence)


def _hopeless(n: int, proxy: Floats, full: Floats) -> str:
    if n < MIN_NETWORKS:
        return f"{n} networks with both scores, at least {MIN_NETWORKS} are needed"
    for name, values in (("proxy", proxy), ("longer training", full)):
        if np.ptp(values) == 0:
            return f"the {name} gives every network the same score"
    return ""


def _draws(n: int, n_bootstrap: int, seed: int) -> Ints:
    # a hundred replicates do where thousands of networks are compared
    replicates = min(n_bootstrap, max(100, _DRAWN // n))
    return np.random.default_rng(seed).integers(n, size=(replicates, n))


def _kendall(x: Floats, y: Floats, draws: Ints) -> Floats:
    """(R,) tau-b of each draw: sum of sign products over the root of the product of untied pairs."""
    if draws.shape[1] > _MANY:
        return np.array([kendalltau(x[rows], y[rows]).statistic for rows in draws], dtype=np.float64)
    step = max(1, _CHUNK // draws.shape[1] ** 2)
    return np.concatenate([_tau(x[rows], y[rows]) for rows in np.split(draws, range(step, len(draws), step))])


def _tau(x: Floats, y: Floats) -> Floats:
    sign_x = np.sign(x[:, :, None] - x[:, None, :])
    sign_y = np.sign(y[:, :, None] - y[:, None, :])
    untied = np.sqrt(np.abs(sign_x).sum(axis=(1, 2)) * np.abs(sign_y).sum(axis=(1, 2)))
    both = (sign_x * sign_y).sum(axis=(1, 2))
    return np.asarray(np.divide(both, untied, out=np.full_like(both, np.nan), where=untied > 0), dtype=np.float64)


def _spearman(x: Floats, y: Floats, draws: Ints) -> Floats:
    """(R,) correlation of the ranks of each draw."""
    rank_x, rank_y = rankdata(x[draws], axis=1), rankdata(y[draws], axis=1)
    rank_x -= rank_x.mean(axis=1, keepdims=True)
    rank_y -= rank_y.mean(axis=1, keepdims=True)
    size = np.sqrt((rank_x**2).sum(axis=1) * (rank_y**2).sum(axis=1))
    both = (rank_x * rank_y).sum(axis=1)
    return np.asarray(np.divide(both, size, out=np.full_like(both, np.nan), where=size > 0), dtype=np.float64)


def _estimate(values: Floats, confidence: float) -> Estimate:
    """The first value, with the percentiles of the others; draws without an order are left out."""
    low, high = np.nanquantile(values[1:], [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(values[0]), float(low), float(high))


def _text(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def _agreement_sentence(kendall: Estimate, spearman: Estimate, n: int) -> str:
    said = f"Kendall {_text(kendall)}, Spearman {_text(spearman)}, {n} networks"
    if kendall.low is not None and kendall.low > 0:
        return f"the proxy orders networks as longer training does: {said}"
    if kendall.high is not None and kendall.high < 0:
        return f"the proxy orders networks against longer training: {said}"
    return f"it is not shown that the proxy orders networks as longer training does: {said}"
