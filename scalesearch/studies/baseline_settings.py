"""What a search for a baseline is asked to do: one frozen value."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from scalesearch.arch.catalog import load_spec
from scalesearch.arch.proxy import ProxySettings
from scalesearch.arch.space_settings import SpaceSettings
from scalesearch.data.settings import DataSettings
from scalesearch.engine.settings import EngineSettings
from scalesearch.errors import ConfigError, UnknownNameError
from scalesearch.objective import Objective
from scalesearch.search.halving import HalvingSettings
from scalesearch.search.race_settings import RaceSettings
from scalesearch.search.registry import STRATEGIES
from scalesearch.search.result_table import EvaluatorSettings
from scalesearch.train.recipe import Recipe

__all__ = ["COSTS", "BaselineSettings", "LatencySettings"]

COSTS: Final = ("macs", "params", "activations", "latency")


@dataclass(frozen=True, slots=True)
class LatencySettings:
    """How latency is measured where it is the cost: see `measure.latency`."""

    batch: int = 1
    threads: int = 1
    device: str = "cpu"
    warmup: int = 3
    repeats: int = 11


@dataclass(frozen=True, slots=True)
class BaselineSettings:
    """Settings of `scalesearch search`; conf/search.yaml says what each means.

    Args:
        target_macs: multiply-adds that the base network is brought to.
        target: in the unit of `cost` (milliseconds for latency).

    Raises:
        ConfigError: a value out of range.
        UnknownNameError: a strategy or a cost that does not exist.
    """

    target_macs: int
    target: float
    data: DataSettings
    base: str = "efficientnet_b0"
    space: SpaceSettings = field(default_factory=SpaceSettings)
    cost: str = "macs"
    window: tuple[float | None, float | None] = (0.5, 1.1)
    latency: LatencySettings = LatencySettings()
    objective: Objective = Objective()  # noqa: RUF009 - frozen
    strategy: str = "surrogate"
    strategy_options: Mapping[str, Any] = field(default_factory=dict)
    halving: HalvingSettings = field(default_factory=HalvingSettings)
    evaluator: EvaluatorSettings = EvaluatorSettings()  # noqa: RUF009 - frozen
    trials: int = 200
    finalists: int = 4
    final_share: float = 0.3
    proxy: ProxySettings = ProxySettings()  # noqa: RUF009 - frozen
    recipe: Recipe = Recipe()  # noqa: RUF009 - frozen
    engine: EngineSettings = EngineSettings()  # noqa: RUF009 - frozen
    race: RaceSettings = RaceSettings()  # noqa: RUF009 - frozen
    minutes: float | None = 14.0
    seed: int = 0
    runs_dir: str = "runs"

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise UnknownNameError.of("strategy", self.strategy, STRATEGIES)
        if self.cost not in COSTS:
            raise UnknownNameError.of("cost", self.cost, COSTS)
        low, high = self.window
        if not 0 <= (low or 0.0) < (1e9 if high is None else high):
            raise ConfigError("budget.low must be at least 0 and below budget.high", value=f"{low} and {high}")
        for name, value, least, most in (
            ("trials", self.trials, 1, 1_000_000),
            ("finalists", self.finalists, 1, 64),
            ("final_share", self.final_share, 0.0, 0.9),
            ("seed", self.seed, 0, 2**31 - 1),
        ):
            if not least <= value <= most:
                raise ConfigError(f"{name} must lie in {least:g}..{most:g}", value=value)
        if self.minutes is not None and not 0 < self.minutes < 1e6:
            raise ConfigError("minutes must be positive", value=self.minutes, way_out="or null for no limit")

    @property
    def bounds(self) -> tuple[float, float]:
        """The hard budget in the unit of `cost`; 0 and infinity where there is no bound."""
        low, high = self.window
        return (low or 0.0) * self.target, float("inf") if high is None else high * self.target

    def identity(self) -> dict[str, Any]:
        """What a resumed run must share with its first start: everything that changes a single result.

        Left out are where things lie, how they are executed, and how much is trained in all.
        """
        values = asdict(replace(self, race=replace(self.race, max_trainings=None)))
        for key in ("engine", "minutes", "trials", "runs_dir"):
            del values[key]
        for key in ("path", "root", "cache_dir"):
            del values["data"][key]
        # a file is known by what it holds, not by where it lies
        values["base"] = load_spec(self.base).fingerprint
        table = values["evaluator"].pop("path")
        if table is not None and Path(table).expanduser().is_file():
            values["evaluator"]["digest"] = hashlib.sha256(Path(table).expanduser().read_bytes()).hexdigest()[:16]
        return values
