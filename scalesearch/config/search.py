"""The shape of conf/search.yaml, and the settings it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalesearch.arch.proxy import ProxySettings
from scalesearch.arch.space_settings import SpaceSettings
from scalesearch.config.build import build
from scalesearch.data.settings import DataSettings
from scalesearch.engine.settings import EngineSettings
from scalesearch.errors import ConfigError
from scalesearch.objective import Objective
from scalesearch.search.halving import HalvingSettings
from scalesearch.search.race_settings import RaceSettings
from scalesearch.search.result_table import EvaluatorSettings
from scalesearch.studies.baseline_settings import BaselineSettings, LatencySettings
from scalesearch.train.recipe import Recipe
from scalesearch.units import parse_count

__all__ = ["SearchConfig", "search_settings"]


@dataclass(frozen=True, slots=True)
class BudgetConfig:
    """Factors on the target."""

    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class HalvingConfig:
    """The shape of the key halving."""

    epochs: tuple[int, ...] | None
    eta: int


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """The shape of conf/search.yaml."""

    target_flops: str | int | float
    base: str
    cost: str
    target: str | int | float | None
    budget: BudgetConfig
    objective: Objective
    trials: int
    halving: HalvingConfig
    finalists: int
    final_share: float
    latency: LatencySettings
    minutes: float | None
    seed: int
    runs_dir: str
    data: DataSettings
    space: SpaceSettings
    strategy: dict[str, Any]
    evaluator: EvaluatorSettings
    proxy: ProxySettings
    recipe: Recipe
    engine: EngineSettings
    race: RaceSettings
    debug: Any = None


def search_settings(values: Mapping[str, Any]) -> BaselineSettings:
    """The search's settings from composed values.

    Raises:
        ConfigError and other InputErrors: a value that breaks a rule.
    """
    config = build(SearchConfig, values)
    target_macs = parse_count(config.target_flops, what="--target-flops")
    return BaselineSettings(
        target_macs=target_macs,
        target=_target(config, target_macs),
        data=config.data,
        base=config.base,
        space=config.space,
        cost=config.cost,
        window=(config.budget.low, config.budget.high),
        latency=config.latency,
        objective=config.objective,
        strategy=str(config.strategy.get("name", "")),
        strategy_options={key: value for key, value in config.strategy.items() if key != "name"},
        halving=HalvingSettings(config.halving.epochs or (config.proxy.epochs,), config.halving.eta),
        evaluator=config.evaluator,
        trials=config.trials,
        finalists=config.finalists,
        final_share=config.final_share,
        proxy=config.proxy,
        recipe=config.recipe,
        engine=config.engine,
        race=config.race,
        minutes=config.minutes,
        seed=config.seed,
        runs_dir=config.runs_dir,
    )


def _target(config: SearchConfig, target_macs: int) -> float:
    """The target in the unit of the cost."""
    if config.target is None:
        if config.cost == "macs":
            return float(target_macs)
        unit = "milliseconds (target=20)" if config.cost == "latency" else "a count (target=5M)"
        raise ConfigError(f"cost={config.cost} needs a target of its own", way_out=f"add one in {unit}")
    if config.cost == "macs":
        raise ConfigError("cost=macs takes its target from --target-flops", value=config.target, way_out="drop target=")
    if config.cost != "latency":
        return float(parse_count(config.target, what="target"))
    try:
        milliseconds = float(config.target)
    except ValueError:
        milliseconds = -1.0
    if not 0 < milliseconds < 1e9:
        raise ConfigError("a latency target is a positive number of milliseconds", value=config.target)
    return milliseconds
