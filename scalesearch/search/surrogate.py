"""Bayesian optimisation with what is known before training: the default strategy.

A Gaussian process (`gaussian_process`) predicts accuracy from a network's choices and its closed-form cost; the
objective's own cost factor is added exactly; the network of highest expected improvement (`acquisition`) comes next.
BANANAS (White, Neiswanger and Savani 2021, arXiv 1910.11858) and NAS-BOWL (Ru et al. 2021, arXiv 2006.07556) do
the same with other models; both find that the model, not the acquisition function, decides.
"""

from __future__ import annotations

import math
from random import Random
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from scalesearch.arch.space import Point
from scalesearch.errors import ConfigError
from scalesearch.search.acquisition import improvement_in_value, level_of, log_expected_improvement
from scalesearch.search.candidates import Candidates
from scalesearch.search.gaussian_process import PRIOR_MODE
from scalesearch.search.problem import Problem
from scalesearch.search.strategy import Outcome, Strategy
from scalesearch.search.surrogate_model import Model, Told, refit_size

__all__ = ["SurrogateStrategy"]

Array = NDArray[np.float64]

_SPREAD_DRAWS: Final = 8
_PARENTS: Final = 12  # best networks that candidates descend from
_CLIMBERS: Final = 3  # most promising candidates whose neighbours are looked at
_NEIGHBOURS: Final = 2  # of each


@final
class SurrogateStrategy(Strategy):
    """Trains the network that is expected to improve most on the best so far.

    The first few networks are spread out: of some random ones, always the least like those before. Points that are in
    training are believed to turn out as predicted, so that several workers do not ask for the same region. Failed
    trainings count as poor ones (the lower quartile).

    Args:
        problem: what may be proposed.
        seed: of every draw.
        design: networks before the model is used.
        candidates: a pool up to this size is searched in full; else half as many networks are compared per ask.

    Raises:
        ConfigError: a design below 2 or fewer than 16 candidates.
    """

    def __init__(self, problem: Problem, seed: int = 0, *, design: int = 3, candidates: int = 4096):
        super().__init__(problem, seed)
        if design < 2:
            raise ConfigError("the surrogate's design must be at least 2", value=design)
        if candidates < 16:
            raise ConfigError("the surrogate's candidates must be at least 16", value=candidates)
        self._design, self._most = design, candidates
        self._told: list[Told] = []
        self._told_prints: set[str] = set()
        # caches: functions of the arguments and of what was told
        self._candidates: Candidates | None = None
        self._model: Model | None = None
        self._seen = 0

    def tell(self, point: Point, outcome: Outcome) -> None:
        usable = outcome.value is not None and math.isfinite(outcome.value)
        log_value = math.log(max(outcome.value or 0.0, 1e-12)) if usable else None
        self._told.append(Told(point, log_value, self.problem.log_bonus(point)))
        self._told_prints.add(self.problem.fingerprint(point))

    def propose(self, rng: Random) -> Point:
        if self._candidates is None:
            self._candidates = Candidates(self.problem, self.seed, self._most)
        candidates = self._candidates
        if len(self._told) < self._design:
            return self._spread(candidates, rng)
        self._catch_up(candidates)
        if self._model is None:
            return self._spread(candidates, rng)
        return self._most_promising(candidates, self._model, rng)

    def _spread(self, candidates: Candidates, rng: Random) -> Point:
        """Of a few random points the one least correlated with any known point before training."""
        drawn = [self.problem.sample(rng) for _ in range(_SPREAD_DRAWS)]
        if not self.known:
            return drawn[0]
        rows, known = candidates.encoder.rows(drawn), candidates.encoder.rows(list(self.known.values()))
        return drawn[int(PRIOR_MODE.covariance(rows, known).max(axis=1).argmin())]

    def _catch_up(self, candidates: Candidates) -> None:
        """Bring candidates and model up to what was told; the same operations however the calls were grouped."""
        size = refit_size(len(self._told), self._design)
        for number in range(self._seen + 1, len(self._told) + 1):
            told = self._told[:number]
            changed = [] if candidates.listed else candidates.refresh(self._best(told))
            if number < size:
                continue
            if number == size:
                self._model = Model.fitted(candidates, told, plain=self.problem.cost == "latency")
            elif self._model is not None:
                self._model.observe(candidates.encoder, told)
                self._model.process.recompute(changed)
        self._seen = len(self._told)

    def _best(self, told: list[Told]) -> list[Point]:
        """The parents of new candidates."""
        order = sorted(told, key=lambda one: -math.inf if one.log_value is None else one.log_value, reverse=True)
        return [one.point for one in order[:_PARENTS]]

    def _most_promising(self, candidates: Candidates, model: Model, rng: Random) -> Point:
        waiting = [point for print_, point in self.known.items() if print_ not in self._told_prints]
        pending = candidates.encoder.rows(waiting) if waiting else None
        process = model.process
        variance = process.variance if pending is None else process.variance_after(pending)
        best = self._to_beat(model)
        scores = self._scores(model, process.mean, variance, candidates.log_bonus, best)
        scores[candidates.columns_of(self.known)] = -math.inf
        column = int(scores.argmax())
        if scores[column] == -math.inf:
            return self.problem.sample(rng)
        if candidates.listed:
            return candidates.points[column]
        neighbours = self._neighbours(candidates, scores, rng)
        rows = candidates.encoder.rows(neighbours)
        bonus = np.array([self.problem.log_bonus(point) for point in neighbours])
        climbed = self._scores(model, *process.at(rows, pending), bonus, best)
        climbed[[self.problem.fingerprint(point) in self.known for point in neighbours]] = -math.inf
        better = int(climbed.argmax())
        return neighbours[better] if climbed[better] > scores[column] else candidates.points[column]

    def _neighbours(self, candidates: Candidates, scores: Array, rng: Random) -> list[Point]:
        top = np.argsort(-scores, kind="stable")[:_CLIMBERS]
        return [self.problem.mutate(candidates.points[column], rng) for column in top for _ in range(_NEIGHBOURS)]

    def _to_beat(self, model: Model) -> float:
        """Highest log value among the told networks as the model sees them, i.e. without the noise of a training."""
        seen = model.unscaled(model.process.at_observed())
        log_level = seen if model.plain else np.log(np.maximum(level_of(seen), 1e-12))
        return float((log_level + model.observed_bonus).max())

    def _scores(self, model: Model, mean: Array, variance: Array, log_bonus: Array, best: float) -> Array:
        """log expected improvement of log value; rounded, so that equals tie and the first of them wins."""
        deviation = np.sqrt(np.maximum(variance, 1e-12)) * model.scale
        if model.plain:
            scores = log_expected_improvement(model.unscaled(mean), deviation, best)
        else:
            scores = improvement_in_value(model.unscaled(mean), deviation, log_bonus, best)
        if not np.isfinite(scores).any():
            # nothing can improve: the best by its mean goes next
            scores = model.unscaled(mean) + log_bonus
        return np.round(scores, 9)
