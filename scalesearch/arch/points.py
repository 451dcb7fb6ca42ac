"""The networks a search may propose, as points: one whole number per dimension.

The factorised space of MnasNet (arXiv 1807.11626, section 4.1): every stage chooses its own op, kernel, squeeze-excite,
skip, filters and repeats, and all blocks of a stage are equal. Different points may be the same network (a skip
that cannot be added, two factors that round to one width); `Space.decode` gives such points one and the same spec,
and `Space.encode` its canonical point.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from random import Random
from typing import Final, final

from scalesearch.arch.cost import Cost, cost_of
from scalesearch.arch.spec import NetSpec, StageSpec
from scalesearch.errors import BudgetError, SpecError, UnknownNameError
from scalesearch.units import format_count

__all__ = ["CostWindow", "Dimension", "Point", "Space"]

#: index of the choice, per dimension
Point = tuple[int, ...]

_MEASURES: Final = ("macs", "params", "activations")
_REMEMBERED: Final = 1 << 14  # specs
# draws from the whole space before a walk toward the window: where more than a few per cent of the points are
# allowed, samples are uniform over them
_UNIFORM_DRAWS: Final = 16
_WALK: Final = 120  # steps of one walk
_MORE_CHANGES: Final = 0.4  # chance that a mutation changes one dimension more


@dataclass(frozen=True, slots=True)
class Dimension:
    """One decision, for example "stage2.kernel_size" with the choices (3, 5)."""

    name: str
    choices: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class CostWindow:
    """Networks whose cost lies between two bounds, both included.

    Args:
        measure: "macs", "params" or "activations".
        low: 0 for no lower bound.
        high: infinity for no upper bound.

    Raises:
        UnknownNameError: another measure.
        BudgetError: bounds that hold nothing.
    """

    measure: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if self.measure not in _MEASURES:
            raise UnknownNameError.of("cost measure", self.measure, _MEASURES)
        if not 0 <= self.low <= self.high or not self.high > 0:
            raise BudgetError("a cost window needs 0 <= low <= high and high > 0", value=f"{self.low:g}..{self.high:g}")

    def of(self, cost: Cost) -> float:
        """The number that is compared with the bounds."""
        return float(getattr(cost, self.measure))

    def holds(self, cost: Cost) -> bool:
        """Whether the cost lies within the bounds."""
        return self.low <= self.of(cost) <= self.high

    def distance(self, cost: Cost) -> float:
        """|log| of the factor by which the cost misses the window; 0 inside."""
        value = max(self.of(cost), 1.0)
        if self.holds(cost):
            return 0.0
        return math.log(value / self.high) if value > self.high else math.log(self.low / value)

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"{self.measure} from {format_count(self.low)}"
        if self.low == 0:
            return f"{self.measure} up to {format_count(self.high)}"
        return f"{self.measure} from {format_count(self.low)} to {format_count(self.high)}"


class Space(ABC):
    """A finite set of networks, as the product of its dimensions.

    Args:
        base: everything about the networks that no dimension decides; its stages are a starting point.
        dimensions: the decisions, in the order of a point's numbers.
    """

    def __init__(self, base: NetSpec, dimensions: tuple[Dimension, ...]):
        self.base, self.dimensions = base, dimensions
        self._free = tuple(i for i, dimension in enumerate(dimensions) if len(dimension.choices) > 1)
        assert self._free, "settings refuse a space of one point"
        self._decoded: dict[Point, NetSpec] = {}

    @abstractmethod
    def _stages(self, point: Point) -> tuple[StageSpec, ...]:
        """The stages of a valid point, equal for points that realise the same network stage by stage."""

    @abstractmethod
    def _point(self, spec: NetSpec) -> Point:
        """The canonical point of a network that agrees with the base but for its stages; SpecError if there is none."""

    @property
    def size(self) -> int:
        """Number of points; networks are fewer where points coincide."""
        return math.prod(len(dimension.choices) for dimension in self.dimensions)

    @property
    def start(self) -> Point | None:
        """The base's own point; None where the space does not hold it."""
        try:
            return self.encode(self.base)
        except SpecError:
            return None

    @final
    def decode(self, point: Point) -> NetSpec:
        """The network of a point, called BASE_FINGERPRINT (8 of its hex digits).

        Raises:
            SpecError: not a point of this space, or a network that cannot be built (a resolution too small).
        """
        spec = self._decoded.get(point)
        if spec is None:
            if len(self._decoded) >= _REMEMBERED:
                self._decoded.clear()
            bare = self._realise(point)
            spec = self._decoded[point] = replace(bare, name=f"{self.base.name}_{bare.fingerprint[:8]}")
        return spec

    @final
    def encode(self, spec: NetSpec) -> Point:
        """The canonical point of a network: of all points that decode to it, the one with the lowest choices.

        Raises:
            SpecError: the space does not hold the network.
        """
        if replace(spec, name=self.base.name, stages=self.base.stages) != self.base:
            raise SpecError(
                "a network of the space shares stem, head, resolution and classes with its base",
                value=spec.name,
                way_out=f"the base is {self.base.name}",
            )
        return self._point(spec)

    @final
    def cost(self, point: Point) -> Cost:
        """Closed-form cost of a point's network; cheaper than `decode` where the network itself is not needed."""
        return cost_of(self._realise(point))

    @final
    def sample(self, rng: Random, *, within: CostWindow | None = None, tries: int = 2000) -> Point:
        """A random point; every point (of the window) can come.

        Uniform draws first, then walks: from a uniform draw, mutations that bring the cost nearer to the window.

        Raises:
            BudgetError: no point of the window was found in so many tries; names the closest cost.
        """
        point = self._draw(rng)
        if within is None:
            return point
        closest, nearest, distance, walked = math.inf, 0.0, math.inf, 0
        for number in range(tries):
            fresh = number < _UNIFORM_DRAWS or walked == _WALK
            candidate = self._draw(rng) if fresh else self.mutate(point, rng)
            cost = self.cost(candidate)
            missed = within.distance(cost)
            if missed == 0:
                return candidate
            if missed < closest:
                closest, nearest = missed, within.of(cost)
            if fresh or missed < distance:
                point, distance = candidate, missed
            walked = 0 if fresh else walked + 1
        raise self._out_of_reach(within, nearest, tries)

    @final
    def mutate(self, point: Point, rng: Random) -> Point:
        """Another point: one dimension changed, a second one in 4 of 10 cases, and so on; any budget is ignored."""
        count = 1
        while count < len(self._free) and rng.random() < _MORE_CHANGES:
            count += 1
        return self._changed(point, rng.sample(self._free, count), rng)

    @final
    def crossover(self, first: Point, second: Point, rng: Random) -> Point:
        """A child that takes every dimension from either parent by the toss of a coin; any budget is ignored."""
        return tuple(a if rng.random() < 0.5 else b for a, b in zip(first, second, strict=True))

    @final
    def reach(self, measure: str = "macs") -> tuple[Cost, Cost]:
        """Costs of the cheapest and the dearest point.

        Found greedily: dimension by dimension the best choice, until no single change helps any more; so it may miss
        a cheaper or dearer point that only two changes at once would reach.
        """
        return self.cost(self._extreme(measure, 1)), self.cost(self._extreme(measure, -1))

    def _extreme(self, measure: str, sign: int) -> Point:
        point: Point = (0,) * len(self.dimensions)
        best = sign * getattr(self.cost(point), measure)
        improved = True
        while improved:
            improved = False
            for index in self._free:
                for choice in range(len(self.dimensions[index].choices)):
                    candidate = (*point[:index], choice, *point[index + 1 :])
                    value = sign * getattr(self.cost(candidate), measure)
                    if value < best:
                        point, best, improved = candidate, value, True
        return point

    def _out_of_reach(self, within: CostWindow, nearest: float, tries: int) -> BudgetError:
        low, high = (format_count(within.of(cost)) for cost in self.reach(within.measure))
        found = format_count(nearest)
        return BudgetError(
            f"a network of the space must cost {within}, but the closest of {tries} tries costs {found}",
            way_out=f"the space reaches from {low} to {high}",
        )

    def _realise(self, point: Point) -> NetSpec:
        dimensions = self.dimensions
        if len(point) != len(dimensions) or not all(
            0 <= choice < len(dimension.choices) for choice, dimension in zip(point, dimensions, strict=True)
        ):
            raise SpecError(
                f"a point of this space has {len(dimensions)} whole numbers, each below its number of choices",
                value=point,
            )
        return replace(self.base, stages=self._stages(point))

    def _draw(self, rng: Random) -> Point:
        return tuple(rng.randrange(len(dimension.choices)) for dimension in self.dimensions)

    def _changed(self, point: Point, indices: tuple[int, ...] | list[int], rng: Random) -> Point:
        values = list(point)
        for index in indices:
            # uniform over the other choices: skip the present one
            choice = rng.randrange(len(self.dimensions[index].choices) - 1)
            values[index] = choice + (choice >= values[index])
        return tuple(values)
