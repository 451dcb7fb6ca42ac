"""What a network is: frozen values that describe stages, and the blocks those stages realise.

A `NetSpec` is always *realised*: every width, depth and resolution is the integer that will be built.
Scaling (`arch.scaling`) turns one realised spec into another. Two specs that realise the same blocks
have the same `fingerprint`, whatever they are called and however their stages were written down.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, Final

from scalesearch.arch.checks import check_bool, check_int, check_keys, check_name, check_odd, check_real
from scalesearch.errors import SpecError

__all__ = ["ACTIVATIONS", "BLOCK_KINDS", "BlockSpec", "NetSpec", "StageSpec"]

BLOCK_KINDS: Final = ("mbconv", "depthwise_separable", "fused_mbconv", "conv")
ACTIVATIONS: Final = ("silu", "relu", "relu6", "hard_swish", "identity")

SCHEMA_VERSION: Final = 1
_MAX_WIDTH: Final = 1 << 20
MAX_DEPTH: Final = 10_000
_MAX_RESOLUTION: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class BlockSpec:
    """One realised block, in canonical form: what `nets` builds and `cost` counts.

    `kind` is canonical: an MBConv without expansion is a depthwise-separable block and a fused MBConv
    without expansion is a plain convolution, because they realise the same layers.
    `se_width` is 0 without squeeze-excite; `residual` says that the input is added to the output.
    """

    kind: str
    in_width: int
    mid_width: int
    width: int
    kernel_size: int
    stride: int
    se_width: int
    activation: str
    residual: bool


@dataclass(frozen=True, slots=True)
class StageSpec:
    """A run of `depth` equal blocks; only the first one strides and changes the width.

    Args:
        kind: one of `BLOCK_KINDS`.
        kernel_size: odd side of the depthwise (or full) kernel, in pixels.
        stride: 1 or 2, of the first block.
        width: output channels of every block.
        depth: number of blocks.
        expansion_ratio: hidden over input channels; 1 for "depthwise_separable" and "conv".
        se_ratio: squeeze-excite width over the block's INPUT channels; 0 turns it off.
        skip: add the input where stride is 1 and the widths agree.
        activation: overrides the network's activation in this stage.

    Raises:
        SpecError: a value outside these rules.
    """

    kind: str
    kernel_size: int
    stride: int
    width: int
    depth: int
    expansion_ratio: float = 1.0
    se_ratio: float = 0.0
    skip: bool = True
    activation: str | None = None

    def __post_init__(self) -> None:
        check_name("block kind", self.kind, BLOCK_KINDS)
        if self.activation is not None:
            check_name("activation", self.activation, ACTIVATIONS)
        check_int("kernel_size", self.kernel_size, 1, 31)
        check_odd("kernel_size", self.kernel_size)
        check_int("stride", self.stride, 1, 2)
        check_int("width", self.width, 1, _MAX_WIDTH)
        check_int("depth", self.depth, 1, MAX_DEPTH)
        check_real("expansion_ratio", self.expansion_ratio, 0.125, 64)
        check_real("se_ratio", self.se_ratio, 0, 1)
        check_bool("skip", self.skip)
        if self.kind in ("depthwise_separable", "conv") and self.expansion_ratio != 1:
            raise SpecError(
                f"a {self.kind} stage has expansion_ratio 1",
                value=self.expansion_ratio,
                way_out="use kind mbconv or fused_mbconv for expansion",
            )

    def block(self, in_width: int, *, first: bool, activation: str) -> BlockSpec:
        """The realised block that follows `in_width` channels, the stage's first or a later one."""
        stride = self.stride if first else 1
        # hidden channels: c_mid = round(e * c_in)
        mid_width = max(1, round(self.expansion_ratio * in_width))
        kind = self.kind
        if kind == "mbconv" and self.expansion_ratio == 1:
            kind = "depthwise_separable"
        elif kind == "fused_mbconv" and self.expansion_ratio == 1:
            kind = "conv"
        # squeeze width: max(1, int(ratio * c_in)), as in the released EfficientNet code
        se_width = max(1, int(self.se_ratio * in_width)) if self.se_ratio > 0 else 0
        return BlockSpec(
            kind=kind,
            in_width=in_width,
            mid_width=self.width if kind == "conv" else mid_width,
            width=self.width,
            kernel_size=self.kernel_size,
            stride=stride,
            se_width=se_width,
            activation=self.activation or activation,
            residual=self.skip and stride == 1 and in_width == self.width,
        )


@dataclass(frozen=True, slots=True)
class NetSpec:
    """A whole image classifier: stem convolution, stages, 1x1 head convolution, pooling, linear layer.

    Args:
        name: how people call it; not part of the fingerprint.
        resolution: input side in pixels.
        stem_width: channels of the first convolution.
        stages: the trunk.
        head_width: channels of the last 1x1 convolution; 0 leaves it out.
        num_classes: outputs of the classifier.
        in_channels: 3 for colour, 1 for grey pictures.
        stem_stride: 2 as published; 1 for small pictures (28 to 64 px).
        stem_kernel_size: odd side of the first kernel.
        activation: one of `ACTIVATIONS`.
        dropout: rate before the classifier.
        drop_path: stochastic depth rate of the last block; block i of n gets `drop_path * i / n`.
        norm_eps: batch-norm epsilon.
        norm_momentum: batch-norm momentum in torch's sense.

    Raises:
        SpecError: a value outside these rules, or a resolution below the total stride.
    """

    name: str
    resolution: int
    stem_width: int
    stages: tuple[StageSpec, ...]
    head_width: int = 1280
    num_classes: int = 1000
    in_channels: int = 3
    stem_stride: int = 2
    stem_kernel_size: int = 3
    activation: str = "silu"
    dropout: float = 0.2
    drop_path: float = 0.2
    norm_eps: float = 1e-3
    norm_momentum: float = 0.01

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise SpecError("a network needs a name", value=self.name)
        check_name("activation", self.activation, ACTIVATIONS)
        if not isinstance(self.stages, tuple) or not all(isinstance(s, StageSpec) for s in self.stages):
            raise SpecError("stages must be a tuple of stages", value=type(self.stages).__name__)
        if not 1 <= len(self.stages) <= 64:
            raise SpecError("a network has 1 to 64 stages", value=len(self.stages))
        check_int("stem_width", self.stem_width, 1, _MAX_WIDTH)
        check_int("head_width", self.head_width, 0, _MAX_WIDTH)
        check_int("num_classes", self.num_classes, 1, _MAX_WIDTH)
        check_int("in_channels", self.in_channels, 1, 1024)
        check_int("stem_stride", self.stem_stride, 1, 2)
        check_int("stem_kernel_size", self.stem_kernel_size, 1, 31)
        check_odd("stem_kernel_size", self.stem_kernel_size)
        check_real("dropout", self.dropout, 0, 0.99)
        check_real("drop_path", self.drop_path, 0, 0.99)
        check_real("norm_eps", self.norm_eps, 1e-12, 1)
        check_real("norm_momentum", self.norm_momentum, 1e-6, 1)
        check_int("resolution", self.resolution, 1, _MAX_RESOLUTION)
        if self.resolution < self.total_stride:
            raise SpecError(
                f"resolution must be at least the total stride of {self.name}, {self.total_stride} px",
                value=self.resolution,
                way_out="raise the resolution, or turn strides off (stem_stride=1)",
            )

    @property
    def total_stride(self) -> int:
        """Product of all strides: input pixels per pixel of the last feature map."""
        return self.stem_stride * math.prod(stage.stride for stage in self.stages)

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks per stage."""
        return tuple(stage.depth for stage in self.stages)

    @property
    def widths(self) -> tuple[int, ...]:
        """Output channels per stage."""
        return tuple(stage.width for stage in self.stages)

    @property
    def depth(self) -> int:
        """Blocks in the whole network."""
        return sum(self.depths)

    @property
    def feature_width(self) -> int:
        """Channels that reach the classifier."""
        return self.head_width or self.stages[-1].width

    def blocks(self) -> Iterator[tuple[BlockSpec, ...]]:
        """The realised blocks, one tuple per stage."""
        return _blocks(self.stages, self.stem_width, self.activation)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that identify the realised network: everything but its name."""
        return _fingerprint(tuple(getattr(self, name) for name in _REALISED))

    def with_(self, **changes: Any) -> NetSpec:
        """A copy with some fields replaced."""
        return replace(self, **changes)

    def for_small_inputs(self, *, stem_stride: int = 1, unstrided_stages: tuple[int, ...] = ()) -> NetSpec:
        """A copy for small pictures: another stem stride, and stages (counted from 0) that no longer stride.

        Raises:
            SpecError: a stage index that does not exist.
        """
        for index in unstrided_stages:
            if not 0 <= index < len(self.stages):
                raise SpecError(
                    f"unstrided stages are counted from 0 to {len(self.stages) - 1}",
                    value=index,
                    way_out=f"name stages of {self.name}",
                )
        stages = tuple(
            replace(stage, stride=1) if index in unstrided_stages else stage for index, stage in enumerate(self.stages)
        )
        return replace(self, stem_stride=stem_stride, stages=stages)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; `from_dict` reads them back to an equal spec."""
        values: dict[str, Any] = {"schema": SCHEMA_VERSION}
        for field in fields(self):
            value = getattr(self, field.name)
            values[field.name] = [_stage_dict(stage) for stage in value] if field.name == "stages" else value
        return values

    @classmethod
    def from_dict(cls, values: object) -> NetSpec:
        """Read what `to_dict` wrote.

        Raises:
            SpecError: not an object, an unknown or missing key, a value outside the rules, a newer schema.
        """
        known: dict[str, Any] = check_keys(
            values, "a network spec", known=_KEYS, required=("name", "resolution", "stem_width", "stages")
        )
        schema = known.pop("schema", SCHEMA_VERSION)
        if schema != SCHEMA_VERSION:
            raise SpecError(
                f"this scalesearch reads spec schema {SCHEMA_VERSION}", value=schema, way_out="update scalesearch"
            )
        stages = known["stages"]
        if not isinstance(stages, list):
            raise SpecError("stages must be a list", value=type(stages).__name__)
        known["stages"] = tuple(_stage_from_dict(stage) for stage in stages)
        return cls(**known)

    def to_json(self) -> str:
        """The spec as indented JSON text."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> NetSpec:
        """Read a spec from JSON text.

        Raises:
            SpecError: not JSON, or not a network spec.
        """
        try:
            values = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise SpecError(
                "a spec file must hold JSON", value=str(error), way_out="write it with `to_json`"
            ) from error
        return cls.from_dict(values)


_REALISED: Final = tuple(field.name for field in fields(NetSpec) if field.name != "name")


def _blocks(stages: tuple[StageSpec, ...], in_width: int, activation: str) -> Iterator[tuple[BlockSpec, ...]]:
    for stage in stages:
        first = stage.block(in_width, first=True, activation=activation)
        later = (stage.block(stage.width, first=False, activation=activation),) if stage.depth > 1 else ()
        yield (first,) + later * (stage.depth - 1)
        in_width = stage.width


# remembered by values instead of by spec, because a search renames its networks after their fingerprints
@lru_cache(maxsize=4096)
def _fingerprint(values: tuple[Any, ...]) -> str:
    given = dict(zip(_REALISED, values, strict=True))
    stages = given.pop("stages")
    # numbers that compare equal (1 and 1.0) must give the same text
    realised = {name: float(value) if isinstance(value, int | float) else value for name, value in given.items()}
    realised["blocks"] = [
        [getattr(block, name) for name in _BLOCK_FIELDS]
        for stage in _blocks(stages, given["stem_width"], given["activation"])
        for block in stage
    ]
    text = json.dumps(realised, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_BLOCK_FIELDS: Final = tuple(field.name for field in fields(BlockSpec))
_KEYS: Final = frozenset({"schema", *(field.name for field in fields(NetSpec))})
_STAGE_KEYS: Final = frozenset(field.name for field in fields(StageSpec))


def _stage_from_dict(values: object) -> StageSpec:
    known: dict[str, Any] = check_keys(
        values, "a stage", known=_STAGE_KEYS, required=("kind", "kernel_size", "stride", "width", "depth")
    )
    return StageSpec(**known)


def _stage_dict(stage: StageSpec) -> dict[str, Any]:
    return {field.name: getattr(stage, field.name) for field in fields(stage)}
