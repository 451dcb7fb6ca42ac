"""Optuna's tree-structured Parzen estimator (Bergstra et al. 2011; multivariate: Falkner et al. 2018)."""

from __future__ import annotations

from typing import final

from optuna.samplers import BaseSampler, TPESampler
from optuna.study import StudyDirection

from scalesearch.errors import ConfigError
from scalesearch.search.optuna_strategy import OptunaStrategy
from scalesearch.search.problem import Problem
from scalesearch.search.strategy import Outcome

__all__ = ["OptunaTPE"]


@final
class OptunaTPE(OptunaStrategy):
    """TPE on the objective; points still being trained count as bad ones ("constant liar").

    Args:
        problem: what may be proposed.
        seed: of every draw.
        startup: random points first.
        candidates: points drawn from the good ones' density per proposal.

    Raises:
        ConfigError: a value below 1.
    """

    def __init__(self, problem: Problem, seed: int = 0, *, startup: int = 10, candidates: int = 24):
        if startup < 1 or candidates < 1:
            raise ConfigError("tpe needs startup and candidates of 1 or more", value=f"{startup} and {candidates}")
        super().__init__(problem, seed, directions=[StudyDirection.MAXIMIZE], startup=startup, shows_pending=True)
        self._candidates = candidates

    def sampler(self, seed: int) -> BaseSampler:
        return TPESampler(
            seed=seed,
            n_startup_trials=self._startup,
            n_ei_candidates=self._candidates,
            multivariate=True,
            group=False,
            constant_liar=True,
        )

    def values(self, outcome: Outcome) -> tuple[float, ...] | None:
        return None if outcome.value is None else (outcome.value,)

    def system_attrs(self, number: int) -> dict[str, int]:
        return {}
