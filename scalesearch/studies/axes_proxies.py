"""The small networks that are trained for the points of the curves, and what they distort."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from scalesearch.analysis.saturation import MIN_COSTS
from scalesearch.arch.cost import cost_of
from scalesearch.arch.spec import NetSpec
from scalesearch.errors import SpecError
from scalesearch.studies.axes_plan import AxesPlan, AxisPoint
from scalesearch.studies.axes_settings import AxesSettings
from scalesearch.studies.trainings import check_pictures, enlarged, few_steps, stand_in, trial_recipe

if TYPE_CHECKING:
    from scalesearch.data.prepare import SourceInfo

__all__ = ["AxesProxies", "candidate_rows", "plan_proxies"]

_SPREAD: Final = 1.1  # proxies' cost per cost of their networks, dearest over cheapest


@dataclass(frozen=True, slots=True)
class AxesProxies:
    """The trained stand-ins.

    Attributes:
        baseline_macs: of the baseline's proxy.
        of: by the full-size network's fingerprint.
        stands_for: the network under whose name a network is trained: itself, or the first one with the same proxy.
        warnings: what a reader must know.
    """

    baseline_macs: int
    of: Mapping[str, NetSpec]
    stands_for: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    @property
    def trained(self) -> list[str]:
        """Fingerprints of the networks that are trained, each once."""
        return [name for name, first in self.stands_for.items() if name == first]

    @property
    def largest_side(self) -> int:
        """The highest resolution any of them is trained at, in px."""
        return max(proxy.resolution for proxy in self.of.values())

    def ratio(self, fingerprint: str) -> float:
        """MACs of a proxy over those of the baseline's proxy."""
        return cost_of(self.of[fingerprint]).macs / self.baseline_macs


def plan_proxies(plan: AxesPlan, settings: AxesSettings, info: SourceInfo) -> tuple[AxesPlan, AxesProxies]:
    """Shrink every network for the data; points without a possible proxy are left out with the reason.

    Raises:
        SpecError: the baseline, or fewer than two networks, have a proxy of at least their total stride.
        DataError: the pictures of one training, or those it is judged on, cannot hold every class.
    """
    check_pictures(settings.proxy, settings.recipe, info)

    def shrink(spec: NetSpec) -> NetSpec:
        return stand_in(spec, settings.proxy, info, plan.baseline.resolution)

    baseline_macs = cost_of(shrink(plan.baseline)).macs
    proxies: dict[str, NetSpec] = {}
    errors: dict[str, SpecError] = {}
    for fingerprint, spec in plan.networks.items():
        try:
            proxies[fingerprint] = shrink(spec)
        except SpecError as error:
            errors[fingerprint] = error
    if len(proxies) < 2:
        raise next(iter(errors.values()))
    points = tuple(_possible(point, errors) for point in plan.points)
    plan = replace(plan, points=points)
    first: dict[str, str] = {}
    stands_for = {name: first.setdefault(proxy.fingerprint, name) for name, proxy in proxies.items()}
    found = AxesProxies(baseline_macs, proxies, stands_for)
    return plan, replace(found, warnings=tuple(_warnings(plan, found, settings, info)))


def _possible(point: AxisPoint, errors: Mapping[str, SpecError]) -> AxisPoint:
    """The point, or the reason why its proxy cannot exist."""
    error = errors.get(point.spec.fingerprint) if point.kept and point.spec is not None else None
    return point if error is None else replace(point, reason=f"cannot be trained: {error.rule}, got {error.value}")


def _warnings(plan: AxesPlan, proxies: AxesProxies, settings: AxesSettings, info: SourceInfo) -> Iterator[str]:
    for curve in plan.lines:
        if (n := len(plan.kept(curve))) < MIN_COSTS:
            yield f"the curve {curve} has {n} points; a curve with a floor needs {MIN_COSTS}, so it will not be fitted"
    for point in plan.points:
        if not point.kept:
            at = f" at {point.asked:g}x" if point.asked is not None else ""
            yield f"{point.curve}{at} is not trained, {point.reason}"
    if shared := len(proxies.of) - len(proxies.trained):
        yield f"networks that share a proxy with another and its accuracy: {shared}; the proxy is too coarse"
    shares = [proxies.ratio(name) / plan.ratio(spec) for name, spec in plan.networks.items()]
    if max(shares) / min(shares) > _SPREAD:
        yield (
            f"proxies get {min(shares):.2f} to {max(shares):.2f} times the compute their networks' cost would give "
            "them, because feature maps of a few px round up (a larger proxy.resolution may narrow this)"
        )
    yield from enlarged(proxies.largest_side, info)
    yield from few_steps(trial_recipe(settings.proxy, settings.recipe, info.n_train), info)


def candidate_rows(plan: AxesPlan, proxies: AxesProxies | None = None) -> list[dict[str, Any]]:
    """One row per distinct network, kept ones first: the table candidates.csv."""
    curves: dict[str, list[str]] = {}
    specs: dict[str, tuple[NetSpec, str]] = {}
    for point in sorted(plan.points, key=lambda point: not point.kept):
        if point.spec is not None:
            specs.setdefault(point.spec.fingerprint, (point.spec, point.reason))
            curves.setdefault(point.spec.fingerprint, []).append(point.curve)
    rows = []
    for fingerprint, (spec, reason) in specs.items():
        cost = cost_of(spec)
        proxy = proxies.of.get(fingerprint) if proxies else None
        first = proxies.stands_for.get(fingerprint, fingerprint) if proxies else fingerprint
        rows.append(
            {
                "name": spec.name,
                "curves": "+".join(dict.fromkeys(curves[fingerprint])),
                "ratio": round(plan.ratio(spec), 6),
                "macs": cost.macs,
                "params": cost.params,
                "activations": cost.activations,
                "resolution": spec.resolution,
                "fingerprint": fingerprint,
                "kept": "false" if reason else "true",
                "reason": reason,
                "depths": " ".join(map(str, spec.depths)),
                "widths": " ".join(map(str, spec.widths)),
                "proxy_resolution": proxy.resolution if proxy else None,
                "proxy_macs": cost_of(proxy).macs if proxy else None,
                "proxy_ratio": round(proxies.ratio(fingerprint), 6) if proxies and proxy else None,
                "shares_proxy_with": specs[first][0].name if first != fingerprint else None,
            }
        )
    return rows
