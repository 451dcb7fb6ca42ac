"""The points a model-based strategy chooses from: all of a small pool, or a changing sample of a large space."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scalesearch.arch.space import Point
from scalesearch.errors import BudgetError
from scalesearch.search.features import Encoder
from scalesearch.search.problem import Problem

__all__ = ["Candidates"]

# what one refresh replaces
_MUTANTS: Final = 3
_CROSSED: Final = 2
_FRESH: Final = 1


class Candidates:
    """Allowed points, one per network, with their rows and the objective's cost factor.

    A pool of at most `most` points is listed in full and never changes. Otherwise half as many are drawn, and every
    refresh replaces the oldest few by children of the parents it is given and by fresh draws. Everything follows from
    the seed and the order of refreshes.

    Args:
        problem: whose points.
        seed: of the draws.
        most: number of points of a pool that is listed.

    Raises:
        BudgetError: no allowed point was found.
    """

    def __init__(self, problem: Problem, seed: int, most: int):
        self._problem, self._seed = problem, seed
        self.listed = problem.pool is not None and len(problem.pool) <= most
        self.points = list(problem.pool or ()) if self.listed else self._drawn(most // 2)
        self._prints = [problem.fingerprint(point) for point in self.points]
        #: where the network of a fingerprint stands
        self.column = {print_: column for column, print_ in enumerate(self._prints)}
        self.encoder = Encoder(problem, self.points)
        self.rows = self.encoder.rows(self.points)
        self.log_bonus: NDArray[np.float64] = np.array([problem.log_bonus(point) for point in self.points])
        self._refreshed = self._oldest = 0

    def refresh(self, parents: Sequence[Point]) -> list[int]:
        """Replace the oldest points by relatives of the parents; the columns that changed."""
        rng = Random(f"{self._seed}/refresh/{self._refreshed}")
        self._refreshed += 1
        changed: list[int] = []
        for point in self._children(parents, rng):
            print_ = self._problem.fingerprint(point)
            if print_ in self.column:
                continue
            changed.append(self._oldest)
            del self.column[self._prints[self._oldest]]
            self.points[self._oldest], self._prints[self._oldest] = point, print_
            self.column[print_] = self._oldest
            self._oldest = (self._oldest + 1) % len(self.points)
        # a handful of points in a tiny pool may wrap around
        changed = sorted(set(changed))
        if changed:
            points = [self.points[column] for column in changed]
            rows = self.encoder.rows(points)
            self.rows.sizes[changed], self.rows.choices[changed] = rows.sizes, rows.choices
            self.log_bonus[changed] = [self._problem.log_bonus(point) for point in points]
        return changed

    def columns_of(self, prints: Iterable[str]) -> list[int]:
        """Where these networks stand, as far as they do."""
        return [self.column[print_] for print_ in prints if print_ in self.column]

    def _children(self, parents: Sequence[Point], rng: Random) -> list[Point]:
        problem = self._problem
        children = [problem.mutate(rng.choice(parents), rng) for _ in range(_MUTANTS)]
        children += [problem.crossover(rng.choice(parents), rng.choice(parents), rng) for _ in range(_CROSSED)]
        return children + [problem.sample(rng) for _ in range(_FRESH)]

    def _drawn(self, most: int) -> list[Point]:
        """Up to `most` networks; fewer where a space repeats itself or its window is hard to hit."""
        rng = Random(f"{self._seed}/candidates")
        found: dict[str, Point] = {}
        for _ in range(2 * most):
            try:
                point = self._problem.sample(rng)
            except BudgetError:
                if found:
                    break
                raise
            found.setdefault(self._problem.fingerprint(point), point)
            if len(found) == most:
                break
        return list(found.values())
