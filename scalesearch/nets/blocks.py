"""The torch modules a network is made of: convolution with norm, squeeze-excite, and the kinds of block.

Every module maps a float tensor (batch, channels, height, width) to another one. Padding is kernel_size // 2 on
every side, so that the output side is ceil(input side / stride). Convolutions before a norm have no bias.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from scalesearch.arch.blocks import SUM_KINDS, BlockSpec
from scalesearch.nets.narrow_norm import NARROW, NarrowBatchNorm2d
from scalesearch.nets.small_maps import DepthwiseConv2d, PointwiseConv2d

__all__ = ["Block", "ConvNormAct", "DropPath", "NormSettings", "SqueezeExcite", "global_average", "make_block"]

_ACTIVATIONS: Final[dict[str, Callable[[], nn.Module]]] = {
    # silu and hard_swish not in place, because autograd would copy their input first
    "silu": nn.SiLU,
    "hard_swish": nn.Hardswish,
    "relu": lambda: nn.ReLU(inplace=True),
    "relu6": lambda: nn.ReLU6(inplace=True),
    "identity": nn.Identity,
}


@dataclass(frozen=True, slots=True)
class NormSettings:
    """Batch-norm epsilon and momentum (torch's sense: the weight of the new batch)."""

    eps: float
    momentum: float


class ConvNormAct(nn.Module):
    """Convolution without bias, batch norm, and an activation unless it is None."""

    def __init__(
        self,
        in_width: int,
        width: int,
        *,
        kernel_size: int,
        norm: NormSettings,
        stride: int = 1,
        depthwise: bool = False,
        activation: str | None = None,
    ):
        super().__init__()
        if depthwise:
            assert in_width == width, (in_width, width)
            self.conv: nn.Conv2d = DepthwiseConv2d(width, kernel_size, stride=stride)
        elif kernel_size == stride == 1:
            self.conv = PointwiseConv2d(in_width, width)
        else:
            self.conv = nn.Conv2d(in_width, width, kernel_size, stride=stride, padding=kernel_size // 2, bias=False)
        norm_class = NarrowBatchNorm2d if width < NARROW else nn.BatchNorm2d
        self.norm: nn.BatchNorm2d = norm_class(width, eps=norm.eps, momentum=norm.momentum)
        self.activation = nn.Identity() if activation is None else _ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_width, side, side) -> (batch, width, ceil(side / stride), ceil(side / stride))."""
        out: Tensor = self.activation(self.norm(self.conv(x)))
        return out


class SqueezeExcite(nn.Module):
    """Channel attention: a gate in (0, 1) per channel, from the pooled map (Hu et al., arXiv 1709.01507)."""

    def __init__(self, width: int, se_width: int, *, activation: str):
        super().__init__()
        self.reduce = nn.Conv2d(width, se_width, 1)
        self.activation = _ACTIVATIONS[activation]()
        self.expand = nn.Conv2d(se_width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`."""
        # 1x1 convolutions on a 1x1 map are linear layers; said so, they take a third of the time on a CPU
        hidden = self.activation(_as_linear(self.reduce, global_average(x, training=self.training)))
        gate = _as_linear(self.expand, hidden).sigmoid()
        return x * gate[:, :, None, None]


def global_average(x: Tensor, *, training: bool) -> Tensor:
    """Mean over the map: (batch, width, side, side) -> (batch, width).

    While training it is sum / area, because the gradient of a mean divides a whole map where that of a sum copies.
    """
    return x.sum((2, 3)) / (x.shape[2] * x.shape[3]) if training else x.mean((2, 3))


def _as_linear(conv: nn.Conv2d, x: Tensor) -> Tensor:
    return functional.linear(x, conv.weight.flatten(1), conv.bias)


class DropPath(nn.Module):
    """Stochastic depth: drops the whole branch of a picture with probability `rate` (arXiv 1603.09382).

    Surviving branches are divided by 1 - rate, so that the expectation stays. Identity outside training.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`."""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        mask = torch.empty((x.shape[0], 1, 1, 1), dtype=x.dtype, device=x.device).bernoulli_(keep)
        return x * (mask / keep)

    def extra_repr(self) -> str:
        """The rate, for `print(net)`."""
        return f"rate={self.rate:g}"


class Block(nn.Module):
    """A chain of named layers, added to its input where the spec says residual.

    Args:
        spec: the realised block.
        layers: the chain, in order; its names are those of the state dict.
        norm: of the projection, where the spec projects the input to the output's shape.
        drop_path: stochastic depth rate of the branch; without effect where nothing is added.
    """

    def __init__(self, spec: BlockSpec, layers: OrderedDict[str, nn.Module], *, norm: NormSettings, drop_path: float):
        super().__init__()
        self.spec = spec
        for name, layer in layers.items():
            self.add_module(name, layer)
        self._chain = tuple(layers)
        self.drop_path = DropPath(drop_path if spec.residual else 0.0)
        self.shortcut = self.activation = None
        if spec.projects:
            self.shortcut = ConvNormAct(spec.in_width, spec.width, kernel_size=1, stride=spec.stride, norm=norm)
        if spec.kind in SUM_KINDS:
            self.activation = _ACTIVATIONS[spec.activation]()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_width, side, side) -> (batch, width, ceil(side / stride), ceil(side / stride))."""
        out = x
        for name in self._chain:
            out = self._modules[name](out)  # type: ignore[misc]
        if self.spec.residual:
            out = (x if self.shortcut is None else self.shortcut(x)) + self.drop_path(out)
        return out if self.activation is None else self.activation(out)

    @property
    def closing_norm(self) -> nn.BatchNorm2d | None:
        """The norm that ends a residual branch; None without residual, or where an activation follows the norm."""
        last = self._modules[self._chain[-1]]
        if not self.spec.residual or not isinstance(last, ConvNormAct) or not isinstance(last.activation, nn.Identity):
            return None
        return last.norm


def make_block(spec: BlockSpec, *, norm: NormSettings, drop_path: float = 0.0) -> Block:
    """The module of a realised block.

    Layers by kind (se only where `se_width` is not 0):
        mbconv: expand 1x1, depthwise k x k, se, project 1x1 (arXiv 1801.04381, 1807.11626).
        depthwise_separable: depthwise k x k, se, project 1x1.
        fused_mbconv: expand k x k, se, project 1x1 (arXiv 2104.00298).
        conv: conv k x k, se.
        depthwise_separable_act: as depthwise_separable, with an activation after project (arXiv 1704.04861).
        basic: conv1 k x k, conv2 k x k; bottleneck: reduce 1x1, conv k x k, expand 1x1 (arXiv 1512.03385). Both have
            their last activation after the sum, and a shortcut 1x1 where shapes differ.
    """
    return Block(spec, _LAYERS[spec.kind](spec, norm), norm=norm, drop_path=drop_path)


def _mbconv(spec: BlockSpec, norm: NormSettings) -> OrderedDict[str, nn.Module]:
    expand = ConvNormAct(spec.in_width, spec.mid_width, kernel_size=1, norm=norm, activation=spec.activation)
    return OrderedDict(expand=expand, **_depthwise_separable(spec, norm))


def _depthwise_separable(spec: BlockSpec, norm: NormSettings) -> OrderedDict[str, nn.Module]:
    mid = spec.mid_width
    depthwise = ConvNormAct(
        mid,
        mid,
        kernel_size=spec.kernel_size,
        stride=spec.stride,
        depthwise=True,
        norm=norm,
        activation=spec.activation,
    )
    last = spec.activation if spec.kind == "depthwise_separable_act" else None
    project = ConvNormAct(mid, spec.width, kernel_size=1, norm=norm, activation=last)
    return OrderedDict(depthwise=depthwise, **_squeeze_excite(spec), project=project)


def _fused_mbconv(spec: BlockSpec, norm: NormSettings) -> OrderedDict[str, nn.Module]:
    expand = ConvNormAct(
        spec.in_width,
        spec.mid_width,
        kernel_size=spec.kernel_size,
        stride=spec.stride,
        norm=norm,
        activation=spec.activation,
    )
    project = ConvNormAct(spec.mid_width, spec.width, kernel_size=1, norm=norm)
    return OrderedDict(expand=expand, **_squeeze_excite(spec), project=project)


def _conv(spec: BlockSpec, norm: NormSettings) -> OrderedDict[str, nn.Module]:
    conv = ConvNormAct(
        spec.in_width,
        spec.width,
        kernel_size=spec.kernel_size,
        stride=spec.stride,
        norm=norm,
        activation=spec.activation,
    )
    return OrderedDict(conv=conv, **_squeeze_excite(spec))


def _basic(spec: BlockSpec, norm: NormSettings) -> OrderedDict[str, nn.Module]:
    k, mid = spec.kernel_size, spec.mid_width
    conv1 = ConvNormAct(spec.in_width, mid, kernel_size=k, stride=spec.stride, norm=norm, activation=spec.activation)
    return OrderedDict(conv1=conv1, conv2=ConvNormAct(mid, spec.width, kernel_size=k, norm=norm))


def _bottleneck(spec: BlockSpec, norm: NormSettings) -> OrderedDict[str, nn.Module]:
    mid, act = spec.mid_width, spec.activation
    return OrderedDict(
        reduce=ConvNormAct(spec.in_width, mid, kernel_size=1, norm=norm, activation=act),
        conv=ConvNormAct(mid, mid, kernel_size=spec.kernel_size, stride=spec.stride, norm=norm, activation=act),
        expand=ConvNormAct(mid, spec.width, kernel_size=1, norm=norm),
    )


def _squeeze_excite(spec: BlockSpec) -> dict[str, nn.Module]:
    if not spec.se_width:
        return {}
    return {"se": SqueezeExcite(spec.mid_width, spec.se_width, activation=spec.activation)}


_LAYERS: Final = {
    "mbconv": _mbconv,
    "depthwise_separable": _depthwise_separable,
    "fused_mbconv": _fused_mbconv,
    "conv": _conv,
    "depthwise_separable_act": _depthwise_separable,
    "basic": _basic,
    "bottleneck": _bottleneck,
}
