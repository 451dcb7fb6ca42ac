"""Asynchronous successive halving: which network is worth a longer training (Li et al. 2020, arXiv 1810.05934).

Every rung is a complete training from scratch with its own schedule over its own number of epochs, never a longer
training cut short: under a decaying learning rate an accuracy read half way through says little about its end. So a
network promoted to rung 1 costs epochs[0] + epochs[1] in all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from scalesearch.errors import ConfigError

__all__ = ["Halving", "HalvingSettings"]


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


class Halving:
    """Promotions as a pure function of the results, so that a continued search repeats them."""

    def __init__(self, settings: HalvingSettings | None = None):
        self.settings = settings or HalvingSettings()

    def promotion(
        self, values: Sequence[Mapping[str, float | None]], asked: Sequence[Set[str]]
    ) -> tuple[str, int] | None:
        """The next network to promote and the rung to train it on; None where a new network should start on rung 0.

        Algorithm 2 of the paper (get_job): the highest rung first; of a rung with n results the best
        floor(n / eta) may go on. A failed training (None or NaN) counts among the n and never goes on.
        Of equal values the one told first goes on.

        Args:
            values: per rung, results by id in the order they came; rungs at the end may be missing.
            asked: per rung, ids ever sent there, finished or not; rungs at the end may be missing.
        """
        n_rungs = len(self.settings.epochs)
        assert max(len(values), len(asked)) <= n_rungs, (len(values), len(asked), n_rungs)
        for rung in reversed(range(min(n_rungs - 1, len(values)))):
            sent = asked[rung + 1] if rung + 1 < len(asked) else frozenset()
            best = _best(values[rung], len(values[rung]) // self.settings.eta)
            chosen = next((name for name in best if name not in sent), None)
            if chosen is not None:
                return chosen, rung + 1
        return None


def _best(results: Mapping[str, float | None], n: int) -> list[str]:
    """The n best ids that succeeded, best first."""
    succeeded = {name: v for name, v in results.items() if v is not None and not math.isnan(v)}
    return sorted(succeeded, key=lambda name: -succeeded[name])[:n]
