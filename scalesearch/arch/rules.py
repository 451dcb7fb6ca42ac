"""Published scaling rules in one table, each as a direction in (depth, width, resolution).

A rule says how growth is shared: with e_d + e_w + e_r = 1 and a cost factor s,
d = s^e_d, w = s^(e_w / 2), r = s^(e_r / 2), so that d * w^2 * r^2 = s
(Dollar, Singh and Girshick, "Fast and Accurate Model Scaling", arXiv 2103.06877, equation 5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from scalesearch.arch.scaling import CompoundCoefficients, Multipliers
from scalesearch.errors import UnknownNameError

__all__ = ["RULES", "ScalingRule", "rule"]


@dataclass(frozen=True, slots=True)
class ScalingRule:
    """A direction of growth: the shares of log cost that go to depth, width and resolution (sum 1)."""

    name: str
    depth_share: float
    width_share: float
    resolution_share: float
    source: str

    def __post_init__(self) -> None:
        total = self.depth_share + self.width_share + self.resolution_share
        assert math.isclose(total, 1.0, abs_tol=1e-9), (self.name, total)

    def at(self, cost_factor: float) -> Multipliers:
        """Multipliers whose nominal product d * w^2 * r^2 is `cost_factor` (positive; below 1 shrinks)."""
        multipliers = Multipliers(
            depth=cost_factor**self.depth_share,
            width=cost_factor ** (self.width_share / 2),
            resolution=cost_factor ** (self.resolution_share / 2),
        )
        assert math.isclose(multipliers.nominal_product, cost_factor, rel_tol=1e-9)
        return multipliers

    @classmethod
    def along(cls, name: str, coefficients: CompoundCoefficients, source: str) -> ScalingRule:
        """The direction of a coefficient triple: shares log alpha : 2 log beta : 2 log gamma."""
        total = math.log(coefficients.nominal_product)
        return cls(
            name,
            math.log(coefficients.alpha) / total,
            2 * math.log(coefficients.beta) / total,
            2 * math.log(coefficients.gamma) / total,
            source,
        )


_TABLE: Final = (
    ScalingRule.along(
        "efficientnet", CompoundCoefficients(1.2, 1.1, 1.15), "Tan and Le, arXiv 1905.11946, section 3.3"
    ),
    ScalingRule("fast", 0.1, 0.8, 0.1, "Dollar et al., arXiv 2103.06877: alpha = 0.8, width first"),
    ScalingRule("uniform", 1 / 3, 1 / 3, 1 / 3, "Dollar et al., arXiv 2103.06877: uniform compound scaling (dwr)"),
    ScalingRule.along(
        "latency_aware",
        CompoundCoefficients(1.30, 1.16, 1.07),
        "derived from Li et al., arXiv 2102.05610: half the resolution share, for datacentre accelerators",
    ),
    ScalingRule("depth_only", 1.0, 0.0, 0.0, "single axis, arXiv 1905.11946, figure 3"),
    ScalingRule("width_only", 0.0, 1.0, 0.0, "single axis, arXiv 1905.11946, figure 3"),
    ScalingRule("resolution_only", 0.0, 0.0, 1.0, "single axis, arXiv 1905.11946, figure 3"),
)

RULES: Final = {entry.name: entry for entry in _TABLE}


def rule(name: str) -> ScalingRule:
    """A published rule by name.

    Raises:
        UnknownNameError: no such rule.
    """
    if name not in RULES:
        raise UnknownNameError.of("scaling rule", name, RULES)
    return RULES[name]
