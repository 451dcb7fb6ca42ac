"""Random search: the strategy that learns nothing, and the one every other has to beat."""

from __future__ import annotations

from random import Random
from typing import final

from scalesearch.arch.space import Point
from scalesearch.search.strategy import Outcome, Strategy

__all__ = ["RandomSearch"]


@final
class RandomSearch(Strategy):
    """Points drawn at random from those allowed (Li and Talwalkar 2019, arXiv 1902.07638)."""

    def propose(self, rng: Random) -> Point:
        return self.problem.sample(rng)

    def tell(self, point: Point, outcome: Outcome) -> None:
        """Nothing to learn."""
