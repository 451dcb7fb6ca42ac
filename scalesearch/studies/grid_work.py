"""What a grid trains and how a training is judged: settings, candidates, their proxies and the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from scalesearch.arch.iso_cost import Candidate
from scalesearch.data.prepared import PreparedData
from scalesearch.search.race import Race
from scalesearch.studies.grid_plan import GridPlan, Proxies
from scalesearch.studies.grid_settings import GridSettings
from scalesearch.studies.racing import RaceWork, Unit
from scalesearch.studies.trainings import trial_recipe
from scalesearch.train.recipe import Recipe
from scalesearch.trial import TrialRecord, TrialRequest

__all__ = ["GridWork", "Unit"]


@dataclass(frozen=True)
class GridWork(RaceWork):
    """Everything that turns a (candidate, seed) unit into a trial, and a record into a value to race on."""

    settings: GridSettings
    grid: GridPlan
    proxies: Proxies
    data: PreparedData

    @cached_property
    def candidates(self) -> Mapping[str, Candidate]:
        """The candidates in the race, by fingerprint."""
        return {candidate.fingerprint: candidate for candidate in self.grid.plan.kept}

    @property
    def race(self) -> Race:
        """The race over the candidates' fingerprints, with the settings' budget."""
        return Race(list(self.candidates), self.settings.race)

    @property
    def max_trainings(self) -> int:
        """The most trainings the settings allow; minutes may allow fewer.

        Raises:
            ConfigError: fewer than one per candidate, where each is judged by its own trainings.
        """
        if self.settings.evidence == "race":
            return self.race.max_trainings
        return self.settings.race.budget(len(self.candidates))

    @property
    def target_cost(self) -> float:
        """What every candidate should cost, in multiply-adds."""
        return self.settings.iso_cost.ratio * self.settings.target_macs

    @property
    def recipe(self) -> Recipe:
        """The recipe of one training: the chosen one, on the proxy's part of the data, for the proxy's epochs."""
        return trial_recipe(self.settings.proxy, self.settings.recipe, self.data.n_train)

    def name(self, fingerprint: str) -> str:
        """A short name for lines: the coefficients, and the rules that lead there."""
        candidate = self.candidates[fingerprint]
        c = candidate.coefficients
        return f"({c.alpha:.2f}, {c.beta:.2f}, {c.gamma:.2f}) {'+'.join(candidate.rules)}".strip()

    def smaller(self) -> str:
        """Overrides that make this very study cheaper."""
        proxy = self.settings.proxy
        ways = [f"proxy.data_fraction={proxy.data_fraction / 2:g}", f"proxy.width={proxy.width / 2:g}"]
        if len(self.candidates) > len(self.settings.iso_cost.rules):
            ways.append(f"max_candidates={max(1, len(self.candidates) // 2)}")
        if self.settings.minutes is not None:
            ways.append(f"minutes={self.settings.minutes / 2:g}")
        return ", ".join(ways)

    def request(self, fingerprint: str, seed: int) -> TrialRequest:
        """The trial of one unit; seeds are paired across candidates."""
        return TrialRequest(
            self.proxies.of[fingerprint], self.recipe, self.data, seed=self.settings.seed * 10_000 + seed
        )

    def value(self, fingerprint: str, record: TrialRecord) -> float | None:
        """ACC * (MACs / (ratio * target))^w of the candidate at full size; None for a failed training."""
        if record.accuracy is None:
            return None
        macs = self.candidates[fingerprint].cost.macs
        return self.settings.objective(record.accuracy, macs, self.target_cost)
