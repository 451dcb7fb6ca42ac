"""What `scalesearch scale` is asked to do: one frozen value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalesearch.arch.family import SOLVES
from scalesearch.arch.rules import rule
from scalesearch.arch.scaling import CompoundCoefficients, Rounding
from scalesearch.errors import ConfigError, UnknownNameError
from scalesearch.studies.baseline_settings import LatencySettings

__all__ = ["MAX_MEMBERS", "FamilySettings"]

MAX_MEMBERS = 200


@dataclass(frozen=True, slots=True)
class FamilySettings:
    """Settings of `scalesearch scale`; conf/scale.yaml says what each means.

    Args:
        baseline: a catalog name or a spec file; None is the run's, and efficientnet_b0 without a run.
        from_run: the folder of a finished grid or search.
        rule: a published rule; None is the run's winner or the coefficients, and efficientnet without either.
        coefficients: alpha, beta, gamma.
        phis: what to scale by; empty where budgets are given.
        budgets: multiply-adds to reach; empty where phis are given.
        solve: "realised" or "nominal".
        ratio: MACs of one step of phi over those of the step before; None is the grid's, and 2 without one.
        tolerance: relative distance from a target that counts as a hit.
        rounding: None is the released rounding for "nominal", the grid's or largest_remainder for "realised".
        fvcore: count every member with fvcore too.
        latency: how to time every member; None does not.
        runs_dir: where runs lie.

    Raises:
        ConfigError, UnknownNameError: values out of range, or two that contradict each other.
    """

    baseline: str | None = None
    from_run: str | None = None
    rule: str | None = None
    coefficients: CompoundCoefficients | None = None
    phis: tuple[float, ...] = ()
    budgets: tuple[int, ...] = ()
    solve: str = "realised"
    ratio: float | None = None
    tolerance: float = 0.02
    rounding: Rounding | None = None
    fvcore: bool = False
    latency: LatencySettings | None = None
    runs_dir: str | Path = "runs"

    def __post_init__(self) -> None:
        if self.solve not in SOLVES:
            raise UnknownNameError.of("way to solve", self.solve, SOLVES)
        if self.rule is not None:
            rule(self.rule)
        self._check_one("--rule", self.rule, "--alpha --beta --gamma", self.coefficients)
        self._check_one("--from", self.from_run, "--baseline", self.baseline)
        self._check_one("--phi", self.phis, "--budgets", self.budgets)
        if not 1 <= len(self.phis) + len(self.budgets) <= MAX_MEMBERS:
            raise ConfigError(f"a family has 1 to {MAX_MEMBERS} members", value=len(self.phis) + len(self.budgets))
        if self.ratio is not None and not (math.isfinite(self.ratio) and 1 < self.ratio <= 100):
            raise ConfigError("ratio must be above 1 and at most 100", value=self.ratio)
        if not 0 < self.tolerance < 1:
            raise ConfigError("tolerance must lie between 0 and 1", value=self.tolerance)

    @staticmethod
    def _check_one(first: str, one: object, second: str, other: object) -> None:
        if one and other:
            raise ConfigError(f"{first} and {second} contradict each other", way_out="give one of them")


def identity_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """The composed values that change the family; what is measured on it and where runs lie does not."""
    return {key: value for key, value in values.items() if key not in ("fvcore", "latency", "timing", "runs_dir")}
