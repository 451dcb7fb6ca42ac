"""A network for judging alone: every batch norm folded into the convolution before it, activations in place.

Norm of a convolution w * x is scale * (w * x - mean) + bias with scale = weight / sqrt(variance + eps), which is a
convolution with weights scale * w and bias (bias - scale * mean): one pass over every map less, and no copies.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from scalesearch.nets.blocks import ConvNormAct

__all__ = ["folded"]

_Net = TypeVar("_Net", bound=nn.Module)


@torch.no_grad()
def folded(net: _Net) -> _Net:
    """A copy in evaluation mode that computes what `net` does in evaluation mode, up to rounding.

    `net` stays as it is; the copy is not for training, and its state dict has other keys.
    """
    result = copy.deepcopy(net).eval()
    for module in result.modules():
        if not isinstance(module, ConvNormAct) or not isinstance(module.norm, nn.BatchNorm2d):
            continue
        conv, norm = module.conv, module.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        weight, bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        conv.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last), requires_grad=False)
        conv.bias = nn.Parameter(bias, requires_grad=False)
        module.norm = nn.Identity()  # type: ignore[assignment]
        if isinstance(module.activation, nn.SiLU | nn.Hardswish):
            # nobody else reads the convolution's output
            module.activation.inplace = True
    return result
