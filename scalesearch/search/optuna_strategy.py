"""What the Optuna strategies share: a study in memory that is told everything and asked with a fresh sampler.

The sampler is made anew for every proposal, with a seed from that proposal's generator, because a sampler carries state
(its generator, a Gaussian process's last kernel) that a search continued from the ledger could not rebuild.
"""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Sequence
from random import Random
from typing import Any, Final, final

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from scalesearch.arch.space import Point
from scalesearch.search.problem import Problem
from scalesearch.search.strategy import Outcome, Strategy
from scalesearch.search.within_pool import within_pool

__all__ = ["OptunaStrategy"]

# closed proposals a study may hold before it is rebuilt without them; every sampler walks over all trials
_CLOSED_AT_MOST: Final = 300
# draws of a sampler that may be in vain before a neighbour is taken: a draw costs up to a second
_DRAWS: Final = 2
_CHANGES: Final = 10


class OptunaStrategy(Strategy):
    """Told results are COMPLETE trials in the order they came, pending points RUNNING ones during a proposal.

    Samplers propose their favourites again and again, and know no budget. Where a few draws are all known or too dear,
    the last one is changed until it is neither, which is nearer to what the sampler wanted than a random point; so
    `ask` seldom has a duplicate to count.

    Args:
        problem: what may be proposed.
        seed: of every draw.
        directions: of the values that `values` returns.
        startup: results before the sampler is used; points are random until then.
        shows_pending: whether the sampler makes use of RUNNING trials.
    """

    def __init__(
        self, problem: Problem, seed: int, *, directions: Sequence[StudyDirection], startup: int, shows_pending: bool
    ):
        super().__init__(problem, seed)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._directions, self._startup, self._shows_pending = tuple(directions), startup, shows_pending
        # zero-padded names, because Optuna sorts them
        self._distributions: dict[str, BaseDistribution] = {
            f"{i:03d}": CategoricalDistribution(tuple(range(n))) for i, n in enumerate(problem.cardinalities)
        }
        self._told: list[FrozenTrial] = []
        self._answered: set[str] = set()
        self._closed = 0
        self._study = self._new_study()

    @abstractmethod
    def sampler(self, seed: int) -> BaseSampler:
        """A fresh sampler, every option pinned that decides what it proposes."""

    @abstractmethod
    def values(self, outcome: Outcome) -> tuple[float, ...] | None:
        """What the study is told, one value per direction; None for a failed training."""

    @abstractmethod
    def system_attrs(self, number: int) -> dict[str, int]:
        """What the sampler wants to find noted on told trial `number`, counted from 0."""

    @final
    def propose(self, rng: Random) -> Point:
        if len(self._told) < self._startup:
            return self.problem.sample(rng)
        if self._closed > _CLOSED_AT_MOST:
            self._study, self._closed = self._new_study(), 0
        for _ in range(_DRAWS):
            point = within_pool(self.problem, self._draw(rng.getrandbits(31)), rng)
            if self._usable(point):
                return point
        for _ in range(_CHANGES):
            # changes add up, because all close neighbours of a good network may be known
            point = self.problem.mutate(point, rng)
            if self._usable(point):
                return point
        left = [p for name, p in self.problem.representative.items() if name not in self.known]
        return rng.choice(left) if left else point

    @final
    def tell(self, point: Point, outcome: Outcome) -> None:
        self._answered.add(self.problem.fingerprint(point))
        values = self.values(outcome)
        if values is None or not all(map(math.isfinite, values)):
            return
        attrs = self.system_attrs(len(self._told))
        trial = self._trial(point, state=TrialState.COMPLETE, values=values, system_attrs=attrs)
        self._told.append(trial)
        self._study.add_trial(trial)

    def _usable(self, point: Point) -> bool:
        return self.problem.allowed(point) and self.problem.fingerprint(point) not in self.known

    def _draw(self, seed: int) -> Point:
        """One proposal of a fresh sampler; leaves no trial RUNNING."""
        study = self._study
        opened: list[int] = []
        if self._shows_pending:
            for point in [p for name, p in self.known.items() if name not in self._answered]:
                opened.append(len(self._told) + self._closed + len(opened))
                study.add_trial(self._trial(point, state=TrialState.RUNNING))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study.sampler = _KnownSpace(self.sampler(seed), self._distributions)
            trial = study.ask(self._distributions)
            for number in (*opened, trial.number):
                study.tell(number, state=TrialState.FAIL)
        self._closed += len(opened) + 1
        return tuple(int(trial.params[name]) for name in self._distributions)

    def _trial(self, point: Point, **fields: Any) -> FrozenTrial:
        params = dict(zip(self._distributions, point, strict=True))
        return optuna.trial.create_trial(params=params, distributions=dict(self._distributions), **fields)

    def _new_study(self) -> optuna.Study:
        study = optuna.create_study(directions=list(self._directions))
        study.add_trials(self._told)
        return study


@final
class _KnownSpace(BaseSampler):
    """A sampler that is told its search space, because a fresh one compares every trial ever told to infer it."""

    def __init__(self, sampler: BaseSampler, space: dict[str, BaseDistribution]):
        self._sampler = sampler
        self._space = {name: distribution for name, distribution in space.items() if not distribution.single()}

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._space

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._sampler.before_trial(study, trial)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self._sampler.after_trial(study, trial, state, values)
