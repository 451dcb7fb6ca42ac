"""Asynchronous successive halving: which network is worth a longer training (Li et al. 2020, arXiv 1810.05934).

Every rung is a complete training from scratch with its own schedule over its own number of epochs, never a longer
training cut short: under a decaying learning rate an accuracy read half way through says little about its end. So a
network promoted to rung 1 costs epochs[0] + epochs[1] in all.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from dataclasses import dataclass

from scalesearch.errors import ConfigError

__all__ = ["HalvingSettings", "Rungs"]


@dataclass(frozen=True, slots=True)
class HalvingSettings:
    """The rungs of a search; one rung stands for no halving.

    Args:
        epochs: of the complete training on each rung, shortest first.
        eta: one network in so many is promoted.

    Raises:
        ConfigError: no rung, epochs that do not increase from 1 or more, or an eta below 2.
    """

    epochs: tuple[int, ...] = (1,)
    eta: int = 3

    def __post_init__(self) -> None:
        steps = zip((0, *self.epochs), self.epochs, strict=False)
        if not self.epochs or any(after <= before for before, after in steps):
            raise ConfigError("halving epochs must be positive and increase", value=list(self.epochs))
        if self.eta < 2:
            raise ConfigError("halving eta must be at least 2", value=self.eta, way_out="use 3")


class Rungs:
    """The results of one search, rung by rung, kept in order so that a promotion needs no look at all of them.

    Promotions follow from what was told and sent alone, so that a continued search repeats them.

    Args:
        settings: the rungs.
    """

    def __init__(self, settings: HalvingSettings):
        self._eta = settings.eta
        n_rungs = len(settings.epochs)
        self._told: list[dict[str, tuple[float, int] | None]] = [{} for _ in range(n_rungs)]
        # (-value, order of the first result, id): of all that succeeded, and of those not yet sent to the next rung
        self._ranked: list[list[tuple[float, int, str]]] = [[] for _ in range(n_rungs)]
        self._unsent: list[list[tuple[float, int, str]]] = [[] for _ in range(n_rungs)]
        self._sent: list[set[str]] = [set() for _ in range(n_rungs + 1)]

    def tell(self, rung: int, name: str, value: float | None) -> None:
        """A result came; a later one of the same id on the same rung takes its place."""
        told, value = self._told[rung], None if value is None or math.isnan(value) else value
        place = len(told)
        if name in told:
            before = told[name]
            place = list(told).index(name) if before is None else before[1]
            if before is not None:
                _remove(self._ranked[rung], (*before, name))
                _remove(self._unsent[rung], (*before, name))
        told[name] = None if value is None else (-value, place)
        if value is not None:
            insort(self._ranked[rung], (-value, place, name))
            if name not in self._sent[rung + 1]:
                insort(self._unsent[rung], (-value, place, name))

    def send(self, rung: int, name: str) -> None:
        """An id was sent to a rung, where it may not be finished yet."""
        self._sent[rung].add(name)
        known = self._told[rung - 1].get(name) if rung else None
        if known is not None:
            _remove(self._unsent[rung - 1], (*known, name))

    def promotion(self) -> tuple[str, int] | None:
        """The next id to promote and the rung to train it on; None where a new one should start on rung 0.

        Algorithm 2 of the paper (get_job): the highest rung first; of a rung with n results the best
        floor(n / eta) may go on. A failed training (None or NaN) counts among the n and never goes on.
        Of equal values the one told first goes on.
        """
        for rung in reversed(range(len(self._told) - 1)):
            if not self._unsent[rung]:
                continue
            best = self._unsent[rung][0]
            if bisect_left(self._ranked[rung], best) < len(self._told[rung]) // self._eta:
                return best[2], rung + 1
        return None


def _remove(ordered: list[tuple[float, int, str]], entry: tuple[float, int, str]) -> None:
    at = bisect_left(ordered, entry)
    if at < len(ordered) and ordered[at] == entry:
        del ordered[at]
