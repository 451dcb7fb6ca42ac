"""What a surrogate knows: results turned into standardised targets, and the process fitted to them.

Hyperparameters and the targets' location and scale are refitted now and then; in between, results are added one by one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scalesearch.arch.space import Point
from scalesearch.search.acquisition import target_of
from scalesearch.search.candidates import Candidates
from scalesearch.search.features import Encoder
from scalesearch.search.gaussian_process import GaussianProcess, fitted

__all__ = ["Model", "Told", "refit_size"]

Array = NDArray[np.float64]

_OBSERVED_AT_MOST: Final = 768  # results the process starts from after a refit
_FITTED_AT_MOST: Final = 256  # results the hyperparameters are fitted to: each step costs their cube
_ROOM: Final = 256  # results between two refits at most


@dataclass(frozen=True, slots=True)
class Told:
    """A result; `log_value` is None where the training failed, `log_bonus` the objective's cost factor."""

    point: Point
    log_value: float | None
    log_bonus: float


@dataclass(slots=True)
class Model:
    """The process, and how its standardised targets are meant.

    process: predictions at the candidates.
    centre, scale: target = centre + scale * standardised target.
    plain: targets are log values; else they are `target_of` the value without its cost factor.
    observed_bonus: of the process's observations.
    """

    process: GaussianProcess
    centre: float
    scale: float
    plain: bool
    observed_bonus: Array

    @classmethod
    def fitted(cls, candidates: Candidates, told: Sequence[Told], *, plain: bool) -> Model | None:
        """The model of these results; None with fewer than two that succeeded."""
        targets = _targets(told, plain)
        if sum(one.log_value is not None for one in told) < 2:
            return None
        kept = _thinned(told, range(len(told)), _OBSERVED_AT_MOST)
        centre = float(targets[kept].mean())
        scale = float(targets[kept].std())
        # equal results say nothing about a scale
        scale = scale if scale > 1e-9 else 1.0
        rows = candidates.encoder.rows([told[i].point for i in kept])
        standard = (targets[kept] - centre) / scale
        few = np.searchsorted(kept, _thinned(told, kept, _FITTED_AT_MOST))
        parameters = fitted(rows.take(few), standard[few])
        process = GaussianProcess(parameters, rows, standard, candidates.rows, room=min(len(kept), _ROOM))
        return cls(process, centre, scale, plain, np.array([told[i].log_bonus for i in kept]))

    def observe(self, encoder: Encoder, told: Sequence[Told]) -> None:
        """Add the last of the results."""
        target = float(_targets(told, self.plain)[-1])
        self.process.observe(encoder.rows([told[-1].point]), (target - self.centre) / self.scale)
        self.observed_bonus = np.append(self.observed_bonus, told[-1].log_bonus)

    def unscaled(self, standard: Array) -> Array:
        """Targets from standardised ones."""
        return self.centre + self.scale * standard


def refit_size(n: int, first: int) -> int:
    """The number of results at which the model was last refitted, once there are n >= first.

    A tenth more each time at first, when hyperparameters still move; three tenths more from 64 on, when a fit is dear.
    """
    size = first
    while True:
        grown = size + min(max(1, math.floor(size * (0.1 if size < 64 else 0.3))), _ROOM)
        if grown > n:
            return size
        size = grown


def _targets(told: Sequence[Told], plain: bool) -> Array:
    """One target per result, as large as the lower quartile where the training failed."""
    values = np.array([math.nan if one.log_value is None else one.log_value for one in told])
    targets = values if plain else target_of(np.exp(values - np.array([one.log_bonus for one in told])))
    succeeded = ~np.isnan(values)
    if succeeded.any() and not succeeded.all():
        targets = np.where(succeeded, targets, np.quantile(targets[succeeded], 0.25))
    return np.asarray(targets, dtype=np.float64)


def _thinned(told: Sequence[Told], among: Sequence[int], most: int) -> list[int]:
    """At most so many of the results, ascending: half of them the best, the others evenly from the rest."""
    if len(among) <= most:
        return list(among)
    order = sorted(among, key=lambda i: (told[i].log_value is None, -(told[i].log_value or 0.0)))
    best, rest = order[: most // 2], sorted(order[most // 2 :])
    step = len(rest) / (most - most // 2)
    return sorted(best + [rest[int(i * step)] for i in range(most - most // 2)])
