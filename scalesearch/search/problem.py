"""What a strategy may ask about: the points of a space, what their networks cost, and which of them are allowed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import cached_property
from random import Random
from typing import Final

from scalesearch.arch.cost import Cost, cost_of
from scalesearch.arch.space import CostWindow, Point, Space
from scalesearch.arch.spec import NetSpec
from scalesearch.errors import BudgetError
from scalesearch.objective import Objective

__all__ = ["LISTED_AT_MOST", "Problem"]

#: spaces of at most so many points are listed and deduplicated instead of sampled
LISTED_AT_MOST: Final = 20_000

_NEIGHBOUR_TRIES: Final = 50
_REMEMBERED: Final = 1 << 16  # points; a space without a pool never ends


class Problem:
    """A space under a hard budget, with everything about its networks that needs no training, memoised by point.

    Args:
        space: what the points mean.
        objective: exponents of ACC * (cost / target)^w.
        target: in the unit of `cost`.
        cost: "macs", "params" or "activations"; "latency" is known only once it was measured.
        window: hard budget; points outside are never trained. None allows every point.
        pool: the only points that may be proposed; None stands for the whole space.

    Raises:
        BudgetError: no point of the pool (or of a space small enough to be listed) lies in the window.
    """

    def __init__(
        self,
        space: Space,
        objective: Objective,
        target: float,
        *,
        cost: str = "macs",
        window: CostWindow | None = None,
        pool: Sequence[Point] | None = None,
    ):
        self.space, self.objective, self.target, self.cost, self.window = space, objective, target, cost, window
        self._given_pool = pool
        self._known: dict[Point, tuple[str, Cost]] = {}
        if self.pool is not None and not self.pool:
            assert window is not None
            raise self._empty(window)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Choices per dimension; point[i] lies in range(cardinalities[i])."""
        return tuple(len(dimension.choices) for dimension in self.space.dimensions)

    @cached_property
    def pool(self) -> tuple[Point, ...] | None:
        """All allowed points, one per realised network, where they can be listed; else None."""
        if self._given_pool is None and self.space.size > LISTED_AT_MOST:
            return None
        points = self._given_pool
        if points is None:
            points = list(itertools.product(*(range(n) for n in self.cardinalities)))
        first: dict[str, Point] = {}
        for point in points:
            first.setdefault(self.fingerprint(point), point)
        return tuple(point for point in first.values() if self.allowed(point))

    @cached_property
    def representative(self) -> dict[str, Point]:
        """The pool by fingerprint; empty without a pool."""
        return {self.fingerprint(point): point for point in self.pool or ()}

    def spec(self, point: Point) -> NetSpec:
        """The network of a point."""
        return self.space.decode(point)

    def fingerprint(self, point: Point) -> str:
        """Equal for points that realise the same network."""
        return self._look(point)[0]

    def costs(self, point: Point) -> Cost:
        """Closed-form cost of a point's network."""
        return self._look(point)[1]

    def allowed(self, point: Point) -> bool:
        """Whether the network lies within the hard budget."""
        return self.window is None or self.window.holds(self.costs(point))

    def log_bonus(self, point: Point) -> float:
        """log of (cost / target)^w, what the objective adds to log accuracy; 0 where cost must be measured."""
        if self.cost == "latency":
            return 0.0
        return math.log(self.objective(1.0, float(getattr(self.costs(point), self.cost)), self.target))

    def sample(self, rng: Random) -> Point:
        """An allowed point at random.

        Raises:
            BudgetError: none was found; names the closest cost met.
        """
        if self.pool is not None:
            return rng.choice(self.pool)
        return self.space.sample(rng, within=self.window)

    def mutate(self, point: Point, rng: Random) -> Point:
        """An allowed neighbour of `point`, another network wherever one is found in a few tries."""
        return self._allowed_from(lambda: self.space.mutate(point, rng), rng, not_like=(point,))

    def crossover(self, first: Point, second: Point, rng: Random) -> Point:
        """An allowed child of two points, another network than both wherever one is found in a few tries."""
        return self._allowed_from(lambda: self.space.crossover(first, second, rng), rng, not_like=(first, second))

    def _allowed_from(self, draw: Callable[[], Point], rng: Random, not_like: tuple[Point, ...]) -> Point:
        parents = {self.fingerprint(parent) for parent in not_like}
        for _ in range(_NEIGHBOUR_TRIES):
            child = draw()
            if self.fingerprint(child) in parents:
                continue
            if self.pool is None and self.allowed(child):
                return child
            if self.pool is not None and self.fingerprint(child) in self.representative:
                return self.representative[self.fingerprint(child)]
        return self.sample(rng)

    def _look(self, point: Point) -> tuple[str, Cost]:
        known = self._known.get(point)
        if known is None:
            if self._given_pool is None and len(self._known) >= _REMEMBERED:
                self._known.clear()
            spec = self.space.decode(point)
            known = self._known[point] = (spec.fingerprint, cost_of(spec))
        return known

    def _empty(self, window: CostWindow) -> BudgetError:
        costs = [window.of(self.costs(point)) for point in self._given_pool or self._known]
        return BudgetError(
            f"a network of the space must cost {window}",
            value=f"{min(costs):,.0f} to {max(costs):,.0f} {window.measure}" if costs else "an empty pool",
            way_out="choose a target within that range",
        )
