"""Regularised evolution (Real et al. 2019, arXiv 1802.01548, algorithm 1): the oldest dies, not the worst."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import final

from scalesearch.arch.space import Point
from scalesearch.errors import ConfigError
from scalesearch.search.problem import Problem
from scalesearch.search.strategy import Outcome, Strategy

__all__ = ["RegularisedEvolution"]


@final
class RegularisedEvolution(Strategy):
    """The best of a few at random from the youngest `population` networks gets one changed child per ask.

    The first `population` points are random. A child that was trained before is passed over by `ask`, so that a
    parent whose neighbours are all known gives way to others. Failed trainings never enter the population.

    Args:
        problem: what may be proposed.
        seed: of every draw.
        population: networks alive.
        tournament: networks drawn per parent.
        crossover: probability that a child has two parents before it is mutated; the paper has 0.

    Raises:
        ConfigError: a population or tournament below 1, a tournament above the population, no probability.
    """

    def __init__(
        self, problem: Problem, seed: int = 0, *, population: int = 15, tournament: int = 10, crossover: float = 0.0
    ):
        super().__init__(problem, seed)
        if not 1 <= tournament <= population:
            rule = "evolution needs 1 <= tournament <= population"
            raise ConfigError(rule, value=f"tournament {tournament}, population {population}")
        if not 0 <= crossover <= 1:
            raise ConfigError("evolution's crossover is a probability", value=crossover, way_out="use 0 to 1")
        self._tournament, self._crossover = tournament, crossover
        # (value, point), oldest first
        self._alive: deque[tuple[float, Point]] = deque(maxlen=population)

    def propose(self, rng: Random) -> Point:
        if len(self._alive) < (self._alive.maxlen or 0):
            return self.problem.sample(rng)
        parent = self._parent(rng)
        if rng.random() < self._crossover:
            return self.problem.crossover(parent, self._parent(rng), rng)
        return self.problem.mutate(parent, rng)

    def tell(self, point: Point, outcome: Outcome) -> None:
        if outcome.value is not None:
            self._alive.append((outcome.value, point))

    def _parent(self, rng: Random) -> Point:
        drawn = rng.sample(range(len(self._alive)), self._tournament)
        # ties go to the younger one
        return max((self._alive[i][0], i, self._alive[i][1]) for i in drawn)[2]
