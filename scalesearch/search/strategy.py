"""The protocol of every search strategy: propose a point, be told what it was worth.

A strategy never trains and never stores: the study writes every ask and every result into the ledger, and a continued
search rebuilds the strategy by repeating `asked` and `tell` in their first order. So the state of a strategy may depend
on its arguments and on those two calls alone, and `propose` draws all its randomness from the generator it is given.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from random import Random
from typing import Final, final

from scalesearch.arch.space import Point
from scalesearch.errors import BudgetError
from scalesearch.search.problem import Problem

__all__ = ["Ask", "Outcome", "Strategy"]

# proposals in a row that may be known or too dear before a point is drawn at random
_PROPOSALS: Final = 20
_DRAWS: Final = 500


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a training gave; `value` and `accuracy` are None where it failed.

    value: the objective, higher is better.
    accuracy: top-1, 0..1.
    cost: in the unit of the problem's target.
    """

    value: float | None
    accuracy: float | None
    cost: float


@dataclass(frozen=True, slots=True)
class Ask:
    """A point to train, and what was passed over to find it."""

    point: Point
    duplicates: int = 0  # proposals whose network had been asked for before
    over_budget: int = 0  # proposals outside the hard budget, or outside a given pool


class Strategy(ABC):
    """Proposes points of a problem and learns from their outcomes.

    Args:
        problem: what may be proposed.
        seed: of every random draw; ask number n draws from a generator of its own.
    """

    def __init__(self, problem: Problem, seed: int = 0):
        self.problem, self.seed = problem, seed
        self.n_asked = 0
        #: fingerprints of everything asked for, in order
        self.known: dict[str, Point] = {}

    @abstractmethod
    def propose(self, rng: Random) -> Point:
        """The next point to train; may be known already or too dear, which `ask` sorts out. Changes no state."""

    @abstractmethod
    def tell(self, point: Point, outcome: Outcome) -> None:
        """Learn what a point was worth; called once per asked point, in the order in which results came."""

    @final
    def ask(self) -> Ask | None:
        """A point whose network was not asked for before and lies within the budget; None when there is none left.

        Never loops for ever: after some proposals in vain a point is drawn at random, after some draws the pool is
        searched, and a generative space counts as exhausted.
        """
        rng = Random(f"{self.seed}/{self.n_asked}")
        duplicates = over_budget = 0
        for number in range(_PROPOSALS + _DRAWS):
            if self.problem.pool is not None and len(self.known) >= len(self.problem.pool):
                return None
            try:
                point = self.propose(rng) if number < _PROPOSALS else self.problem.sample(rng)
            except BudgetError:
                return None
            fingerprint = self.problem.fingerprint(point)
            if self.problem.pool is not None:
                point = self.problem.representative.get(fingerprint, point)
            if not self.problem.allowed(point) or not self._in_pool(fingerprint):
                over_budget += 1
            elif fingerprint in self.known:
                duplicates += 1
            else:
                return self._noted(Ask(point, duplicates, over_budget))
        left = [p for p in self.problem.pool or () if self.problem.fingerprint(p) not in self.known]
        return self._noted(Ask(rng.choice(left), duplicates, over_budget)) if left else None

    @final
    def asked(self, point: Point) -> None:
        """Note an ask of an earlier session; `ask` notes its own."""
        self.n_asked += 1
        self.known.setdefault(self.problem.fingerprint(point), point)

    def _in_pool(self, fingerprint: str) -> bool:
        return self.problem.pool is None or fingerprint in self.problem.representative

    @final
    def _noted(self, ask: Ask) -> Ask:
        self.asked(ask.point)
        return ask
