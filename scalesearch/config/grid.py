"""The shape of conf/grid.yaml, and the settings it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalesearch.arch.iso_cost import IsoCostSettings
from scalesearch.arch.proxy import ProxySettings
from scalesearch.arch.scaling import Rounding
from scalesearch.config.build import build
from scalesearch.data.settings import DataSettings
from scalesearch.engine.settings import EngineSettings
from scalesearch.objective import Objective
from scalesearch.search.race_settings import RaceSettings
from scalesearch.studies.grid_settings import GridSettings
from scalesearch.train.recipe import Recipe
from scalesearch.units import parse_count

__all__ = ["GridConfig", "grid_settings"]


@dataclass(frozen=True, slots=True)
class GridConfig:
    """The shape of conf/grid.yaml."""

    target_flops: str | int | float
    baseline: str
    ratio: float
    constraint: str
    tolerance: float
    nominal_tolerance: float
    step: float
    max_candidates: int
    rules: tuple[str, ...]
    depth_rounding: str | None
    width_divisor: int
    resolution_multiple: int
    objective: Objective
    minutes: float | None
    seed: int
    verify: bool
    runs_dir: str
    data: DataSettings
    proxy: ProxySettings
    recipe: Recipe
    engine: EngineSettings
    race: RaceSettings
    evidence: str = "race"  # absent from the config.yaml of older runs
    debug: Any = None


def grid_settings(values: Mapping[str, Any]) -> GridSettings:
    """The grid study's settings from composed values.

    Raises:
        ConfigError and other InputErrors: a value that breaks a rule.
    """
    config = build(GridConfig, values)
    depth = config.depth_rounding or ("ceil" if config.constraint == "nominal" else "largest_remainder")
    return GridSettings(
        target_macs=parse_count(config.target_flops, what="--target-flops"),
        baseline=config.baseline,
        iso_cost=IsoCostSettings(
            ratio=config.ratio,
            constraint=config.constraint,
            tolerance=config.tolerance,
            nominal_tolerance=config.nominal_tolerance,
            step=config.step,
            max_candidates=config.max_candidates,
            rules=config.rules,
            rounding=Rounding(
                depth=depth, width_divisor=config.width_divisor, resolution_multiple=config.resolution_multiple
            ),
        ),
        objective=config.objective,
        proxy=config.proxy,
        recipe=config.recipe,
        data=config.data,
        engine=config.engine,
        race=config.race,
        evidence=config.evidence,
        minutes=config.minutes,
        seed=config.seed,
        verify=config.verify,
        runs_dir=config.runs_dir,
    )
