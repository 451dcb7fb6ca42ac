"""From multipliers to a realised network: compound coefficients and the rounding rules.

EfficientNet (Tan and Le, arXiv 1905.11946), equation 3: depth d = alpha^phi, width w = beta^phi,
resolution r = gamma^phi, with alpha * beta^2 * gamma^2 ~ 2. Rounding follows the released code
(tensorflow/tpu, efficientnet_model.py `round_filters`, `round_repeats`) unless told otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from scalesearch.arch.spec import NetSpec
from scalesearch.errors import SpecError, UnknownNameError

__all__ = [
    "DEPTH_ROUNDINGS",
    "RELEASED",
    "CompoundCoefficients",
    "Multipliers",
    "Rounding",
    "round_depths",
    "round_resolution",
    "round_width",
    "scale_net",
]

DEPTH_ROUNDINGS: Final = ("ceil", "nearest", "largest_remainder")
END_RULES: Final = ("scale", "keep", "grow")


@dataclass(frozen=True, slots=True)
class Multipliers:
    """Factors on depth, width and resolution: what a base to the power phi yields."""

    depth: float = 1.0
    width: float = 1.0
    resolution: float = 1.0

    @property
    def nominal_product(self) -> float:
        """d * w^2 * r^2: the cost ratio before any rounding."""
        return self.depth * self.width**2 * self.resolution**2


@dataclass(frozen=True, slots=True)
class CompoundCoefficients:
    """The bases of compound scaling: alpha for depth, beta for width, gamma for resolution.

    Raises:
        SpecError: a base that is not a positive finite number.
    """

    alpha: float
    beta: float
    gamma: float

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "gamma"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise SpecError(f"{name} must be positive", value=value)

    @property
    def nominal_product(self) -> float:
        """alpha * beta^2 * gamma^2: the cost ratio of one step of phi before rounding."""
        return self.alpha * self.beta**2 * self.gamma**2

    def multipliers_at(self, phi: float) -> Multipliers:
        """alpha^phi, beta^phi, gamma^phi (equation 3 of the paper); phi may be a fraction or negative."""
        return Multipliers(self.alpha**phi, self.beta**phi, self.gamma**phi)


@dataclass(frozen=True, slots=True)
class Rounding:
    """How multipliers become integers.

    Args:
        depth: "ceil" (released code), "nearest", or "largest_remainder" (the network's total depth is rounded
            once and shared out, so that every block of depth is a step of alpha).
        width_divisor: widths are multiples of this.
        width_guard: a width may not fall below this part of the unrounded one (released: 0.9).
        resolution_multiple: resolutions are multiples of this, in px.
        stem: "scale" the stem's width, or "keep" it.
        head: "scale" the head's width, "keep" it, or "grow" (never below the baseline's).
        fixed_ends: keep the depth of the first and the last stage (EfficientNet-Lite).

    Raises:
        UnknownNameError, SpecError: a value outside these rules.
    """

    depth: str = "ceil"
    width_divisor: int = 8
    width_guard: float = 0.9
    resolution_multiple: int = 1
    stem: str = "scale"
    head: str = "scale"
    fixed_ends: bool = False

    def __post_init__(self) -> None:
        if self.depth not in DEPTH_ROUNDINGS:
            raise UnknownNameError.of("depth rounding", self.depth, DEPTH_ROUNDINGS)
        for name, value in (("stem", self.stem), ("head", self.head)):
            if value not in END_RULES:
                raise UnknownNameError.of(f"{name} rule", value, END_RULES)
        if self.width_divisor < 1 or self.resolution_multiple < 1:
            raise SpecError("width_divisor and resolution_multiple must be at least 1", value=self)


RELEASED: Final = Rounding()


def round_width(width: int, multiplier: float, *, divisor: int = 8, guard: float = 0.9) -> int:
    """The released width rule: nearest multiple of `divisor`, never below `guard` times the scaled width.

    v = c * w; new = max(divisor, int(v + divisor / 2) // divisor * divisor); if new < guard * v: new += divisor.
    """
    scaled = width * multiplier
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < guard * scaled else rounded


def round_depths(depths: Sequence[int], multiplier: float, *, rule: str = "ceil") -> tuple[int, ...]:
    """Scaled blocks per stage, at least one each.

    "ceil" and "nearest" (half to even) round each stage; "largest_remainder" rounds the total (half up) and gives
    the blocks left over by the whole parts to the stages with the largest fractions (the first stage wins a tie).
    """
    # 1e-9: 1.1 * 10 is 11.000000000000002 in floating point, and ceil must not see the 2
    scaled = [depth * multiplier for depth in depths]
    if rule == "ceil":
        return tuple(max(1, math.ceil(value - 1e-9)) for value in scaled)
    if rule == "nearest":
        return tuple(max(1, round(value)) for value in scaled)
    if rule != "largest_remainder":
        raise UnknownNameError.of("depth rounding", rule, DEPTH_ROUNDINGS)
    whole = [max(1, math.floor(value + 1e-9)) for value in scaled]
    left = math.floor(sum(scaled) + 0.5 + 1e-9) - sum(whole)
    by_fraction = sorted(range(len(scaled)), key=lambda i: (-(scaled[i] - whole[i]), i))
    # stages raised to one block may already use up the total: then nothing is left to share out
    for index in by_fraction[: max(0, left)]:
        whole[index] += 1
    return tuple(whole)


def round_resolution(resolution: float, *, multiple: int = 1) -> int:
    """The nearest multiple of `multiple` px (half up), at least one multiple."""
    return max(1, math.floor(resolution / multiple + 0.5 + 1e-9)) * multiple


def scale_net(
    spec: NetSpec,
    *,
    depth: float = 1.0,
    width: float = 1.0,
    resolution: int | None = None,
    rounding: Rounding = RELEASED,
    name: str | None = None,
) -> NetSpec:
    """The network with its depth and width multiplied and its resolution set, rounded to what can be built.

    Args:
        depth: multiplier on the blocks of every stage (alpha^phi).
        width: multiplier on the channels of stem, stages and head (beta^phi).
        resolution: input side in px; None keeps the spec's. For a multiplier use `round_resolution`.
        rounding: the rounding rules.
        name: of the result; None derives one.

    Raises:
        SpecError: a multiplier that is not positive, or a resolution below the total stride.
    """
    for what, value in (("depth multiplier", depth), ("width multiplier", width)):
        if not (math.isfinite(value) and value > 0):
            raise SpecError(f"the {what} must be positive", value=value)
    depths = _scaled_depths(spec, depth, rounding)
    stages = tuple(
        replace(stage, width=_scaled_width(stage.width, width, rounding), depth=n)
        for stage, n in zip(spec.stages, depths, strict=True)
    )
    side = spec.resolution if resolution is None else resolution
    return replace(
        spec,
        name=name or f"{spec.name}_d{depth:g}_w{width:g}_r{side}",
        stages=stages,
        stem_width=_end_width(spec.stem_width, width, rounding.stem, rounding),
        head_width=_end_width(spec.head_width, width, rounding.head, rounding) if spec.head_width else 0,
        resolution=side,
    )


def _scaled_depths(spec: NetSpec, multiplier: float, rounding: Rounding) -> tuple[int, ...]:
    if multiplier == 1.0:
        return spec.depths
    if rounding.fixed_ends and len(spec.depths) > 2:
        first, *inner, last = spec.depths
        return (first, *round_depths(inner, multiplier, rule=rounding.depth), last)
    return round_depths(spec.depths, multiplier, rule=rounding.depth)


def _scaled_width(width: int, multiplier: float, rounding: Rounding) -> int:
    # a width that is not scaled stays as it is, because the released code rounds only what it scales
    if multiplier == 1.0:
        return width
    return round_width(width, multiplier, divisor=rounding.width_divisor, guard=rounding.width_guard)


def _end_width(width: int, multiplier: float, rule: str, rounding: Rounding) -> int:
    if rule == "keep":
        return width
    scaled = _scaled_width(width, multiplier, rounding)
    return max(width, scaled) if rule == "grow" else scaled
