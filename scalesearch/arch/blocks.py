"""The parts of a trunk: stages as people write them down, and the blocks that they realise."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

from scalesearch.arch.checks import check_bool, check_int, check_keys, check_name, check_odd, check_real
from scalesearch.errors import SpecError

__all__ = ["ACTIVATIONS", "BLOCK_KINDS", "MAX_DEPTH", "MAX_WIDTH", "SUM_KINDS", "BlockSpec", "StageSpec"]

BLOCK_KINDS: Final = (
    "mbconv",
    "depthwise_separable",
    "fused_mbconv",
    "conv",
    "depthwise_separable_act",
    "basic",
    "bottleneck",
)
ACTIVATIONS: Final = ("silu", "relu", "relu6", "hard_swish", "identity")
#: blocks of ResNet, which add their input, projected where shapes differ, and activate the sum
SUM_KINDS: Final = ("basic", "bottleneck")
MAX_WIDTH: Final = 1 << 20
MAX_DEPTH: Final = 10_000

_WITHOUT_EXPANSION: Final = ("depthwise_separable", "depthwise_separable_act", "conv")


@dataclass(frozen=True, slots=True)
class BlockSpec:
    """One realised block, in canonical form: what `nets` builds and `cost` counts.

    `kind` is canonical: an MBConv without expansion is a depthwise-separable block and a fused MBConv
    without expansion is a plain convolution, because they realise the same layers; so is a last activation that is
    the identity left out.
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

    @property
    def projects(self) -> bool:
        """Whether a 1x1 convolution (with norm) brings the input to the shape of the output it is added to."""
        return self.residual and not (self.stride == 1 and self.in_width == self.width)


@dataclass(frozen=True, slots=True)
class StageSpec:
    """A run of `depth` equal blocks; only the first one strides and changes the width.

    Kinds:
        mbconv, fused_mbconv: inverted residuals (arXiv 1801.04381, 2104.00298); the last layer is linear.
        depthwise_separable: an mbconv without expansion.
        depthwise_separable_act: the same with an activation after the pointwise convolution too (MobileNetV1,
            arXiv 1704.04861).
        conv: one convolution with activation.
        basic, bottleneck: residual blocks of ResNet (arXiv 1512.03385), stride on the k x k convolution, activation
            after the sum; the shortcut is a 1x1 convolution where shapes differ.

    Args:
        kind: one of `BLOCK_KINDS`.
        kernel_size: odd side of the depthwise (or full) kernel, in pixels.
        stride: 1 or 2, of the first block.
        width: output channels of every block.
        depth: number of blocks.
        expansion_ratio: hidden over input channels; 1 for "depthwise_separable", "depthwise_separable_act" and "conv".
            Of "basic" and "bottleneck": hidden over OUTPUT channels (ResNet-50: 0.25, WideResNet-50: 0.5).
        se_ratio: squeeze-excite width over the block's INPUT channels; 0 turns it off.
        skip: add the input where stride is 1 and the widths agree; of "basic" and "bottleneck" everywhere.
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
        check_int("width", self.width, 1, MAX_WIDTH)
        check_int("depth", self.depth, 1, MAX_DEPTH)
        check_real("expansion_ratio", self.expansion_ratio, 0.125, 64)
        check_real("se_ratio", self.se_ratio, 0, 1)
        check_bool("skip", self.skip)
        if self.kind in _WITHOUT_EXPANSION and self.expansion_ratio != 1:
            raise SpecError(
                f"a {self.kind} stage has expansion_ratio 1",
                value=self.expansion_ratio,
                way_out="use kind mbconv or fused_mbconv for expansion",
            )
        if self.kind in SUM_KINDS and self.se_ratio != 0:
            raise SpecError(
                f"a {self.kind} stage has se_ratio 0",
                value=self.se_ratio,
                way_out="use another kind for squeeze-excite",
            )

    def block(self, in_width: int, *, first: bool, activation: str) -> BlockSpec:
        """The realised block that follows `in_width` channels, the stage's first or a later one."""
        stride = self.stride if first else 1
        kind, act = self.kind, self.activation or activation
        # hidden channels: c_mid = round(e * c_in), of ResNet's blocks round(e * c_out)
        mid_width = max(1, round(self.expansion_ratio * (self.width if kind in SUM_KINDS else in_width)))
        if kind == "mbconv" and self.expansion_ratio == 1:
            kind = "depthwise_separable"
        elif kind == "fused_mbconv" and self.expansion_ratio == 1:
            kind = "conv"
        elif kind == "depthwise_separable_act" and act == "identity":
            kind = "depthwise_separable"
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
            activation=act,
            residual=self.skip and (kind in SUM_KINDS or (stride == 1 and in_width == self.width)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; `from_dict` reads them back to an equal stage."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, values: object) -> StageSpec:
        """Read what `to_dict` wrote.

        Raises:
            SpecError: not an object, an unknown or missing key, a value outside the rules.
        """
        known: dict[str, Any] = check_keys(values, "a stage", known=_KEYS, required=_KEYS)
        return cls(**known)


_KEYS: Final = frozenset(field.name for field in fields(StageSpec))
