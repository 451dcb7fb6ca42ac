"""The shape of conf/run.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["PipelineConfig", "Shares"]


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts of the training minutes."""

    search: float
    grid: float
    axes: float


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """The shape of conf/run.yaml."""

    target_flops: str | int | float
    baseline: str | None
    budget_minutes: float
    shares: Shares
    overhead_minutes: float
    phi: str
    formats: tuple[str, ...]
    runs_dir: str
    debug: Any = None
