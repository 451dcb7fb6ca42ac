"""Which networks a study of axes trains: the points of every curve, brought to their cost on counted MACs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from scalesearch.arch.catalog import load_spec
from scalesearch.arch.cost import cost_of
from scalesearch.arch.rules import rule
from scalesearch.arch.scaling import Multipliers, round_resolution, scale_net
from scalesearch.arch.solve import solve_along
from scalesearch.arch.spec import NetSpec
from scalesearch.errors import BudgetError, SpecError
from scalesearch.studies.axes_settings import CURVE_OF_RULE, AxesSettings
from scalesearch.studies.grid_plan import baseline_at
from scalesearch.units import format_count

__all__ = ["AxesPlan", "AxisPoint", "plan_axes", "point_row", "sizes_of"]


@dataclass(frozen=True, slots=True)
class AxisPoint:
    """One point of a curve.

    Attributes:
        curve: its curve.
        asked: cost over the baseline's that was asked for; None for a point given by multipliers.
        spec: the realised network at full size; None where none can exist.
        reason: why it is not trained; "" if it is.
    """

    curve: str
    asked: float | None
    spec: NetSpec | None
    reason: str = ""

    @property
    def kept(self) -> bool:
        """Whether it is trained."""
        return not self.reason


@dataclass(frozen=True)
class AxesPlan:
    """Baseline and points. `rescaled_from` is the named network where it was brought to a target."""

    baseline: NetSpec
    rescaled_from: NetSpec | None
    points: tuple[AxisPoint, ...]
    lines: tuple[str, ...]

    @cached_property
    def baseline_macs(self) -> int:
        """Counted multiply-adds of the baseline."""
        return cost_of(self.baseline).macs

    @cached_property
    def networks(self) -> Mapping[str, NetSpec]:
        """The distinct networks of the kept points, by fingerprint."""
        networks: dict[str, NetSpec] = {}
        for point in self.points:
            if point.kept and point.spec is not None:
                networks.setdefault(point.spec.fingerprint, point.spec)
        return networks

    def kept(self, curve: str) -> list[AxisPoint]:
        """The trained points of a curve."""
        return [point for point in self.points if point.curve == curve and point.kept]

    def ratio(self, spec: NetSpec) -> float:
        """Realised multiply-adds over the baseline's."""
        return cost_of(spec).macs / self.baseline_macs

    def budget(self, point: AxisPoint, tolerance: float = 0.05) -> float | None:
        """The ratio at which a point can be compared with others: the one asked for, or one it happens to meet."""
        if point.asked is not None or point.spec is None:
            return point.asked
        ratio = self.ratio(point.spec)
        asked = {other.asked for other in self.points if other.asked is not None}
        near = min(asked, key=lambda other: abs(math.log(ratio / other)), default=None)
        return near if near is not None and abs(ratio / near - 1) <= tolerance else None

    def sentence(self) -> str:
        """What will be trained, in words."""
        macs, name = format_count(self.baseline_macs), self.baseline.name
        was = "" if self.rescaled_from is None else f", rescaled from {format_count(cost_of(self.rescaled_from).macs)}"
        left = sum(not point.kept for point in self.points)
        out = f"; left out: {left} point{'' if left == 1 else 's'}" if left else ""
        return f"baseline {name} ({macs} multiply-adds{was}); curves {', '.join(self.lines)}{out}"


def sizes_of(spec: NetSpec, baseline: NetSpec) -> Multipliers:
    """What a network really is in multiples of the baseline: blocks, geometric mean of stage widths, resolution."""
    logs = [math.log(wide / base) for wide, base in zip(spec.widths, baseline.widths, strict=True)]
    return Multipliers(
        depth=spec.depth / baseline.depth,
        width=math.exp(math.fsum(logs) / len(logs)),
        resolution=spec.resolution / baseline.resolution,
    )


def plan_axes(settings: AxesSettings) -> AxesPlan:
    """The baseline and the points of every curve.

    Raises:
        InputError: an unknown baseline, or a target out of reach.
        BudgetError: fewer than two networks can be trained.
    """
    named = load_spec(settings.baseline)
    target = settings.target_macs
    base = named if target is None else baseline_at(named, target, settings.rounding)
    points = _without_repeats([*_rule_points(base, settings), *_multiplier_points(base, settings)])
    plan = AxesPlan(base, None if base == named else named, tuple(points), settings.curves.lines)
    if len(plan.networks) < 2:
        reasons = "; ".join(dict.fromkeys(point.reason for point in plan.points if point.reason))
        raise BudgetError(
            "curves need at least two networks that can be built",
            value=reasons or "one",
            way_out="change curves.ratios",
        )
    return plan


def _rule_points(base: NetSpec, settings: AxesSettings) -> Iterator[AxisPoint]:
    """Points that follow a rule until their counted MACs reach the ratio."""
    curves = settings.curves
    wanted = [(name, ratio) for name in curves.rules for ratio in sorted(curves.ratios)]
    wanted += [(name, ratio) for name in curves.compare_rules for ratio in sorted(curves.compare_at)]
    for name, ratio in dict.fromkeys(wanted):
        yield _rule_point(base, name, ratio, settings)


def _rule_point(base: NetSpec, name: str, ratio: float, settings: AxesSettings) -> AxisPoint:
    curve = CURVE_OF_RULE.get(name, name)
    if math.isclose(ratio, 1.0):
        return AxisPoint(curve, ratio, base)
    target = ratio * cost_of(base).macs
    _, spec = solve_along(base, rule(name), target, settings.rounding)
    spec = spec.with_(name=f"{base.name}_{curve}_{ratio:g}x")
    realised = cost_of(spec).macs / cost_of(base).macs
    reason = ""
    if abs(realised / ratio - 1) > settings.tolerance:
        reason = f"out of reach: the nearest network of {name} costs {realised:.3g} times the baseline"
    return AxisPoint(curve, ratio, spec, reason)


def _multiplier_points(base: NetSpec, settings: AxesSettings) -> Iterator[AxisPoint]:
    """Points of curves that are given by multipliers."""
    multiple = settings.rounding.resolution_multiple
    for curve, multipliers in settings.curves.multipliers.items():
        for width, depth, resolution in multipliers.points:
            side = round_resolution(base.resolution * resolution, multiple=multiple)
            name = f"{base.name}_w{width:g}_d{depth:g}_r{resolution:g}"
            try:
                spec = scale_net(base, width=width, depth=depth, resolution=side, rounding=settings.rounding, name=name)
            except SpecError as error:
                yield AxisPoint(curve, None, None, f"cannot be built: {error.rule} ({name})")
                continue
            yield AxisPoint(curve, None, base if spec.fingerprint == base.fingerprint else spec)


def _without_repeats(points: list[AxisPoint]) -> Iterator[AxisPoint]:
    """A network counts once on a curve, because a second point at the same place tells nothing."""
    seen: set[tuple[str, str]] = set()
    for point in points:
        if point.spec is None or not point.kept:
            yield point
            continue
        key = (point.curve, point.spec.fingerprint)
        yield replace(point, reason="the same network as another point of the curve") if key in seen else point
        seen.add(key)


def point_row(plan: AxesPlan, point: AxisPoint) -> dict[str, Any]:
    """What is known of a point before anything is trained: the first columns of curves.csv."""
    row: dict[str, Any] = {"curve": point.curve, "asked_ratio": point.asked, "kept": point.kept, "reason": point.reason}
    if point.spec is None:
        return row
    spec, cost, sizes = point.spec, cost_of(point.spec), sizes_of(point.spec, plan.baseline)
    return row | {
        "ratio": cost.macs / plan.baseline_macs,
        "name": spec.name,
        "fingerprint": spec.fingerprint,
        "macs": cost.macs,
        "params": cost.params,
        "activations": cost.activations,
        "resolution": spec.resolution,
        "width_multiplier": sizes.width,
        "depth_multiplier": sizes.depth,
        "resolution_multiplier": sizes.resolution,
    }
