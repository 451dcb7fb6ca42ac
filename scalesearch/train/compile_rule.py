"""Whether `torch.compile` pays for itself within one training: arithmetic on what was measured, never a guess.

Compiling costs seconds once and divides the time of every step by a gain. It pays where
steps * step_seconds * (1 - 1/gain) > compile_seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["MEASURED", "CompileCost", "compile_pays", "steps_to_pay"]


@dataclass(frozen=True, slots=True)
class CompileCost:
    """What was measured on one kind of device.

    seconds: that compiling a network and its backward pass takes, once per network and shape.
    gain: time of a step without over time of a step with it.
    """

    seconds: float
    gain: float


#: by kind of device. CPU: EfficientNet-B0 at 32 px, one core of an AMD EPYC, torch 2.13, one run. No GPU was measured
#: yet (benchmarks/gpu.py --compile does), and without a measurement nothing is compiled
MEASURED: Final[Mapping[str, CompileCost]] = MappingProxyType({"cpu": CompileCost(seconds=113.0, gain=1.4)})


def steps_to_pay(step_seconds: float, cost: CompileCost) -> float:
    """Steps of a training from which on compiling is the shorter way; infinite where it gains nothing."""
    saved = step_seconds * (1 - 1 / cost.gain) if cost.gain > 1 else 0.0
    return cost.seconds / saved if saved > 0 else float("inf")


def compile_pays(steps: int, step_seconds: float, cost: CompileCost | None) -> bool:
    """Whether a training of `steps` steps ends sooner compiled; without a measurement it does not."""
    return cost is not None and steps > steps_to_pay(step_seconds, cost)
