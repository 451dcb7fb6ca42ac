"""From a point of the whole space to one that may be trained."""

from __future__ import annotations

from random import Random

from scalesearch.arch.space import Point
from scalesearch.search.problem import Problem

__all__ = ["within_pool"]


def within_pool(problem: Problem, point: Point, rng: Random) -> Point:
    """The pool's point for the same network, else an allowed neighbour from the pool.

    Points of a problem without a pool and points over the budget come back as they are: `Strategy.ask` counts the
    latter.
    """
    if problem.pool is None or not problem.allowed(point):
        return point
    same = problem.representative.get(problem.fingerprint(point))
    return problem.mutate(point, rng) if same is None else same
