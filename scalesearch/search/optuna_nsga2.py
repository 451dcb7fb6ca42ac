"""Optuna's NSGA-II (Deb et al. 2002): a population along the whole front of accuracy and cost."""

from __future__ import annotations

import math
from typing import final

from optuna.samplers import BaseSampler, NSGAIISampler
from optuna.samplers.nsgaii import UniformCrossover
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from scalesearch.errors import ConfigError
from scalesearch.search.optuna_strategy import OptunaStrategy
from scalesearch.search.problem import Problem
from scalesearch.search.strategy import Outcome

__all__ = ["OptunaNSGA2"]


@final
class OptunaNSGA2(OptunaStrategy):
    """Maximises accuracy and minimises log cost at once; the objective plays no part.

    A generation is complete when `population` more results came, in whatever order they were asked for.

    Args:
        problem: what may be proposed.
        seed: of every draw.
        population: results per generation; the first generation is random.
        crossover: probability that a child has two parents.

    Raises:
        ConfigError: a population below 2, no probability.
    """

    def __init__(self, problem: Problem, seed: int = 0, *, population: int = 20, crossover: float = 0.9):
        if population < 2:
            raise ConfigError("nsga2 needs a population of at least 2", value=population)
        if not 0 <= crossover <= 1:
            raise ConfigError("nsga2's crossover is a probability", value=crossover, way_out="use 0 to 1")
        super().__init__(
            problem,
            seed,
            directions=[StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE],
            startup=population,
            shows_pending=False,
        )
        self._population, self._crossover = population, crossover

    def sampler(self, seed: int) -> BaseSampler:
        return _OrderedNSGA2(
            seed=seed,
            population_size=self._population,
            mutation=None,
            mutation_prob=None,
            crossover=UniformCrossover(0.5),
            crossover_prob=self._crossover,
            swapping_prob=0.5,
        )

    def values(self, outcome: Outcome) -> tuple[float, ...] | None:
        # a failed training is left out: as the worst accuracy at a low cost it would sit on the front
        failed = outcome.accuracy is None or outcome.value is None or outcome.cost <= 0
        return None if failed or outcome.accuracy is None else (outcome.accuracy, math.log(outcome.cost))

    def system_attrs(self, number: int) -> dict[str, int]:
        # where the sampler notes the generation of a trial; trials added from outside lack it
        return {f"{_OrderedNSGA2.__name__}:generation": number // self._population}


@final
class _OrderedNSGA2(NSGAIISampler):
    """Parents in the order they came; Optuna gives those it just selected another order than those it remembers."""

    def select_parent(self, study: Study, generation: int) -> list[FrozenTrial]:
        return sorted(super().select_parent(study, generation), key=lambda trial: trial.number)
