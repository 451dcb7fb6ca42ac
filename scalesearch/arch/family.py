"""Families: one baseline, one direction of growth, a network for every phi or for every budget.

EfficientNet (Tan and Le, arXiv 1905.11946, equation 3): depth alpha^phi, width beta^phi, resolution gamma^phi, so that
cost grows by about 2^phi. Two ways to get there:

- "nominal": the multipliers at phi, rounded as in the released code (ceil for depth, multiples of 8 with the 0.9 guard
  for width, the nearest px), whatever the result costs. (1.2, 1.1, 1.15) on B0 costs 2.57x at phi = 1, not 2x.
- "realised": the multipliers and the resolution solved along the same direction so that counted MACs are ratio^phi
  times the baseline's, or the budget (`arch.ladder`): the resolution fills the gaps between steps of depth and width.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Final

from scalesearch.arch.cost import cost_of
from scalesearch.arch.ladder import Anchor, Ladder, Rung
from scalesearch.arch.member import Member, member_of
from scalesearch.arch.rules import ScalingRule, rule
from scalesearch.arch.scaling import RELEASED, CompoundCoefficients, Multipliers, Rounding, round_resolution, scale_net
from scalesearch.arch.spec import NetSpec
from scalesearch.errors import BudgetError, ConfigError, SpecError, UnknownNameError
from scalesearch.units import format_count

__all__ = [
    "PAPER",
    "REALISED_ROUNDING",
    "SOLVES",
    "Growth",
    "Member",
    "coefficients_of",
    "family_at_budgets",
    "family_at_phis",
]

SOLVES: Final = ("nominal", "realised")
# every block of depth is a step of alpha; under `ceil` all alphas in (1, 1.25] realise the same B0 at phi = 1
REALISED_ROUNDING: Final = Rounding(depth="largest_remainder")
# arXiv 1905.11946, section 3.3
PAPER: Final = CompoundCoefficients(1.2, 1.1, 1.15)
# rules that were published as coefficients and not as a direction at twice the cost
_PUBLISHED: Final = {"efficientnet": PAPER, "latency_aware": CompoundCoefficients(1.30, 1.16, 1.07)}
# below this a "family" shrinks or stands still while phi grows
_LEAST_PRODUCT: Final = 1.05

Growth = CompoundCoefficients | ScalingRule | str


def coefficients_of(growth: Growth) -> CompoundCoefficients:
    """The bases of a rule: as published where they were ("efficientnet": 1.2, 1.1, 1.15), else the direction at
    twice the nominal cost.

    Raises:
        UnknownNameError: no such rule.
        SpecError: coefficients whose alpha * beta^2 * gamma^2 is not above 1: nothing grows.
    """
    if isinstance(growth, str):
        growth = _PUBLISHED.get(growth) or rule(growth)
    if isinstance(growth, ScalingRule):
        at = growth.at(2.0)
        growth = CompoundCoefficients(at.depth, at.width, at.resolution)
    if not _LEAST_PRODUCT <= growth.nominal_product < 1e6:
        raise SpecError(
            f"alpha * beta^2 * gamma^2 must be at least {_LEAST_PRODUCT} (and below 1e6), so that the family grows",
            value=f"{growth.nominal_product:.4g}",
            way_out="raise a coefficient",
        )
    return growth


def family_at_phis(
    base: NetSpec,
    growth: Growth,
    phis: Sequence[float],
    *,
    solve: str = "realised",
    rounding: Rounding | None = None,
    ratio: float = 2.0,
    tolerance: float = 0.02,
    winner: NetSpec | None = None,
) -> tuple[Member, ...]:
    """One member per phi, in the order given; phi may be a fraction or negative.

    Args:
        base: the baseline, which is the member at phi = 0.
        growth: coefficients, a rule or its name.
        phis: what to scale by.
        solve: "realised" (counted MACs are ratio^phi times the baseline's) or "nominal" (rounded as it comes).
        rounding: None is the released rounding for "nominal", and largest_remainder depths for "realised".
        ratio: MACs of one step of phi over those of the step before.
        tolerance: relative distance from the target that is still a hit; beyond it the nearest is taken and noted.
        winner: the network that must be the member at phi = 1 under "realised", for example a grid's.

    Raises:
        SpecError: nominal: a phi that leaves less than one block, or a resolution under the total stride.
        BudgetError: realised: a phi that no multiplier reaches; names the range.
    """
    coefficients = _checked(growth, solve, ratio, phis)
    if solve == "nominal":
        return tuple(
            _nominal(base, coefficients, phi, ratio**phi, rounding or RELEASED, _name(base, f"phi{_text(phi)}"))
            for phi in phis
        )
    solver = _Solver(base, coefficients, rounding or REALISED_ROUNDING, ratio, tolerance, winner)
    return tuple(solver.member(phi, ratio**phi, _name(base, f"phi{_text(phi)}"), what=f"phi {phi:g}") for phi in phis)


def family_at_budgets(
    base: NetSpec,
    growth: Growth,
    budgets: Sequence[int],
    *,
    solve: str = "realised",
    rounding: Rounding | None = None,
    ratio: float = 2.0,
    tolerance: float = 0.02,
    winner: NetSpec | None = None,
) -> tuple[Member, ...]:
    """One member per budget of multiply-adds, in the order given; the other arguments as in `family_at_phis`.

    Under "nominal" the multipliers are those whose nominal product alone would meet the budget.

    Raises:
        SpecError: nominal: as in `family_at_phis`.
        BudgetError: realised: a budget that no multiplier reaches; names the range.
    """
    coefficients = _checked(growth, solve, ratio, budgets)
    macs = cost_of(base).macs
    texts = [re.sub(r"\.?0+(?=[A-Z]$)", "", text) if "." in (text := format_count(n)) else text for n in budgets]
    names = [
        _name(base, (text if texts.count(text) == 1 else str(budget)).replace(".", "p"))
        for text, budget in zip(texts, budgets, strict=True)
    ]
    if solve == "nominal":
        step = math.log(coefficients.nominal_product)
        return tuple(
            _nominal(base, coefficients, math.log(budget / macs) / step, budget / macs, rounding or RELEASED, name)
            for budget, name in zip(budgets, names, strict=True)
        )
    solver = _Solver(base, coefficients, rounding or REALISED_ROUNDING, ratio, tolerance, winner)
    return tuple(
        solver.member(
            math.log(budget / macs, ratio), budget / macs, name, what=f"a budget of {format_count(budget)} MACs"
        )
        for budget, name in zip(budgets, names, strict=True)
    )


class _Solver:
    """The members of one realised family, all from one ladder."""

    def __init__(
        self,
        base: NetSpec,
        coefficients: CompoundCoefficients,
        rounding: Rounding,
        ratio: float,
        tolerance: float,
        winner: NetSpec | None,
    ):
        self.base, self.coefficients, self.ratio, self.tolerance = base, coefficients, ratio, tolerance
        self.base_macs = cost_of(base).macs
        direction = ScalingRule.along("family", coefficients, "")
        anchors = [Anchor(winner, coefficients.nominal_product, ratio * self.base_macs)] if winner else []
        self.ladder = Ladder(base, direction, rounding, anchors=anchors, tolerance=tolerance)

    def member(self, phi: float, target_ratio: float, name: str, *, what: str) -> Member:
        rung = self.ladder.nearest(target_ratio * self.base_macs)
        realised = rung.macs / self.base_macs
        if abs(realised / target_ratio - 1) > self.tolerance:
            self._refuse_beyond(target_ratio * self.base_macs, what)
        phi_used = math.log(rung.factor) / math.log(self.coefficients.nominal_product)
        at = self.coefficients.multipliers_at(phi_used)
        return member_of(
            self.base,
            rung.spec,
            name=name,
            phi=phi,
            phi_used=phi_used,
            multipliers=at,
            target_ratio=target_ratio,
            resolution_trim=rung.spec.resolution / self.ladder.resolution_at(rung.factor) - 1,
            note=self._note(rung, at, realised / target_ratio - 1),
        )

    def _note(self, rung: Rung, at: Multipliers, miss: float) -> str:
        anchored = rung.anchored and rung.spec.fingerprint != self.base.fingerprint
        notes = [
            *(["the winner itself"] if anchored else []),
            *([f"nearest that rounding allows, {miss:+.1%} off"] if abs(miss) > self.tolerance else []),
            *(
                ["resolution kept at the total stride"]
                if self.base.resolution * at.resolution < self.base.total_stride - 0.5
                else []
            ),
        ]
        return "; ".join(notes)

    def _refuse_beyond(self, target_macs: float, what: str) -> None:
        low, high = self.ladder.reach()
        if low * (1 - self.tolerance) <= target_macs <= high * (1 + self.tolerance):
            return
        phi_low, phi_high = (math.log(macs / self.base_macs, self.ratio) for macs in (low, high))
        raise BudgetError(
            f"{self.base.name} can be scaled along these coefficients to {format_count(low)}..{format_count(high)} "
            f"MACs (phi {phi_low:.2f} to {phi_high:.2f})",
            value=what,
            way_out="choose within that range, another rule or another --baseline",
        )


def _nominal(
    base: NetSpec, coefficients: CompoundCoefficients, phi: float, target: float, rounding: Rounding, name: str
) -> Member:
    """The multipliers at phi, rounded; nothing is solved."""
    try:
        at = coefficients.multipliers_at(phi)
        side = round_resolution(base.resolution * at.resolution, multiple=rounding.resolution_multiple)
    except OverflowError as error:
        raise SpecError("phi must leave a network that can be written down", value=f"{phi:g}") from error
    if base.depth * at.depth < 1:
        raise SpecError(
            f"phi must leave at least one block, but the {base.depth} blocks of {base.name} become "
            f"{base.depth * at.depth:.2g}",
            value=f"phi {phi:g}",
            way_out=_bound(1 / base.depth, coefficients.alpha),
        )
    if side < base.total_stride:
        raise SpecError(
            f"the resolution must be at least the total stride of {base.name}, {base.total_stride} px, but becomes "
            f"{side} px",
            value=f"phi {phi:g}",
            way_out=_bound(base.total_stride / base.resolution, coefficients.gamma),
        )
    try:
        spec = scale_net(base, depth=at.depth, width=at.width, resolution=side, rounding=rounding)
    except SpecError as error:
        raise SpecError(
            f"phi must leave a network that can be written down: {error.rule}", value=f"{error.value} at phi {phi:g}"
        ) from error
    return member_of(base, spec, name=name, phi=phi, phi_used=phi, multipliers=at, target_ratio=target)


def _checked(growth: Growth, solve: str, ratio: float, asked: Iterable[float]) -> CompoundCoefficients:
    if solve not in SOLVES:
        raise UnknownNameError.of("way to solve", solve, SOLVES)
    if not (math.isfinite(ratio) and 1 < ratio <= 100):
        raise ConfigError("one step of phi must multiply MACs by more than 1 and at most 100", value=ratio)
    for value in asked:
        if not (math.isfinite(value) and abs(value) <= 1e18):
            raise ConfigError("a phi or budget must be a finite number", value=value)
    return coefficients_of(growth)


def _bound(part: float, base: float) -> str:
    """The phi at which a multiplier base^phi is down to `part`."""
    phi = math.log(part) / math.log(base)
    # two digits, rounded to the inside
    return f"choose phi of at least {math.ceil(phi * 100) / 100:g}" if phi < 0 else f"choose phi below {phi:.2f}"


def _name(base: NetSpec, suffix: str) -> str:
    return f"{base.name}_{suffix}"


def _text(phi: float) -> str:
    """A number that may stand in an identifier: -0.5 is m0p5."""
    return f"{phi:.12g}".replace("-", "m").replace(".", "p").replace("+", "")
