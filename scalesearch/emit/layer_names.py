"""What timm and torchvision call the layers of our networks: pairs of dotted module names.

A pair names the modules that hold a layer's tensors (`weight`, `running_mean`, ...); the tensors' own names agree
everywhere. Read in timm 1.0.31 (_efficientnet_blocks.py, resnet.py) and torchvision 0.28 (efficientnet.py,
mobilenetv2.py, resnet.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scalesearch.arch.blocks import SUM_KINDS, BlockSpec
from scalesearch.arch.spec import NetSpec
from scalesearch.errors import SpecError

__all__ = ["LAYOUTS", "layer_names"]

#: (ours, theirs)
Pair = tuple[str, str]

LAYOUTS: Final = ("timm", "torchvision")

# layers of a block in the order of their chain: (our layer, timm's convolution); timm's norms are bn1, bn2, ...
_CHAINS: Final = {
    "mbconv": (("expand", "conv_pw"), ("depthwise", "conv_dw"), ("project", "conv_pwl")),
    "depthwise_separable": (("depthwise", "conv_dw"), ("project", "conv_pw")),
    "depthwise_separable_act": (("depthwise", "conv_dw"), ("project", "conv_pw")),
    "fused_mbconv": (("expand", "conv_exp"), ("project", "conv_pwl")),
    "conv": (("conv", "conv"),),
}
_SUM_CHAINS: Final = {"basic": ("conv1", "conv2"), "bottleneck": ("reduce", "conv", "expand")}


def layer_names(spec: NetSpec, layout: str) -> tuple[Pair, ...]:
    """Our name and the other library's for every module that holds tensors.

    Args:
        layout: one of `LAYOUTS`; which of the library's network classes is meant follows from the blocks.

    Raises:
        SpecError: no network of that library has these layers.
    """
    blocks = [block for stage in spec.blocks() for block in stage]
    if all(block.kind in SUM_KINDS for block in blocks):
        names = _resnet(spec, layout)
    elif any(block.kind in SUM_KINDS for block in blocks) or spec.stem_pool:
        raise _foreign(spec, layout, "a network that is only partly a ResNet")
    elif layout == "timm":
        names = _timm_efficientnet(spec)
    elif all(_is_mobilenet_v2(block) for block in blocks):
        names = _torchvision_mobilenet_v2(spec)
    else:
        names = _torchvision_efficientnet(spec)
    return tuple(names)


def _numbered(spec: NetSpec) -> Iterator[tuple[int, int, str, BlockSpec]]:
    """(stage, block of the stage, our name, block), counted from 0."""
    for s, stage in enumerate(spec.blocks()):
        for b, block in enumerate(stage):
            yield s, b, f"stages.{s}.{b}", block


def _conv_norm(ours: str, conv: str, norm: str) -> Iterator[Pair]:
    yield f"{ours}.conv", conv
    yield f"{ours}.norm", norm


def _resnet(spec: NetSpec, layout: str) -> Iterator[Pair]:
    """Both libraries call a ResNet's layers the same; a pool has no name."""
    if spec.head_width:
        raise _foreign(spec, layout, "residual blocks with a head convolution")
    yield from _conv_norm("stem", "conv1", "bn1")
    for s, b, ours, block in _numbered(spec):
        if not block.residual:
            raise _foreign(spec, layout, f"a {block.kind} block without its sum")
        if layout == "torchvision" and block.activation != "relu":
            raise _foreign(spec, layout, f"a {block.kind} block with {block.activation}")
        theirs = f"layer{s + 1}.{b}"
        for i, layer in enumerate(_SUM_CHAINS[block.kind], start=1):
            yield from _conv_norm(f"{ours}.{layer}", f"{theirs}.conv{i}", f"{theirs}.bn{i}")
        if block.projects:
            yield from _conv_norm(f"{ours}.shortcut", f"{theirs}.downsample.0", f"{theirs}.downsample.1")
    yield "classifier", "fc"


def _timm_efficientnet(spec: NetSpec) -> Iterator[Pair]:
    yield from _conv_norm("stem", "conv_stem", "bn1")
    for s, b, ours, block in _numbered(spec):
        theirs = f"blocks.{s}.{b}"
        for i, (layer, conv) in enumerate(_CHAINS[block.kind], start=1):
            yield from _conv_norm(f"{ours}.{layer}", f"{theirs}.{conv}", f"{theirs}.bn{i}")
        if block.se_width:
            yield f"{ours}.se.reduce", f"{theirs}.se.conv_reduce"
            yield f"{ours}.se.expand", f"{theirs}.se.conv_expand"
    if spec.head_width:
        yield from _conv_norm("head", "conv_head", "bn2")
    yield "classifier", "classifier"


def _torchvision_efficientnet(spec: NetSpec) -> Iterator[Pair]:
    if not spec.head_width:
        raise _foreign(spec, "torchvision", "an EfficientNet without a head convolution")
    yield from _conv_norm("stem", "features.0.0", "features.0.1")
    for s, b, ours, block in _numbered(spec):
        _check_torchvision(spec, block)
        theirs = f"features.{s + 1}.{b}.block"
        layers = [layer for layer, _ in _CHAINS[block.kind]]
        if block.se_width:
            layers.insert(-1, "se")
        for i, layer in enumerate(layers):
            if layer == "se":
                yield f"{ours}.se.reduce", f"{theirs}.{i}.fc1"
                yield f"{ours}.se.expand", f"{theirs}.{i}.fc2"
            else:
                yield from _conv_norm(f"{ours}.{layer}", f"{theirs}.{i}.0", f"{theirs}.{i}.1")
    last = len(spec.stages) + 1
    yield from _conv_norm("head", f"features.{last}.0", f"features.{last}.1")
    yield "classifier", "classifier.1"


def _check_torchvision(spec: NetSpec, block: BlockSpec) -> None:
    """torchvision's MBConv has squeeze-excite, its fused one has none; both use silu and add the input if they can."""
    separable = block.kind in ("mbconv", "depthwise_separable")
    if not separable and block.kind not in ("fused_mbconv", "conv"):
        raise _foreign(spec, "torchvision", f"a {block.kind} block")
    if bool(block.se_width) != separable:
        raise _foreign(spec, "torchvision", f"a {block.kind} block {'without' if separable else 'with'} squeeze-excite")
    if block.activation != "silu" or spec.activation != "silu":
        raise _foreign(spec, "torchvision", f"EfficientNet blocks with {block.activation}")
    _check_sum(spec, block)


def _check_sum(spec: NetSpec, block: BlockSpec) -> None:
    if block.residual != (block.stride == 1 and block.in_width == block.width):
        raise _foreign(spec, "torchvision", f"a {block.kind} block that could add its input and does not")


def _is_mobilenet_v2(block: BlockSpec) -> bool:
    separable = block.kind in ("mbconv", "depthwise_separable")
    return separable and not block.se_width and block.activation == "relu6" and block.kernel_size == 3


def _torchvision_mobilenet_v2(spec: NetSpec) -> Iterator[Pair]:
    if not spec.head_width:
        raise _foreign(spec, "torchvision", "a MobileNetV2 without a head convolution")
    yield from _conv_norm("stem", "features.0.0", "features.0.1")
    for number, (_, _, ours, block) in enumerate(_numbered(spec), start=1):
        _check_sum(spec, block)
        theirs = f"features.{number}.conv"
        *inner, last = [layer for layer, _ in _CHAINS[block.kind]]
        for i, layer in enumerate(inner):
            yield from _conv_norm(f"{ours}.{layer}", f"{theirs}.{i}.0", f"{theirs}.{i}.1")
        yield from _conv_norm(f"{ours}.{last}", f"{theirs}.{len(inner)}", f"{theirs}.{len(inner) + 1}")
    end = spec.depth + 1
    yield from _conv_norm("head", f"features.{end}.0", f"features.{end}.1")
    yield "classifier", "classifier.1"


def _foreign(spec: NetSpec, layout: str, what: str) -> SpecError:
    return SpecError(f"{spec.name} has no counterpart in {layout}, which does not know {what}")
