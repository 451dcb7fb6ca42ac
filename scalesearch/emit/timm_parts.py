"""What modules for timm are made of beside the table: imports, builders, and classes that timm lacks."""

from __future__ import annotations

from typing import Final

__all__ = ["CFG", "EFFICIENTNET", "RESNET", "SQUEEZED_CONV", "imports"]


def imports(*, efficientnet: bool, resnet: bool, squeezed: bool) -> str:
    """The import lines of a module with such networks."""
    builder = ["decode_arch_def"] * efficientnet + ["efficientnet_init_weights"] * squeezed + ["resolve_bn_args"]
    lines = ["", "from __future__ import annotations", ""]
    lines += ["import math"] * efficientnet
    lines += ["from functools import partial", "from typing import Any", ""]
    lines += [
        "from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD",
        "from timm.layers import get_act_layer",
    ]
    lines += ["from timm.models import build_model_with_cfg, generate_default_cfgs, register_model"]
    lines += ["from timm.models._efficientnet_blocks import ConvBnAct, SqueezeExcite"] * squeezed
    lines += [f"from timm.models._efficientnet_builder import {', '.join(builder)}"]
    lines += ["from timm.models.efficientnet import EfficientNet"] * efficientnet
    lines += ["from timm.models.resnet import BasicBlock, Bottleneck, ResNet"] * resnet
    lines += ["from torch import Tensor, nn" if squeezed else "from torch import nn"]
    return "\n".join(lines) + "\n"


CFG: Final = '''

def _cfg(resolution: int, num_classes: int, in_channels: int, first_conv: str, classifier: str) -> dict[str, Any]:
    colour = in_channels == 3
    return {
        "url": "",
        "num_classes": num_classes,
        "input_size": (in_channels, resolution, resolution),
        "pool_size": None,
        "crop_pct": 0.875,
        "interpolation": "bicubic",
        "mean": IMAGENET_DEFAULT_MEAN if colour else (0.5,) * in_channels,
        "std": IMAGENET_DEFAULT_STD if colour else (0.5,) * in_channels,
        "first_conv": first_conv,
        "classifier": classifier,
    }


def _norm(network: dict[str, Any], kwargs: dict[str, Any]) -> partial[nn.BatchNorm2d]:
    """Batch norm of the table, or of the keyword arguments that timm's train script passes."""
    settings = {"bn_eps": network["norm_eps"], "bn_momentum": network["norm_momentum"], **kwargs}
    for key in ("bn_eps", "bn_momentum"):
        kwargs.pop(key, None)
    return partial(nn.BatchNorm2d, **resolve_bn_args(settings))
'''

SQUEEZED_CONV: Final = '''

class SqueezedConv(nn.Module):
    """timm's convolution block with squeeze-excite before the sum, which timm's own does not have."""

    def __init__(self, block: ConvBnAct, width: int):
        super().__init__()
        self.conv, self.bn1, self.drop_path, self.has_skip = block.conv, block.bn1, block.drop_path, block.has_skip
        act_layer = type(block.bn1.act)
        self.se = SqueezeExcite(block.conv.out_channels, rd_channels=width, act_layer=act_layer)

    def forward(self, x: Tensor) -> Tensor:
        out = self.se(self.bn1(self.conv(x)))
        return self.drop_path(out) + x if self.has_skip else out


def _squeeze(model: EfficientNet, widths: dict[str, int]) -> None:
    """Give the convolution blocks "STAGE.BLOCK" squeeze-excite of these widths."""
    for place, width in widths.items():
        stage, block = map(int, place.split("."))
        model.blocks[stage][block] = SqueezedConv(model.blocks[stage][block], width)
    if widths:
        efficientnet_init_weights(model)
'''

EFFICIENTNET: Final = '''

def _create(name: str, pretrained: bool, kwargs: dict[str, Any]) -> EfficientNet:
    """timm's EfficientNet from the table; keyword arguments that timm passes go before the table's values."""
    network = NETWORKS[name]
    stem_stride, activation = network["stem_stride"], kwargs.pop("act_layer", network["activation"])
    blocks = decode_arch_def(network["blocks"])
    settings = {
        "block_args": blocks,
        "stem_size": network["stem_width"],
        "stem_kernel_size": network["stem_kernel_size"],
        "fix_stem": True,
        "num_features": network["head_width"],
        # widths are final: nothing is rounded again
        "round_chs_fn": int,
        # timm would dilate instead of striding beyond 32
        "output_stride": max(32, 2 * math.prod(stage[0]["stride"] for stage in blocks)),
        "act_layer": get_act_layer(activation),
        "norm_layer": _norm(network, kwargs),
        "drop_rate": network["dropout"],
        "drop_path_rate": network["drop_path"],
    }
    model = build_model_with_cfg(EfficientNet, name, pretrained, **{**settings, **kwargs})
    if stem_stride != 2:
        # because timm's constructor always strides in the stem
        model.conv_stem.stride = (stem_stride, stem_stride)
    return model
'''

RESNET: Final = '''

class ScaledResNet(ResNet):
    """timm's ResNet with a stem of its own; timm's constructor always gives it 64 channels and a pool."""

    def __init__(self, stem_width: int, stem_kernel_size: int, stem_stride: int, stem_pool: bool, **kwargs: Any):
        super().__init__(**kwargs)
        norm_layer, block = kwargs["norm_layer"], self.layer1[0]
        side, width = stem_kernel_size, kwargs["channels"][0] * kwargs["block"].expansion
        self.conv1 = nn.Conv2d(self.in_chans, stem_width, side, stem_stride, padding=side // 2, bias=False)
        self.bn1 = norm_layer(stem_width)
        self.feature_info[0]["num_chs"] = stem_width
        first = block.conv1
        block.conv1 = nn.Conv2d(
            stem_width, first.out_channels, first.kernel_size, first.stride, first.padding, bias=False
        )
        block.downsample = None
        if stem_width != width:
            block.downsample = nn.Sequential(nn.Conv2d(stem_width, width, 1, bias=False), norm_layer(width))
        if not stem_pool:
            self.maxpool = nn.Identity()
        self.init_weights(zero_init_last=kwargs.get("zero_init_last", True))


def _create_resnet(name: str, pretrained: bool, kwargs: dict[str, Any]) -> ResNet:
    """timm's ResNet from the table; keyword arguments that timm passes go before the table's values."""
    network = NETWORKS[name]
    depth = sum(network["depths"])
    settings = {
        "block": {"BasicBlock": BasicBlock, "Bottleneck": Bottleneck}[network["block"]],
        "layers": network["depths"],
        "channels": network["planes"],
        "base_width": network["base_width"],
        "act_layer": get_act_layer(kwargs.pop("act_layer", network["activation"])),
        "norm_layer": _norm(network, kwargs),
        "drop_rate": network["dropout"],
        # block i of n drops with rate * i / n; timm's ResNet divides by n - 1
        "drop_path_rate": network["drop_path"] * (depth - 1) / depth,
        **{key: network[key] for key in ("stem_width", "stem_kernel_size", "stem_stride", "stem_pool")},
    }
    return build_model_with_cfg(ScaledResNet, name, pretrained, **{**settings, **kwargs})
'''
