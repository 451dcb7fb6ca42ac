"""The shape of conf/scale.yaml, and the settings it stands for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from scalesearch.arch.family import REALISED_ROUNDING
from scalesearch.arch.scaling import RELEASED, CompoundCoefficients, Rounding
from scalesearch.config.build import build
from scalesearch.errors import ConfigError
from scalesearch.studies.baseline_settings import LatencySettings
from scalesearch.studies.family_settings import MAX_MEMBERS, FamilySettings
from scalesearch.studies.grid_settings import GridSettings
from scalesearch.units import parse_count

__all__ = ["ScaleConfig", "parse_budgets", "parse_phis", "scale_settings"]

_T = TypeVar("_T", int, float)
_DEFAULT_PHI = "0:7"
_PHI_WAY_OUT = 'write it like "0:7", "-2:3", "0:2:0.5" or "0,0.5,1"'


@dataclass(frozen=True, slots=True)
class ScaleConfig:
    """The shape of conf/scale.yaml."""

    from_run: str | None
    baseline: str | None
    rule: str | None
    alpha: float | None
    beta: float | None
    gamma: float | None
    phi: str | float | tuple[float, ...] | None
    budgets: str | float | tuple[str | float, ...] | None
    solve: str
    tolerance: float
    ratio: float | None
    depth_rounding: str | None
    width_divisor: int | None
    resolution_multiple: int | None
    fvcore: bool
    latency: bool
    timing: LatencySettings
    runs_dir: str


def scale_settings(values: Mapping[str, Any], grid: GridSettings | None = None) -> FamilySettings:
    """The family study's settings from composed values.

    Args:
        grid: the settings of the grid that `from_run` names; what its rounding says is kept where nothing else is said.

    Raises:
        ConfigError and other InputErrors: a value that breaks a rule.
    """
    config = build(ScaleConfig, values)
    budgets = () if config.budgets is None else parse_budgets(config.budgets)
    phi = _DEFAULT_PHI if config.phi is None and config.budgets is None else config.phi
    return FamilySettings(
        baseline=config.baseline,
        from_run=config.from_run,
        rule=config.rule,
        coefficients=_coefficients(config),
        phis=() if phi is None else parse_phis(phi),
        budgets=budgets,
        solve=config.solve,
        ratio=config.ratio,
        tolerance=config.tolerance,
        rounding=_rounding(config, grid),
        fvcore=config.fvcore,
        latency=config.timing if config.latency else None,
        runs_dir=config.runs_dir,
    )


def parse_phis(value: str | float | tuple[float, ...]) -> tuple[float, ...]:
    """Read "0:7" (whole steps), "0:2:0.5" (start:stop:step, both ends included), "0,0.5,1", a number or a list.

    Raises:
        ConfigError: none of these, not finite, twice the same, or too many.
    """
    if isinstance(value, tuple):
        phis = value
    else:
        text = str(value)
        phis = tuple(_stepped(text) if ":" in text else (_number(part, text) for part in text.split(",")))
    if not all(math.isfinite(phi) and abs(phi) <= 1000 for phi in phis):
        raise ConfigError("every phi must lie in -1000..1000", value=value, way_out=_PHI_WAY_OUT)
    return _distinct(phis, "--phi", value)


def parse_budgets(value: str | float | tuple[str | float, ...]) -> tuple[int, ...]:
    """Read "100M,400M,1.6G", a number or a list of them.

    Raises:
        UnitError: a count that cannot be read.
        ConfigError: none at all, or twice the same.
    """
    parts: tuple[str | float, ...] = value if isinstance(value, tuple) else tuple(str(value).split(","))
    return _distinct(tuple(parse_count(part, what="--budgets") for part in parts), "--budgets", value)


def _distinct(numbers: tuple[_T, ...], what: str, value: object) -> tuple[_T, ...]:
    if not numbers:
        raise ConfigError(f"{what} must name at least one member", value=value, way_out="leave it out for the default")
    if len(set(numbers)) < len(numbers):
        raise ConfigError(f"{what} must not name a member twice", value=value, way_out="leave the second one out")
    return numbers


def _stepped(text: str) -> tuple[float, ...]:
    parts = text.split(":")
    if len(parts) > 3:
        raise ConfigError("--phi is a range START:STOP or START:STOP:STEP", value=text, way_out=_PHI_WAY_OUT)
    start, stop, *more = (_number(part, text) for part in parts)
    step = more[0] if more else 1.0
    if not (step > 0 and stop >= start):
        raise ConfigError("--phi must run upwards in positive steps", value=text, way_out=_PHI_WAY_OUT)
    steps = (stop - start) / step
    if not steps < MAX_MEMBERS:
        raise ConfigError(f"a family has 1 to {MAX_MEMBERS} members", value=text, way_out="take larger steps")
    # 1e-9: 0:0.3:0.1 has four members
    return tuple(round(start + index * step, 12) for index in range(math.floor(steps + 1e-9) + 1))


def _number(part: str, text: str) -> float:
    try:
        number = float(part)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError("--phi must hold numbers", value=text, way_out=_PHI_WAY_OUT)
    return number


def _coefficients(config: ScaleConfig) -> CompoundCoefficients | None:
    given = {name: getattr(config, name) for name in ("alpha", "beta", "gamma")}
    missing = [f"--{name}" for name, value in given.items() if value is None]
    if len(missing) == 3:
        return None
    if missing:
        raise ConfigError(
            "--alpha, --beta and --gamma belong together",
            value=f"no {' and no '.join(missing)}",
            way_out="give all three; 1 leaves an axis alone",
        )
    return CompoundCoefficients(**given)


def _rounding(config: ScaleConfig, grid: GridSettings | None) -> Rounding | None:
    """The usual rounding with what was said instead; None where nothing was."""
    said = {
        "depth": config.depth_rounding,
        "width_divisor": config.width_divisor,
        "resolution_multiple": config.resolution_multiple,
    }
    changes: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    if not changes:
        return None
    if config.solve == "nominal":
        return replace(RELEASED, **changes)
    return replace(grid.iso_cost.rounding if grid else REALISED_ROUNDING, **changes)
