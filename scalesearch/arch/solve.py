"""Solving for a budget on counted multiply-adds, after rounding: the cost of a network is a step function.

Every solver returns the realised network whose closed-form MACs come closest to the target, never a nominal one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from scalesearch.arch.cost import cost_of
from scalesearch.arch.rules import ScalingRule
from scalesearch.arch.scaling import Multipliers, Rounding, round_resolution, scale_net
from scalesearch.arch.spec import MAX_DEPTH, NetSpec
from scalesearch.errors import BudgetError
from scalesearch.units import format_count

__all__ = ["best_resolution", "rescale_to", "scaled_by", "scaled_depth", "scaled_side", "solve_along"]

_MAX_RESOLUTION = 8192
# the search spans six decades down and four up: beyond that a "scaled" network has nothing of its baseline left
_MIN_FACTOR, _MAX_FACTOR = 1e-6, 1e4
_TRIM = 0.08


def scaled_by(base: NetSpec, multipliers: Multipliers, rounding: Rounding, *, name: str | None = None) -> NetSpec:
    """The realised network of three multipliers; its resolution never falls below the total stride."""
    return scale_net(
        base,
        depth=scaled_depth(base, multipliers.depth),
        width=multipliers.width,
        resolution=scaled_side(base, multipliers.resolution, rounding),
        rounding=rounding,
        name=name,
    )


def scaled_depth(base: NetSpec, multiplier: float) -> float:
    """The multiplier of depth, as far as a budget can reach: no spec can hold more."""
    return min(multiplier, MAX_DEPTH / max(base.depths))


def scaled_side(base: NetSpec, multiplier: float, rounding: Rounding) -> int:
    """The realised resolution in px, never below the total stride."""
    multiple = rounding.resolution_multiple
    side = round_resolution(base.resolution * multiplier, multiple=multiple)
    lowest = -(-base.total_stride // multiple) * multiple
    return min(max(side, lowest), _MAX_RESOLUTION)


def best_resolution(
    spec: NetSpec, target_macs: float, *, low: int, high: int = _MAX_RESOLUTION, multiple: int = 1
) -> int:
    """The resolution in [low, high], a multiple of `multiple` px, whose counted MACs are nearest to the target.

    MACs never fall when the resolution grows, so a bisection finds the step at which they pass the target. Of
    resolutions that cost the same, the highest is taken.
    """
    lowest = -(-max(low, spec.total_stride) // multiple)
    highest = max(lowest, high // multiple)
    below, above = lowest, highest
    while above - below > 1:
        middle = (below + above) // 2
        if cost_of(spec, resolution=middle * multiple).macs < target_macs:
            below = middle
        else:
            above = middle
    chosen = min(
        below, above, key=lambda step: (abs(cost_of(spec, resolution=step * multiple).macs - target_macs), step)
    )
    # odd sides cost what the next even one does, because strides round up: take the whole plateau
    macs = cost_of(spec, resolution=chosen * multiple).macs
    while chosen < highest and cost_of(spec, resolution=(chosen + 1) * multiple).macs == macs:
        chosen += 1
    return chosen * multiple


def solve_along(
    base: NetSpec, rule: ScalingRule, target_macs: float, rounding: Rounding, *, tolerance: float = 0.05
) -> tuple[float, NetSpec]:
    """Follow a rule's direction until counted MACs are nearest to the target.

    Depth and width move in coarse steps on a small network. Where no point of the direction comes within `tolerance`
    of the target, a rule that grows resolution at all is trimmed by it, at most `_TRIM` away from its own resolution;
    a rule for depth or width alone stays pure.

    Returns:
        The cost factor s of `rule.at(s)` and the realised network there.
    """

    def realised(factor: float) -> NetSpec:
        return scaled_by(base, rule.at(factor), rounding, name=f"{base.name}_{rule.name}")

    def nearest(specs: Iterable[tuple[float, NetSpec]]) -> tuple[float, float, NetSpec]:
        found = ((abs(cost_of(spec).macs / target_macs - 1), factor, spec) for factor, spec in specs)
        return min(found, key=lambda row: row[:2])

    centre = _bisect_factor(lambda factor: cost_of(realised(factor)).macs, target_macs)
    # rounding makes MACs not quite monotone along the rule, so look around the crossing
    exact = [(factor, realised(factor)) for factor in _around(centre)]
    error, factor, spec = nearest(exact)
    if error > tolerance and rule.resolution_share:
        error, factor, spec = nearest((factor, _trimmed(spec, target_macs, rounding)) for factor, spec in exact)
    return factor, spec


def _trimmed(spec: NetSpec, target_macs: float, rounding: Rounding, *, trim: float = _TRIM) -> NetSpec:
    side = best_resolution(
        spec,
        target_macs,
        low=math.ceil(spec.resolution * (1 - trim)),
        high=math.floor(spec.resolution * (1 + trim)),
        multiple=rounding.resolution_multiple,
    )
    return spec.with_(resolution=side)


def rescale_to(
    spec: NetSpec, target_macs: int, rule: ScalingRule, rounding: Rounding, *, tolerance: float = 0.10
) -> NetSpec:
    """The network scaled along a rule, then trimmed in resolution, to cost `target_macs`; larger or smaller.

    Args:
        tolerance: the relative distance from the target that is still accepted: a few MACs buy only coarse steps.

    Raises:
        BudgetError: no multiplier reaches the target; names the reachable range.
    """
    factor, _ = solve_along(spec, rule, target_macs, rounding)
    # the budget is what was asked for: every point near the crossing may be trimmed by resolution, rules aside
    points = (scaled_by(spec, rule.at(near), rounding) for near in _around(factor, spread=1.6, points=97))
    sides = (_trimmed(point, target_macs, rounding, trim=0.25) for point in points)
    result = min(sides, key=lambda point: abs(cost_of(point).macs - target_macs))
    macs = cost_of(result).macs
    if abs(macs / target_macs - 1) > tolerance:
        low, high = (cost_of(scaled_by(spec, rule.at(end), rounding)).macs for end in (_MIN_FACTOR, _MAX_FACTOR))
        within = low <= target_macs <= high
        raise BudgetError(
            f"{spec.name} can be scaled to {format_count(min(low, macs))}..{format_count(max(high, macs))} MACs"
            + (", in steps of its rounding" if within else ""),
            value=f"{format_count(target_macs)} (nearest: {format_count(macs)})",
            way_out=f"choose {format_count(macs)}" if within else "choose a target in that range or another --baseline",
        )
    return result.with_(name=f"{spec.name}_{format_count(target_macs)}")


def _bisect_factor(macs_at: Callable[[float], int], target_macs: float) -> float:
    low, high = _MIN_FACTOR, _MAX_FACTOR
    for _ in range(48):
        middle = (low * high) ** 0.5
        if macs_at(middle) < target_macs:
            low = middle
        else:
            high = middle
        if high / low < 1.002:
            break
    return high


def _around(centre: float, *, spread: float = 1.08, points: int = 33) -> Iterator[float]:
    """Factors from centre / spread to centre * spread, evenly in logs."""
    for index in range(points):
        yield centre * spread ** (2 * index / (points - 1) - 1)
