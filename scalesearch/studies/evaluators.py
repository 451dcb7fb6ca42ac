"""From a network to the trial that judges it: a short training of its proxy, or a look into a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Final

from scalesearch.arch.proxy import ProxySettings
from scalesearch.arch.spec import NetSpec
from scalesearch.data.prepared import PreparedData
from scalesearch.search.result_table import ResultTable
from scalesearch.studies.trainings import stand_in, trial_recipe
from scalesearch.train.recipe import Recipe
from scalesearch.trial import TrialRequest

__all__ = ["Evaluator", "TableAnswers", "Trainings"]

# seeds of one study lie apart from those of the next
_SEEDS: Final = 10_000


class Evaluator(ABC):
    """Makes the trial of a network."""

    @abstractmethod
    def request(self, spec: NetSpec, seed: int, epochs: int | None) -> TrialRequest:
        """The trial that judges `spec`; `epochs` None is the shortest schedule."""

    @property
    @abstractmethod
    def data(self) -> PreparedData:
        """What accuracies are measured on."""

    @property
    @abstractmethod
    def max_seeds(self) -> int | None:
        """Trainings that one network can have; None for as many as wanted."""


@dataclass(frozen=True)
class Trainings(Evaluator):
    """Trains proxies on pictures.

    Args:
        base_resolution: full-size side in px that maps to the proxy's.
        seed: of the study.
    """

    proxy: ProxySettings
    recipe: Recipe
    pictures: PreparedData
    base_resolution: int
    seed: int

    def request(self, spec: NetSpec, seed: int, epochs: int | None) -> TrialRequest:
        recipe = trial_recipe(self.proxy, self.recipe, self.pictures.n_train)
        if epochs is not None:
            recipe = replace(recipe, epochs=epochs)
        return TrialRequest(self.shrunk(spec), recipe, self.pictures, self.seed * _SEEDS + seed)

    def shrunk(self, spec: NetSpec) -> NetSpec:
        """The proxy of a network.

        Raises:
            SpecError: it would be smaller than its total stride.
        """
        return stand_in(spec, self.proxy, self.pictures, self.base_resolution)

    @property
    def data(self) -> PreparedData:
        return self.pictures

    @property
    def max_seeds(self) -> int | None:
        return None


@dataclass(frozen=True)
class TableAnswers(Evaluator):
    """Looks results up; seed k is the table's column k, whatever the study's seed."""

    table: ResultTable

    def request(self, spec: NetSpec, seed: int, epochs: int | None) -> TrialRequest:
        return TrialRequest(spec, replace(Recipe(), epochs=epochs or 1), self.table.data, seed)

    @property
    def data(self) -> PreparedData:
        return self.table.data

    @property
    def max_seeds(self) -> int | None:
        return self.table.n_seeds
