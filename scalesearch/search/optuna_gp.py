"""Optuna's Gaussian process sampler: Matern 5/2 with one length scale per choice, log expected improvement."""

from __future__ import annotations

from typing import final

from optuna.samplers import BaseSampler, GPSampler
from optuna.study import StudyDirection

from scalesearch.errors import ConfigError
from scalesearch.search.optuna_strategy import OptunaStrategy
from scalesearch.search.problem import Problem
from scalesearch.search.strategy import Outcome

__all__ = ["OptunaGP"]


@final
class OptunaGP(OptunaStrategy):
    """A Gaussian process on the objective, fitted anew for every proposal: few trainings, much computing.

    Args:
        problem: what may be proposed.
        seed: of every draw.
        startup: random points first.

    Raises:
        ConfigError: a startup below 1.
    """

    def __init__(self, problem: Problem, seed: int = 0, *, startup: int = 10):
        if startup < 1:
            raise ConfigError("gp needs a startup of 1 or more", value=startup)
        super().__init__(problem, seed, directions=[StudyDirection.MAXIMIZE], startup=startup, shows_pending=True)

    def sampler(self, seed: int) -> BaseSampler:
        return GPSampler(
            seed=seed, n_startup_trials=self._startup, deterministic_objective=False, warn_independent_sampling=False
        )

    def values(self, outcome: Outcome) -> tuple[float, ...] | None:
        return None if outcome.value is None else (outcome.value,)

    def system_attrs(self, number: int) -> dict[str, int]:
        return {}
