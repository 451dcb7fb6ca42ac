"""Is a feature commoner among a chosen few than a draw at random would make it?"""

from __future__ import annotations

import math

__all__ = ["draw_probability"]


def draw_probability(n_both: int, n_with: int, n_chosen: int, n: int) -> float:
    """Two-sided p of the hypergeometric test (Fisher's exact test): twice the smaller tail, at most 1.

    Args:
        n_both: chosen ones that have the feature.
        n_with: of all that have it.
        n_chosen: chosen out of all, drawn without replacement if nothing but chance is at work.
        n: of all.
    """
    low, high = max(0, n_chosen + n_with - n), min(n_chosen, n_with)
    assert low <= n_both <= high, (n_both, n_with, n_chosen, n)
    whole = _log_comb(n, n_chosen)
    weights = [
        math.exp(_log_comb(n_with, k) + _log_comb(n - n_with, n_chosen - k) - whole) for k in range(low, high + 1)
    ]
    at = n_both - low
    return min(1.0, 2 * min(math.fsum(weights[: at + 1]), math.fsum(weights[at:])))


def _log_comb(n: int, k: int) -> float:
    """log of n over k, by the gamma function: the numbers themselves would not fit."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
