"""A ResNet as timm's and torchvision's constructors take it: one kind of block, depths, planes and base width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scalesearch.arch.blocks import SUM_KINDS
from scalesearch.arch.spec import NetSpec
from scalesearch.errors import SpecError

__all__ = ["ResNetShape", "is_resnet", "resnet_shape"]

_STRIDES: Final = (1, 2, 2, 2)
#: base width at which a bottleneck's hidden width is its planes
_BASE: Final = 64
# block class of both libraries, and output channels over planes
_BLOCKS: Final = {"basic": ("BasicBlock", 1), "bottleneck": ("Bottleneck", 4)}


@dataclass(frozen=True, slots=True)
class ResNetShape:
    """What both constructors are given.

    block: the class, "BasicBlock" or "Bottleneck". depths: blocks per stage.
    planes: output channels per stage, of a bottleneck a quarter of them.
    base_width: hidden channels of a bottleneck are floor(planes * base_width / 64).
    """

    block: str
    depths: tuple[int, ...]
    planes: tuple[int, ...]
    base_width: int


def is_resnet(spec: NetSpec) -> bool:
    """Whether every block is one of ResNet's."""
    return all(stage.kind in SUM_KINDS for stage in spec.stages)


def resnet_shape(spec: NetSpec, library: str) -> ResNetShape:
    """How `library` ("timm" or "torchvision") builds a network of residual blocks.

    Raises:
        SpecError: its ResNet cannot be this network, with the first reason.
    """
    reason = _why_not(spec) or (_why_not_torchvision(spec) if library == "torchvision" else "")
    if reason:
        raise SpecError(
            f"{spec.name} cannot be built from {library}'s ResNet: {reason}", way_out="emit it as torch source"
        )
    block, factor = _BLOCKS[spec.stages[0].kind]
    return ResNetShape(
        block=block,
        depths=spec.depths,
        planes=tuple(width // factor for width in spec.widths),
        base_width=_base_width(spec),
    )


def _base_width(spec: NetSpec) -> int:
    first = next(spec.blocks())[0]
    return _BASE if first.kind == "basic" else round(_BASE * 4 * first.mid_width / first.width)


def _why_not(spec: NetSpec) -> str:
    kinds = sorted({stage.kind for stage in spec.stages})
    if len(kinds) > 1:
        return f"its blocks are of one kind, not {' and '.join(kinds)}"
    strides = tuple(stage.stride for stage in spec.stages)
    if strides != _STRIDES:
        return f"it has 4 stages with strides 1, 2, 2, 2, not {', '.join(map(str, strides))}"
    if spec.head_width:
        return "it has no head convolution"
    if {stage.kernel_size for stage in spec.stages} != {3}:
        return "its kernels are 3x3"
    if not all(stage.skip for stage in spec.stages):
        return "every block adds its input"
    if {stage.activation or spec.activation for stage in spec.stages} != {spec.activation}:
        return "it has one activation for all of it"
    base = _base_width(spec)
    for block in (block for stage in spec.blocks() for block in stage):
        if block.kind == "basic" and block.mid_width != block.width:
            return f"the hidden width of a basic block is that of its output, {block.width}, not {block.mid_width}"
        if block.kind == "bottleneck" and block.width % 4:
            return f"the width of a bottleneck is a multiple of 4, not {block.width}"
        if block.kind == "bottleneck" and block.width // 4 * base // _BASE != block.mid_width:
            return f"hidden widths are {base / _BASE / 4:g} of the width everywhere, not {block.mid_width}"
    return ""


def _why_not_torchvision(spec: NetSpec) -> str:
    if spec.activation != "relu":
        return f"its activation is relu, not {spec.activation}"
    if spec.drop_path:
        return f"it has no stochastic depth, drop_path is {spec.drop_path:g}"
    return f"it has no dropout, which is {spec.dropout:g}" if spec.dropout else ""
