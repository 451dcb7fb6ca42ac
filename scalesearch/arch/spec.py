"""What a network is: frozen values that describe a whole classifier (its stages and blocks: `arch.blocks`).

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

from scalesearch.arch.blocks import ACTIVATIONS, BLOCK_KINDS, MAX_DEPTH, MAX_WIDTH, BlockSpec, StageSpec
from scalesearch.arch.checks import check_bool, check_int, check_keys, check_label, check_name, check_odd, check_real
from scalesearch.arch.spec_schema import SCHEMA_VERSION, migrated
from scalesearch.errors import SpecError

__all__ = ["ACTIVATIONS", "BLOCK_KINDS", "MAX_DEPTH", "POOL_KERNEL_SIZE", "BlockSpec", "NetSpec", "StageSpec"]

#: side of the stem's max pool, px; its stride is 2
POOL_KERNEL_SIZE: Final = 3
_MAX_RESOLUTION: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class NetSpec:
    """A whole image classifier: stem convolution (and max pool), stages, 1x1 head convolution, pooling, linear layer.

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
        stem_pool: a 3x3 max pool with stride 2 after the stem convolution (ResNet).

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
    stem_pool: bool = False

    def __post_init__(self) -> None:
        check_label("a network's name", self.name)
        check_name("activation", self.activation, ACTIVATIONS)
        if not isinstance(self.stages, tuple) or not all(isinstance(s, StageSpec) for s in self.stages):
            raise SpecError("stages must be a tuple of stages", value=type(self.stages).__name__)
        if not 1 <= len(self.stages) <= 64:
            raise SpecError("a network has 1 to 64 stages", value=len(self.stages))
        check_int("stem_width", self.stem_width, 1, MAX_WIDTH)
        check_int("head_width", self.head_width, 0, MAX_WIDTH)
        check_int("num_classes", self.num_classes, 1, MAX_WIDTH)
        check_int("in_channels", self.in_channels, 1, 1024)
        check_int("stem_stride", self.stem_stride, 1, 2)
        check_int("stem_kernel_size", self.stem_kernel_size, 1, 31)
        check_odd("stem_kernel_size", self.stem_kernel_size)
        check_real("dropout", self.dropout, 0, 0.99)
        check_real("drop_path", self.drop_path, 0, 0.99)
        check_real("norm_eps", self.norm_eps, 1e-12, 1)
        check_real("norm_momentum", self.norm_momentum, 1e-6, 1)
        check_bool("stem_pool", self.stem_pool)
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
        pool_stride = 2 if self.stem_pool else 1
        return self.stem_stride * pool_stride * math.prod(stage.stride for stage in self.stages)

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

    def for_small_inputs(
        self, *, stem_stride: int = 1, stem_pool: bool = True, unstrided_stages: tuple[int, ...] = ()
    ) -> NetSpec:
        """A copy for small pictures: another stem stride, and stages (counted from 0) that no longer stride.

        `stem_pool=False` takes the stem's max pool away where there is one.

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
        return replace(self, stem_stride=stem_stride, stem_pool=self.stem_pool and stem_pool, stages=stages)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; `from_dict` reads them back to an equal spec."""
        values: dict[str, Any] = {"schema": SCHEMA_VERSION}
        for field in fields(self):
            value = getattr(self, field.name)
            values[field.name] = [stage.to_dict() for stage in value] if field.name == "stages" else value
        return values

    @classmethod
    def from_dict(cls, values: object) -> NetSpec:
        """Read what `to_dict` wrote.

        Raises:
            SpecError: not an object, an unknown or missing key, a value outside the rules, a newer schema.
        """
        if isinstance(values, dict):
            values = migrated(values)
        known: dict[str, Any] = check_keys(values, "a network spec", known=_KEYS, required=_KEYS)
        stages = known["stages"]
        if not isinstance(stages, list):
            raise SpecError("stages must be a list", value=type(stages).__name__)
        known["stages"] = tuple(StageSpec.from_dict(stage) for stage in stages)
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
        except (ValueError, RecursionError) as error:  # ValueError: also an integer of thousands of digits
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
    # left out where it is off, because networks were known by their fingerprints before there was a pool
    if not given["stem_pool"]:
        del given["stem_pool"]
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
_KEYS: Final = frozenset(field.name for field in fields(NetSpec))
