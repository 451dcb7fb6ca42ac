"""What a study of axes is asked to do: one frozen value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from scalesearch.arch.catalog import load_spec
from scalesearch.arch.proxy import ProxySettings
from scalesearch.arch.rules import rule
from scalesearch.arch.scaling import Rounding
from scalesearch.data.settings import DataSettings
from scalesearch.engine.settings import EngineSettings
from scalesearch.errors import ConfigError
from scalesearch.train.recipe import Recipe

__all__ = ["CURVE_OF_RULE", "AxesSettings", "CheckSettings", "CurveSettings", "MultiplierCurve", "SeedSettings"]

#: what curves of these rules are called; another rule's curve bears the rule's name
CURVE_OF_RULE: Final[Mapping[str, str]] = {
    "width_only": "width",
    "depth_only": "depth",
    "resolution_only": "resolution",
    "efficientnet": "compound",
}


@dataclass(frozen=True, slots=True)
class MultiplierCurve:
    """A curve given by multipliers on the baseline: at most one of them is a list, the others hold still.

    Raises:
        ConfigError: two lists, an empty one, or a multiplier that is not positive.
    """

    width: float | tuple[float, ...] = 1.0
    depth: float | tuple[float, ...] = 1.0
    resolution: float | tuple[float, ...] = 1.0

    def __post_init__(self) -> None:
        axes = (self.width, self.depth, self.resolution)
        if sum(isinstance(axis, tuple) for axis in axes) > 1:
            raise ConfigError("a curve of curves.multipliers varies one of width, depth, resolution", value=self)
        for values in axes:
            numbers = values if isinstance(values, tuple) else (values,)
            if not numbers or not all(math.isfinite(number) and 0 < number <= 100 for number in numbers):
                raise ConfigError("a curve needs multipliers above 0 and up to 100", value=values)

    @property
    def points(self) -> tuple[tuple[float, float, float], ...]:
        """(width, depth, resolution) multipliers of every point."""
        longest = max(len(axis) if isinstance(axis, tuple) else 1 for axis in (self.width, self.depth, self.resolution))
        columns = [
            axis if isinstance(axis, tuple) else (axis,) * longest for axis in (self.width, self.depth, self.resolution)
        ]
        return tuple(zip(*columns, strict=True))


@dataclass(frozen=True, slots=True)
class CurveSettings:
    """Which networks to train.

    Args:
        ratios: realised cost over the baseline's, for every curve of `rules`.
        rules: scaling rules, one curve each.
        compare_at: ratios at which `compare_rules` join.
        compare_rules: rules that are compared at equal cost but have no curve of their own.
        multipliers: further curves by name.

    Raises:
        ConfigError: no curve, or a ratio out of range.
        UnknownNameError: a rule that does not exist.
    """

    ratios: tuple[float, ...] = (0.5, 0.71, 1.0, 1.45, 2.0)
    rules: tuple[str, ...] = ("width_only", "depth_only", "resolution_only", "efficientnet")
    compare_at: tuple[float, ...] = (2.0,)
    compare_rules: tuple[str, ...] = ("fast", "uniform")
    multipliers: Mapping[str, MultiplierCurve] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (*self.rules, *self.compare_rules):
            rule(name)
        for what, ratios in (("ratios", self.ratios), ("compare_at", self.compare_at)):
            if not all(math.isfinite(ratio) and 0.01 <= ratio <= 1000 for ratio in ratios):
                raise ConfigError(f"curves.{what} must lie in 0.01..1000", value=list(ratios))
        if strange := sorted(set(self.compare_at) - set(self.ratios)):
            raise ConfigError("curves.compare_at names some of curves.ratios", value=strange, way_out="add them there")
        if not self.multipliers and not (self.ratios and self.rules):
            raise ConfigError(
                "a study needs a curve: curves.ratios with curves.rules, or curves.multipliers", way_out="curves=quick"
            )

    @property
    def lines(self) -> tuple[str, ...]:
        """Names of the curves that are fitted; rules that only join a comparison are not among them."""
        of_rules = [CURVE_OF_RULE.get(name, name) for name in self.rules] if self.ratios else []
        return tuple(dict.fromkeys([*of_rules, *self.multipliers]))


@dataclass(frozen=True, slots=True)
class SeedSettings:
    """How many complete rounds of seeds are trained, at least and at most.

    Args:
        beyond_minutes: also train the round that crosses the minutes; without it rounds stay within them.

    Raises:
        ConfigError: not 1 <= at_least <= at_most <= 100.
    """

    at_least: int = 3
    at_most: int = 6
    beyond_minutes: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.at_least <= self.at_most <= 100:
            raise ConfigError("seeds need 1 <= at_least <= at_most <= 100", value=f"{self.at_least} and {self.at_most}")


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """Longer trainings of some networks, to see whether the short ones rank them well; `epochs` None: none.

    Raises:
        ConfigError: a value out of range.
    """

    epochs: int | None = None
    points: int = 8
    seeds: int = 1

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("epochs", self.epochs, 1, 100_000),
            ("points", self.points, 2, 1000),
            ("seeds", self.seeds, 1, 100),
        ):
            if value is not None and not low <= value <= high:
                raise ConfigError(f"check.{name} must lie in {low}..{high}", value=value)


@dataclass(frozen=True, slots=True)
class AxesSettings:
    """Settings of `scalesearch axes`; conf/axes.yaml says what each means.

    Raises:
        ConfigError: a value out of range.
    """

    data: DataSettings
    baseline: str = "efficientnet_b0"
    target_macs: int | None = None
    curves: CurveSettings = field(default_factory=CurveSettings)
    rounding: Rounding = Rounding(depth="largest_remainder")  # noqa: RUF009 - frozen
    tolerance: float = 0.1
    seeds: SeedSettings = SeedSettings()
    points_per_doubling: float = 1.0
    confidence: float = 0.95
    check: CheckSettings = CheckSettings()
    share: bool = True
    proxy: ProxySettings = ProxySettings()  # noqa: RUF009 - frozen
    recipe: Recipe = Recipe()  # noqa: RUF009 - frozen
    engine: EngineSettings = EngineSettings()  # noqa: RUF009 - frozen
    minutes: float | None = 12.0
    seed: int = 0
    runs_dir: str = "runs"

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("tolerance", self.tolerance, 0.001, 1.0),
            ("points_per_doubling", self.points_per_doubling, 0.001, 100.0),
            ("confidence", self.confidence, 0.5, 0.999),
            ("seed", self.seed, 0, 2**31 - 1),
        ):
            if not low <= value <= high:
                raise ConfigError(f"{name} must lie in {low:g}..{high:g}", value=value)
        if self.minutes is not None and not 0 < self.minutes < 1e6:
            raise ConfigError("minutes must be positive", value=self.minutes, way_out="or null for no limit")
        if self.check.epochs is not None and self.check.epochs <= self.proxy.epochs:
            raise ConfigError(
                f"check.epochs must be above proxy.epochs, {self.proxy.epochs}",
                value=self.check.epochs,
                way_out=f"try {5 * self.proxy.epochs}",
            )

    def identity(self) -> dict[str, Any]:
        """What a resumed run must share with its first start: everything that changes a single result.

        Left out are where things lie, how they are executed, how much is trained in all, and how it is judged.
        """
        values = asdict(self)
        for key in (
            *("engine", "minutes", "runs_dir", "share", "seeds", "check", "points_per_doubling", "confidence"),
        ):
            del values[key]
        for key in ("path", "root", "cache_dir"):
            del values["data"][key]
        # a file is known by what it holds, not by where it lies
        values["baseline"] = load_spec(self.baseline).fingerprint
        return values
