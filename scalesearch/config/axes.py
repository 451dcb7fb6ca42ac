"""The shape of conf/axes.yaml, and the settings it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalesearch.arch.proxy import ProxySettings
from scalesearch.arch.scaling import Rounding
from scalesearch.config.build import build
from scalesearch.data.settings import DataSettings
from scalesearch.engine.settings import EngineSettings
from scalesearch.studies.axes_settings import (
    AxesSettings,
    CheckSettings,
    CurveSettings,
    MultiplierCurve,
    SeedSettings,
)
from scalesearch.train.recipe import Recipe
from scalesearch.units import parse_count

__all__ = ["AxesConfig", "axes_settings"]


@dataclass(frozen=True, slots=True)
class CurvesConfig:
    """The shape of the group curves."""

    ratios: tuple[float, ...]
    rules: tuple[str, ...]
    compare_at: tuple[float, ...]
    compare_rules: tuple[str, ...]
    multipliers: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class AxesConfig:
    """The shape of conf/axes.yaml."""

    baseline: str
    target_flops: str | int | float | None
    depth_rounding: str
    width_divisor: int
    resolution_multiple: int
    tolerance: float
    seeds: SeedSettings
    points_per_doubling: float
    confidence: float
    check: CheckSettings
    share: bool
    minutes: float | None
    seed: int
    runs_dir: str
    data: DataSettings
    curves: CurvesConfig
    proxy: ProxySettings
    recipe: Recipe
    engine: EngineSettings
    debug: Any = None


def axes_settings(values: Mapping[str, Any]) -> AxesSettings:
    """The settings of a study of axes from composed values.

    Raises:
        ConfigError and other InputErrors: a value that breaks a rule.
    """
    config = build(AxesConfig, values)
    target = config.target_flops
    return AxesSettings(
        data=config.data,
        baseline=config.baseline,
        target_macs=None if target is None else parse_count(target, what="--target-flops"),
        curves=_curves(config.curves),
        rounding=Rounding(
            depth=config.depth_rounding,
            width_divisor=config.width_divisor,
            resolution_multiple=config.resolution_multiple,
        ),
        tolerance=config.tolerance,
        seeds=config.seeds,
        points_per_doubling=config.points_per_doubling,
        confidence=config.confidence,
        check=config.check,
        share=config.share,
        proxy=config.proxy,
        recipe=config.recipe,
        engine=config.engine,
        minutes=config.minutes,
        seed=config.seed,
        runs_dir=config.runs_dir,
    )


def _curves(config: CurvesConfig) -> CurveSettings:
    return CurveSettings(
        ratios=config.ratios,
        rules=config.rules,
        compare_at=config.compare_at,
        compare_rules=config.compare_rules,
        multipliers={
            name: build(MultiplierCurve, values, f"curves.multipliers.{name}")
            for name, values in config.multipliers.items()
        },
    )
