"""How promising an untrained network is: the expected improvement of the objective, on a log scale.

Jones, Schonlau and Welch 1998, "Efficient global optimization of expensive black-box functions", equation 15; computed
on a log scale as in Ament et al. 2023 (arXiv 2310.20708, equations 8 and 9), because plain expected improvement
is zero to machine precision for most candidates and cannot rank them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, ndtr

__all__ = ["LEVEL_FLOOR", "improvement_in_value", "level_of", "log_expected_improvement", "target_of"]

Array = NDArray[np.float64]

#: errors are told apart down to this one
LEVEL_FLOOR: Final = 1e-3

_HALF_LOG_TWO_PI: Final = 0.5 * np.log(2 * np.pi)
_HALF_LOG_HALF_PI: Final = 0.5 * np.log(np.pi / 2)
# below this z the first term of the asymptotic series is exact to 3e-8, and the general form is not any more
_FAR: Final = -1e4


def target_of(level: Array) -> Array:
    """What the model regresses on: -log of the error 1 - level, which follows power laws of a network's size.

    Args:
        level: objective without its cost factor, i.e. accuracy, 0..1.
    """
    return -np.log(1 - np.clip(level, 0.0, 1.0) + LEVEL_FLOOR)


def level_of(target: Array) -> Array:
    """The inverse of `target_of`, within 0..1."""
    return np.clip(1 - np.exp(-target) + LEVEL_FLOOR, 0.0, 1.0)


def log_expected_improvement(mean: Array, deviation: Array, threshold: Array | float) -> Array:
    """log E[max(0, f - threshold)] for f ~ N(mean, deviation^2), exact also where the expectation underflows.

    With z = (mean - threshold) / deviation it is log(deviation) + log h(z), h(z) = pdf(z) + z cdf(z).
    """
    z = (mean - threshold) / deviation
    return np.asarray(np.log(deviation) + _log_h(z), dtype=np.float64)


def improvement_in_value(mean: Array, deviation: Array, log_bonus: Array, best: float) -> Array:
    """log of the expected improvement of log value over `best`, to first order around the threshold; shape as `mean`.

    A candidate improves where level > exp(best - log_bonus). Its target must exceed that level's target, and beyond it
    each unit of target is worth d log level / d target = (1 - level) / level of log value.

    Args:
        mean, deviation: of the target (`target_of`), per candidate.
        log_bonus: log of the objective's cost factor, known exactly.
        best: log value to beat.

    Returns:
        -inf where even a perfect accuracy would not do.
    """
    needed = np.exp(best - log_bonus)
    level = np.minimum(needed, 1.0)
    slope = (1 - level + LEVEL_FLOOR) / np.maximum(level, 1e-12)
    gain = log_expected_improvement(mean, deviation, target_of(level)) + np.log(slope)
    return np.where(needed >= 1.0, -np.inf, gain)


def _log_h(z: Array) -> Array:
    """log(pdf(z) + z cdf(z)) in three ranges, none of which loses digits."""
    near, far = z > -1, z < _FAR
    out = np.empty_like(z)
    x = z[near]
    out[near] = np.log(np.exp(-0.5 * x * x - _HALF_LOG_TWO_PI) + x * ndtr(x))
    x = z[far]
    out[far] = -0.5 * x * x - _HALF_LOG_TWO_PI - 2 * np.log(-x)
    x = z[~near & ~far]
    # 1 - sqrt(pi/2) |z| erfcx(|z| / sqrt 2), by expm1 because the product tends to 1
    ratio = np.log(erfcx(-x / np.sqrt(2)) * -x) + _HALF_LOG_HALF_PI
    out[~near & ~far] = -0.5 * x * x - _HALF_LOG_TWO_PI + np.log(-np.expm1(np.minimum(ratio, -1e-300)))
    return out
