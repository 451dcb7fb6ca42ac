"""Candidates of equal cost: the alpha, beta, gamma to compare at one step of phi.

EfficientNet (arXiv 1905.11946, section 3.3) fixes phi = 1 and searches alpha, beta, gamma on the lattice
alpha * beta^2 * gamma^2 ~ 2. Rounding breaks that constraint (the paper's own choice costs 2.57x its baseline),
and many triples realise one network. Here every candidate is a realised network with its counted cost:

- "realised": alpha and beta come from a lattice, and the resolution is the one that brings counted MACs closest
  to `ratio` times the baseline's; kept within `tolerance`.
- "nominal": the paper's lattice, |alpha * beta^2 * gamma^2 - ratio| <= nominal_tolerance, whatever it really costs.

Equal networks are one candidate whose `region` names all its lattice points. The published rules, each followed
along its own direction until counted MACs reach the ratio, are always among the candidates.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from scalesearch.arch.cost import Cost, cost_of
from scalesearch.arch.lattice import Lattice, best_resolutions
from scalesearch.arch.rules import rule
from scalesearch.arch.scaling import CompoundCoefficients, Rounding
from scalesearch.arch.solve import best_resolution, scaled_side, solve_along
from scalesearch.arch.spec import NetSpec
from scalesearch.arch.spread import spread_out
from scalesearch.errors import BudgetError, ConfigError, UnknownNameError

__all__ = ["CONSTRAINTS", "Candidate", "IsoCostSettings", "Plan", "fold", "plan_candidates"]

CONSTRAINTS: Final = ("realised", "nominal")
_MAX_LATTICE: Final = 20_000
# networks from which counting all sides of all of them with numpy beats a bisection for each, numpy's import included
_MANY: Final = 150
# a published rule that rounding keeps this far from the ratio is listed, but comparing it would mean nothing
_RULE_TOLERANCE: Final = 0.15
_DEFAULT_RULES: Final = ("efficientnet", "fast", "uniform", "depth_only", "width_only", "resolution_only")
# every block of depth is a step of alpha; under `ceil` all alphas in (1, 1.25] realise the same B0
_REALISED_ROUNDING: Final = Rounding(depth="largest_remainder")


@dataclass(frozen=True, slots=True)
class IsoCostSettings:
    """Which candidates to consider.

    Args:
        ratio: cost of a candidate over the baseline's; any positive number but 1 (below 1 shrinks).
        constraint: "realised" (counted MACs) or "nominal" (the paper's lattice).
        tolerance: relative distance of counted MACs from the ratio that is still kept ("realised").
        nominal_tolerance: absolute distance of the nominal product from the ratio ("nominal").
        step: lattice step of alpha and beta (and of gamma under "nominal").
        max_candidates: candidates kept for training; the rest is left out evenly, the published rules never.
        rules: published rules that are always among the candidates.
        rounding: how multipliers become integers.

    Raises:
        ConfigError, UnknownNameError: a value outside these rules.
    """

    ratio: float = 2.0
    constraint: str = "realised"
    tolerance: float = 0.05
    nominal_tolerance: float = 0.1
    step: float = 0.05
    max_candidates: int = 10
    rules: tuple[str, ...] = _DEFAULT_RULES
    rounding: Rounding = _REALISED_ROUNDING

    def __post_init__(self) -> None:
        if self.constraint not in CONSTRAINTS:
            raise UnknownNameError.of("constraint", self.constraint, CONSTRAINTS)
        if not (0.01 <= self.ratio <= 1000 and abs(self.ratio - 1) >= 0.01):
            raise ConfigError("ratio must lie in 0.01..1000 and differ from 1", value=self.ratio)
        for name, low, high in (("tolerance", 0, 1), ("nominal_tolerance", 0, 100), ("step", 0.001, 10)):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"{name} must lie in {low}..{high}", value=getattr(self, name))
        if self.max_candidates < 1:
            raise ConfigError("max_candidates must be at least 1", value=self.max_candidates)
        for name in self.rules:
            rule(name)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One realised network and everything that leads to it.

    `coefficients` is the lattice point (or the rule's own point) that stands for the network, `region` every
    lattice point that realises it, `rules` the published rules that do. `folded` are candidates that are not trained
    because training could not tell them from this one. `reason` says why it is not kept,
    or what is notable about one that is.
    """

    coefficients: CompoundCoefficients
    spec: NetSpec
    cost: Cost
    realised_ratio: float
    rules: tuple[str, ...] = ()
    region: tuple[CompoundCoefficients, ...] = ()
    folded: tuple[Candidate, ...] = ()
    kept: bool = True
    reason: str = ""

    @property
    def fingerprint(self) -> str:
        """Identity of the realised network."""
        return self.spec.fingerprint


@dataclass(frozen=True, slots=True)
class Plan:
    """All candidates around a baseline. `n_lattice` counts lattice points before deduplication."""

    baseline: NetSpec
    baseline_cost: Cost
    n_lattice: int
    candidates: tuple[Candidate, ...]

    @property
    def kept(self) -> tuple[Candidate, ...]:
        """The candidates to train."""
        return tuple(candidate for candidate in self.candidates if candidate.kept)


def plan_candidates(base: NetSpec, settings: IsoCostSettings) -> Plan:
    """Count, filter and deduplicate every candidate around `base`.

    Raises:
        ConfigError: the lattice is too fine.
        BudgetError: no lattice point satisfies the constraint; names the nearest and lists the closest.
    """
    base_cost = cost_of(base)
    realised = settings.constraint == "realised"
    points = _realised_points(base, base_cost, settings) if realised else _nominal_points(base, settings)
    lattice = [_candidate(base_cost, region, spec) for spec, region in points]
    merged = _merged([*lattice, *_rule_candidates(base, base_cost, settings)])
    judged = [_judged(candidate, settings) for candidate in merged]
    # a rule is kept wherever it ends up; the constraint itself must leave at least one lattice point
    if not any(candidate.kept and candidate.region and not candidate.reason for candidate in judged) and (
        realised or not lattice
    ):
        raise _nothing_feasible(judged, settings)
    n_lattice = sum(len(candidate.region) for candidate in lattice)
    return Plan(base, base_cost, n_lattice, tuple(_spread(judged, settings)))


def fold(plan: Plan, pairs: Sequence[tuple[int, int]]) -> Plan:
    """Fold kept candidates that training could not tell apart into one.

    Args:
        pairs: (first, later) indices into `plan.kept`; each first one names the later ones as `folded`.
    """
    kept = list(plan.kept)
    replaced: dict[str, Candidate] = {}
    for first, later in pairs:
        one, other = replaced.get(kept[first].fingerprint, kept[first]), kept[later]
        replaced[one.fingerprint] = replace(one, folded=(*one.folded, other))
        replaced[other.fingerprint] = replace(other, kept=False, reason=f"same proxy as {one.spec.name}")
    return replace(plan, candidates=tuple(replaced.get(c.fingerprint, c) for c in plan.candidates))


def _axis(ratio: float, step: float) -> list[float]:
    """1, 1 + step, ... up to the ratio (down to it where the ratio is below 1); 1 is always included."""
    count = math.floor(abs(ratio - 1) / step + 1e-9)
    sign = 1 if ratio > 1 else -1
    return [round(1 + sign * step * index, 10) for index in range(count + 1)]


def _realised_points(
    base: NetSpec, base_cost: Cost, settings: IsoCostSettings
) -> Iterator[tuple[NetSpec, list[CompoundCoefficients]]]:
    """(alpha, beta) of the lattice with the resolution that brings counted MACs closest to the ratio, by network."""
    ratio, grows = settings.ratio, settings.ratio > 1
    alphas, betas = _axis(ratio, settings.step), _axis(math.sqrt(ratio), settings.step)
    _check_lattice_size(len(alphas) * len(betas))
    lattice = Lattice(base, alphas, betas, settings.rounding)
    pairs: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for i, alpha in enumerate(alphas):
        for j, beta in enumerate(betas):
            # leave out what is nominally beyond the ratio by a fifth even without any resolution
            nominal = alpha * beta**2
            if (nominal > 1.2 * ratio) if grows else (nominal < ratio / 1.2):
                continue
            pairs.setdefault((lattice.depth_of[i], lattice.width_of[j]), []).append((alpha, beta))
    low, high = (base.resolution, 8192) if grows else (base.total_stride, base.resolution)
    target, bounds = (
        ratio * base_cost.macs,
        {"low": low, "high": high, "multiple": settings.rounding.resolution_multiple},
    )
    sides = best_resolutions(lattice, target, **bounds) if _vectorised(len(pairs)) else None
    for (depth, width), of in pairs.items():
        spec = lattice.spec(depth, width, base.resolution)
        side = best_resolution(spec, target, **bounds) if sides is None else int(sides[depth, width])
        region = [CompoundCoefficients(alpha, beta, side / base.resolution) for alpha, beta in of]
        yield _named(base, region[0], spec.with_(resolution=side)), region


def _nominal_points(base: NetSpec, settings: IsoCostSettings) -> Iterator[tuple[NetSpec, list[CompoundCoefficients]]]:
    """The paper's lattice: every triple whose nominal product is within the tolerance of the ratio, by network."""
    axis = _axis(settings.ratio, settings.step)
    _check_lattice_size(len(axis) ** 2)
    lattice = Lattice(base, axis, axis, settings.rounding)
    sides = [scaled_side(base, gamma, settings.rounding) for gamma in axis]
    found: dict[tuple[int, int, int], list[CompoundCoefficients]] = {}
    for i, alpha in enumerate(axis):
        for j, beta in enumerate(axis):
            for gamma, side in zip(axis, sides, strict=True):
                if abs(alpha * beta**2 * gamma**2 - settings.ratio) <= settings.nominal_tolerance:
                    network = lattice.depth_of[i], lattice.width_of[j], side
                    found.setdefault(network, []).append(CompoundCoefficients(alpha, beta, gamma))
    for network, region in found.items():
        yield _named(base, region[0], lattice.spec(*network)), region


def _vectorised(networks: int) -> bool:
    """Whether numpy is faster; where it is not installed, nothing here needs it."""
    return "numpy" in sys.modules or (networks >= _MANY and importlib.util.find_spec("numpy") is not None)


def _check_lattice_size(count: int) -> None:
    if count > _MAX_LATTICE:
        raise ConfigError(
            f"the lattice must have at most {_MAX_LATTICE} points of alpha and beta", value=count, way_out="raise step"
        )


def _rule_candidates(base: NetSpec, base_cost: Cost, settings: IsoCostSettings) -> Iterator[Candidate]:
    for name in settings.rules:
        factor, spec = solve_along(base, rule(name), settings.ratio * base_cost.macs, settings.rounding)
        at = rule(name).at(factor)
        coefficients = CompoundCoefficients(at.depth, at.width, spec.resolution / base.resolution)
        candidate = _candidate(base_cost, [coefficients], _named(base, coefficients, spec))
        yield replace(candidate, rules=(name,), region=())


def _named(base: NetSpec, c: CompoundCoefficients, spec: NetSpec) -> NetSpec:
    return spec.with_(name=f"{base.name}_a{c.alpha:.3g}_b{c.beta:.3g}_r{spec.resolution}")


def _candidate(base_cost: Cost, region: Sequence[CompoundCoefficients], spec: NetSpec) -> Candidate:
    cost = cost_of(spec)
    return Candidate(region[0], spec, cost, cost.macs / base_cost.macs, region=tuple(region))


def _merged(candidates: Iterable[Candidate]) -> list[Candidate]:
    """One candidate per realised network, in order of first appearance."""
    by_fingerprint: dict[str, Candidate] = {}
    for candidate in candidates:
        known = by_fingerprint.get(candidate.fingerprint)
        if known is not None:
            candidate = replace(known, region=known.region + candidate.region, rules=known.rules + candidate.rules)
        by_fingerprint[candidate.fingerprint] = candidate
    return [_represented(candidate) for candidate in by_fingerprint.values()]


def _represented(candidate: Candidate) -> Candidate:
    """Let the lattice point whose nominal product is nearest to the realised ratio stand for the region."""
    if not candidate.region:
        return candidate
    nearest = min(candidate.region, key=lambda c: abs(c.nominal_product - candidate.realised_ratio))
    return replace(candidate, coefficients=nearest)


def _judged(candidate: Candidate, settings: IsoCostSettings) -> Candidate:
    off = candidate.realised_ratio / settings.ratio - 1
    away = f"costs {candidate.realised_ratio:.3f}x, {abs(off):.1%} {'over' if off > 0 else 'under'} the ratio"
    if abs(off) <= settings.tolerance:
        return candidate
    near_rule = candidate.rules and abs(off) <= _RULE_TOLERANCE
    if near_rule or settings.constraint == "nominal":
        return replace(candidate, reason=f"kept although it {away}")
    return replace(candidate, kept=False, reason=away)


def _nothing_feasible(judged: list[Candidate], settings: IsoCostSettings) -> BudgetError:
    closest = sorted((c for c in judged if c.region), key=lambda c: abs(c.realised_ratio / settings.ratio - 1))
    if not closest:
        return BudgetError(
            f"no lattice point has a nominal product within {settings.nominal_tolerance:g} of {settings.ratio:g}",
            value=f"step {settings.step:g}",
            way_out="lower step or raise nominal_tolerance",
        )
    rows = [_row(candidate) for candidate in closest[:5]]
    return BudgetError(
        f"no candidate costs {settings.ratio:g}x within {settings.tolerance:.2%}",
        value=f"at the nearest: {' '.join(rows[0].split())}",
        way_out="raise tolerance or lower step",
        table="\n".join(["closest candidates:", *rows]),
    )


def _row(candidate: Candidate) -> str:
    c = candidate.coefficients
    return f"alpha {c.alpha:.3f}  beta {c.beta:.3f}  gamma {c.gamma:.3f}  ratio {candidate.realised_ratio:.4f}"


def _spread(judged: list[Candidate], settings: IsoCostSettings) -> list[Candidate]:
    """Keep at most `max_candidates`, spread evenly over the directions of growth; rules are never left out."""
    kept = [candidate for candidate in judged if candidate.kept]
    seeds = [index for index, candidate in enumerate(kept) if candidate.rules]
    positions = [_shares(candidate.coefficients) for candidate in kept]
    chosen = {kept[index].fingerprint for index in spread_out(positions, settings.max_candidates, first=seeds)}
    left_out = f"left out by max_candidates={settings.max_candidates}"
    return [
        candidate
        if not candidate.kept or candidate.fingerprint in chosen
        else replace(candidate, kept=False, reason=left_out)
        for candidate in judged
    ]


def _shares(coefficients: CompoundCoefficients) -> tuple[float, ...]:
    """log2 of what each axis multiplies the cost by: (log alpha, 2 log beta, 2 log gamma)."""
    return (
        math.log2(coefficients.alpha),
        2 * math.log2(coefficients.beta),
        2 * math.log2(coefficients.gamma),
    )
