"""The MnasNet objective: accuracy traded against cost.

Tan et al., arXiv 1807.11626, equation 2: ACC * (cost / T)^w with w = below where cost <= T, else above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from scalesearch.errors import ConfigError

__all__ = ["HARD", "SOFT", "Objective"]


@dataclass(frozen=True, slots=True)
class Objective:
    """ACC * (cost / target)^w; one exponent up to the target, another beyond it.

    Args:
        below: exponent where cost <= target.
        above: exponent where cost > target.

    Raises:
        ConfigError: an exponent that is positive or not finite (it would reward cost).
    """

    below: float = -0.07
    above: float = -0.07

    def __post_init__(self) -> None:
        for name in ("below", "above"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value <= 0):
                raise ConfigError(f"objective exponent {name} must be at most 0", value=value)

    def __call__(self, accuracy: float, cost: float, target: float) -> float:
        """The objective of `accuracy` (0..1) at `cost`, in the unit of `target` (both positive)."""
        assert cost > 0, cost
        assert target > 0, target
        return float(accuracy * (cost / target) ** (self.below if cost <= target else self.above))


SOFT: Final = Objective(-0.07, -0.07)
"""Doubling the cost is worth about 5 % relative accuracy: -log2(1.05) = -0.0704."""

HARD: Final = Objective(0.0, -1.0)
