"""What a study of axes trains: networks and seeds turned into trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scalesearch.arch.spread import spread_out
from scalesearch.data.prepared import PreparedData
from scalesearch.studies.axes_plan import AxesPlan, sizes_of
from scalesearch.studies.axes_proxies import AxesProxies
from scalesearch.studies.axes_settings import AxesSettings
from scalesearch.studies.racing import Unit
from scalesearch.studies.trainings import trial_recipe
from scalesearch.train.recipe import Recipe
from scalesearch.trial import TrialRequest

__all__ = ["AxesWork"]


@dataclass(frozen=True)
class AxesWork:
    """Everything that turns a (network, seed) unit into a trial."""

    settings: AxesSettings
    plan: AxesPlan
    proxies: AxesProxies
    data: PreparedData

    @property
    def recipe(self) -> Recipe:
        """The recipe of one training: the chosen one, on the proxy's part of the data, for the proxy's epochs."""
        return trial_recipe(self.settings.proxy, self.settings.recipe, self.data.n_train)

    @property
    def longer(self) -> Recipe:
        """The same for check.epochs."""
        epochs = self.settings.check.epochs
        assert epochs is not None, "only where a check was asked for"
        return replace(self.recipe, epochs=epochs)

    def units(self, seeds: Sequence[int]) -> list[Unit]:
        """Every network with these seeds, seed by seed."""
        return [(name, seed) for seed in seeds for name in self.proxies.trained]

    def check_units(self) -> list[Unit]:
        """The networks that are trained longer, spread over costs and curves; empty without a check."""
        check, names = self.settings.check, self.proxies.trained
        if check.epochs is None:
            return []
        own = self.plan.baseline.fingerprint
        first = [names.index(own)] if own in names else []
        chosen = spread_out([self._place(name) for name in names], check.points, first=first)
        return [(names[index], seed) for seed in range(check.seeds) for index in sorted(chosen)]

    def request(self, unit: Unit) -> TrialRequest:
        """The trial of a unit; seeds are paired across networks."""
        return self._request(unit, self.recipe)

    def check_request(self, unit: Unit) -> TrialRequest:
        """The same, trained longer."""
        return self._request(unit, self.longer)

    def name(self, fingerprint: str) -> str:
        """A short name for lines."""
        return self.plan.networks[fingerprint].name

    def smaller(self) -> str:
        """Overrides that make this very study cheaper."""
        proxy, seeds = self.settings.proxy, self.settings.seeds
        ways = [f"proxy.data_fraction={proxy.data_fraction / 2:g}", f"proxy.width={proxy.width / 2:g}"]
        if seeds.at_least > 1:
            ways.append(f"seeds.at_least={seeds.at_least - 1}")
        return ", ".join(ways)

    def _place(self, fingerprint: str) -> tuple[float, float, float]:
        """Growth of a network in units of log cost: d + 2 w + 2 r is about that of its cost."""
        sizes = sizes_of(self.plan.networks[fingerprint], self.plan.baseline)
        return math.log(sizes.depth), 2 * math.log(sizes.width), 2 * math.log(sizes.resolution)

    def _request(self, unit: Unit, recipe: Recipe) -> TrialRequest:
        name, seed = unit
        return TrialRequest(self.proxies.of[name], recipe, self.data, seed=self.settings.seed * 10_000 + seed)
