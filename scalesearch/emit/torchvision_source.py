"""A module that builds networks from torchvision's classes, EfficientNet, MobileNetV2 or ResNet, where these can."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from scalesearch.arch.blocks import BlockSpec, StageSpec
from scalesearch.arch.spec import NetSpec
from scalesearch.emit.heading import Heading
from scalesearch.emit.layout import call, docstring, number
from scalesearch.emit.naming import family_name, function_names
from scalesearch.emit.resnet_shape import is_resnet
from scalesearch.emit.torchvision_resnet import SCALED_RESNET, resnet_function
from scalesearch.errors import SpecError

__all__ = ["torchvision_module_name", "torchvision_source"]


def torchvision_module_name(specs: Sequence[NetSpec]) -> str:
    """The module that builds `specs`."""
    return f"{family_name(specs)}_torchvision"


def torchvision_source(specs: Sequence[NetSpec], *, provenance: Mapping[str, object] | None = None) -> str:
    """A module with one function per network, named by `function_names(specs)`, that imports torchvision.

    Raises:
        SpecError: a network that torchvision's classes cannot express, with the first reason.
    """
    names, module = function_names(specs), torchvision_module_name(specs)
    functions = [_function(spec, name) for spec, name in zip(specs, names, strict=True)]
    paragraphs = Heading(specs, names, provenance or {}).paragraphs(
        "networks for image classification, built from torchvision's classes",
        usage=[f"from {module} import {names[-1]}", "", f"net = {names[-1]}(num_classes=10)"],
    )
    has_resnet = any(is_resnet(spec) for spec in specs)
    text = (SCALED_RESNET if has_resnet else "") + "".join(functions)
    imports = [
        "",
        "from __future__ import annotations",
        "",
        *["from collections.abc import Callable, Sequence"] * has_resnet,
        "from functools import partial",
        "",
        "from torch import nn",
    ]
    for home, classes in _CLASSES.items():
        used = [name for name in classes if re.search(rf"\b{name}\b[^.]", text)]
        imports += [f"from torchvision.models.{home} import {', '.join(used)}"] if used else []
    listed = call("__all__ = [", [f'"{name}"' for name in sorted(names)])
    return "".join([docstring(paragraphs), "\n".join(imports), "\n\n", listed, "\n", text])


_CLASSES = {
    "efficientnet": ("EfficientNet", "FusedMBConvConfig", "MBConvConfig"),
    "mobilenetv2": ("MobileNetV2",),
    "resnet": ("BasicBlock", "Bottleneck", "ResNet"),
}


def _function(spec: NetSpec, name: str) -> str:
    """The function of a network, from the first class that can be it.

    Raises:
        SpecError: none can.
    """
    if is_resnet(spec):
        return resnet_function(spec, name)
    if any(stage.kind == "depthwise_separable_act" for stage in spec.stages):
        raise SpecError(
            f"{spec.name} cannot be written for torchvision, which has no MobileNetV1",
            way_out="emit it as torch source",
        )
    if not _why_not_mobilenet(spec):
        return _mobilenet(spec, name)
    # its reason is told where the blocks are MobileNetV2's, else EfficientNet's
    blocks_of_mobilenet = spec.activation == "relu6" and not any(stage.se_ratio for stage in spec.stages)
    reason = _why_not_mobilenet(spec) if blocks_of_mobilenet else _why_not(spec)
    if reason:
        cls = "MobileNetV2" if blocks_of_mobilenet else "EfficientNet"
        raise SpecError(
            f"{spec.name} cannot be built from torchvision's {cls}: {reason}", way_out="emit it as torch source"
        )
    return _efficientnet(spec, name)


def _mobilenet(spec: NetSpec, name: str) -> str:
    arguments = [f"num_classes: int = {spec.num_classes}", f"dropout: float = {number(spec.dropout)}"]
    rows = []
    for stage in spec.stages:
        numbers = (stage.expansion_ratio, stage.width, stage.depth, stage.stride)
        rows.append(call("[", [number(value) for value in numbers], ",", indent=8))
    norm = f"norm_layer=partial(nn.BatchNorm2d, eps={number(spec.norm_eps)}, momentum={number(spec.norm_momentum)})"
    # widths are final: round_nearest=1 keeps them
    settings = ["num_classes", "inverted_residual_setting=stages", "round_nearest=1", norm, "dropout=dropout"]
    body = [
        f'    """{Heading.summary(spec)}"""',
        "    # expansion ratio, width, depth, stride",
        "    stages = [",
        *rows,
        "    ]",
        call("return MobileNetV2(", settings, indent=4),
    ]
    return f"\n\n{call(f'def {name}(', arguments, ' -> MobileNetV2:')}\n" + "\n".join(body) + "\n"


def _why_not_mobilenet(spec: NetSpec) -> str:
    """The first reason why torchvision's MobileNetV2 cannot be this network; "" where it can."""
    blocks = [block for stage in spec.blocks() for block in stage]
    if (spec.stem_width, spec.head_width, spec.in_channels) != (32, 1280, 3):
        return "it begins with 3 channels and 32 and ends with 1280"
    if (spec.stem_kernel_size, spec.stem_stride, spec.stem_pool) != (3, 2, False):
        return "its stem is 3x3 with stride 2"
    if spec.drop_path:
        return f"it has no stochastic depth, drop_path is {spec.drop_path:g}"
    for block in blocks:
        skips = block.stride == 1 and block.in_width == block.width
        plain = block.kind in ("mbconv", "depthwise_separable") and not block.se_width and block.kernel_size == 3
        if not plain or block.activation != "relu6" or block.residual != skips:
            shape = f"{block.kind} {block.kernel_size}x{block.kernel_size}"
            return f"its blocks are 3x3 inverted residuals with relu6, not {shape}"
    return "" if spec.activation == "relu6" else "its activation is relu6"


def _efficientnet(spec: NetSpec, name: str) -> str:
    arguments = [f"num_classes: int = {spec.num_classes}"]
    arguments += [f"drop_path: float = {number(spec.drop_path)}", f"dropout: float = {number(spec.dropout)}"]
    in_width, rows = spec.stem_width, []
    for stage, blocks in zip(spec.stages, spec.blocks(), strict=True):
        rows.append(_config(stage, blocks[0].kind, in_width))
        in_width = stage.width
    head = call(f"def {name}(", arguments, " -> EfficientNet:")
    norm = f"norm_layer=partial(nn.BatchNorm2d, eps={number(spec.norm_eps)}, momentum={number(spec.norm_momentum)})"
    settings = ["dropout", "drop_path", "num_classes", norm, f"last_channel={spec.head_width}"]
    body = [
        f'    """{Heading.summary(spec)}"""',
        "    # expansion ratio, kernel size, stride, input width, width, depth",
        "    stages = [",
        *rows,
        "    ]",
        call("return EfficientNet(", ["stages", *settings], indent=4),
    ]
    return f"\n\n{head}\n" + "\n".join(body) + "\n"


def _config(stage: StageSpec, kind: str, in_width: int) -> str:
    name = "FusedMBConvConfig(" if kind in ("fused_mbconv", "conv") else "MBConvConfig("
    numbers = (stage.expansion_ratio, stage.kernel_size, stage.stride, in_width, stage.width, stage.depth)
    return call(name, [number(value) for value in numbers], ",", indent=8)


def _why_not(spec: NetSpec) -> str:
    """The first reason why torchvision's EfficientNet cannot be this network; "" where it can."""
    blocks = [block for stage in spec.blocks() for block in stage]
    activations = {spec.activation, *(block.activation for block in blocks)}
    if activations != {"silu"}:
        return f"its activation is silu, not {min(activations - {'silu'})}"
    if (spec.stem_kernel_size, spec.stem_stride) != (3, 2):
        return (
            f"its stem is 3x3 with stride 2, not {spec.stem_kernel_size}x{spec.stem_kernel_size} / {spec.stem_stride}"
        )
    if spec.stem_pool:
        return "its stem has no max pool"
    if spec.in_channels != 3:
        return f"it takes 3 channels, not {spec.in_channels}"
    if not spec.head_width:
        return "it always has a head convolution"
    return next(filter(None, map(_why_not_block, blocks)), "")


def _why_not_block(block: BlockSpec) -> str:
    skips = block.stride == 1 and block.in_width == block.width
    if block.residual != skips:
        return "it adds the input wherever stride is 1 and the widths agree"
    if block.kind in ("mbconv", "depthwise_separable"):
        if block.se_width != max(1, block.in_width // 4):
            return f"its squeeze width is a quarter of the input's {block.in_width}, not {block.se_width}"
        if block.in_width % 8 or block.width % 8:
            return f"its MBConv widths are multiples of 8, not {block.in_width} and {block.width}"
    elif block.kind in ("fused_mbconv", "conv"):
        if block.se_width:
            return "its fused MBConv has no squeeze-excite"
    else:
        return f"it has no {block.kind} block"
    expands = block.kind in ("mbconv", "fused_mbconv")
    mid_width = block.mid_width if expands else block.in_width
    if mid_width % 8 or expands == (mid_width == block.in_width):
        return f"its hidden widths are multiples of 8 and differ from the input's, not {mid_width}"
    return ""
