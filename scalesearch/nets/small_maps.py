"""Convolutions that train quickly on small maps on a CPU; elsewhere, and outside training, plain `nn.Conv2d`.

On maps of up to 4 x 4 px, choosing and preparing a kernel of the CPU library (oneDNN 3, as shipped with torch 2.13)
takes longer than the arithmetic, so a 1x1 convolution becomes a matrix product.

Its weight gradient of a depthwise convolution is a fast one for 3 x 3 kernels on maps of at least 3 px only. Elsewhere
it takes 0.8 to 2.2 ms where the forward pass takes 0.1 ms (AMD EPYC, one core, batch 64, 60 to 288 channels, 5 x 5
kernel, maps of 2 to 9 px). There it becomes a sum over all pairs of pixels, of which every kernel tap connects few.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

__all__ = ["DepthwiseConv2d", "PointwiseConv2d", "on_a_small_cpu_map", "pairwise_weight_gradient"]

_MAX_SIDE: Final = 4  # px, of 1x1 convolutions
# Pairs of an input and an output pixel up to which they win, milliseconds of one core against the library's:
# 2 px .10 / 1.01, 3 px .22 / 1.37, 4 px .27 / 1.07, 6 px .36 / 1.05, 8 px .81 / 1.88, 9 px 1.20 / 2.24,
# 12 to 6 px .77 / .91; and lose beyond: 10 px 2.0 to 2.5 / 2.79, 16 to 8 px 1.9 / 1.44
_MAX_PAIRS: Final = 9**4
_MAX_ELEMENTWISE_PAIRS: Final = 3**4  # below it the sum over pictures is quicker without a matrix product
_CHUNK_ELEMENTS: Final = 200_000  # of the product of pairs: 0.8 MB stays in the second-level cache


class PointwiseConv2d(nn.Conv2d):
    """`nn.Conv2d` with a 1x1 kernel and no bias."""

    def __init__(self, in_width: int, width: int):
        super().__init__(in_width, width, 1, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """(batch, in_width, side, side) -> (batch, width, side, side)."""
        if on_a_small_cpu_map(self, input):
            # in channels-last memory both permutations are views
            return functional.linear(input.permute(0, 2, 3, 1), self.weight.flatten(1)).permute(0, 3, 1, 2)
        return super().forward(input)


class DepthwiseConv2d(nn.Conv2d):
    """`nn.Conv2d` with one group per channel, odd kernel, padding kernel_size // 2 and no bias."""

    def __init__(self, width: int, kernel_size: int, *, stride: int = 1):
        super().__init__(width, width, kernel_size, stride=stride, padding=kernel_size // 2, groups=width, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """(batch, width, side, side) -> (batch, width, ceil(side / stride), ceil(side / stride))."""
        if _trains_on_a_cpu(self, input) and _pairs_win(input.shape[2], self.kernel_size[0], self.stride[0]):
            out: Tensor = _SmallMapConvolution.apply(input, self.weight, self.stride[0])
            return out
        return super().forward(input)


def on_a_small_cpu_map(module: nn.Module, x: Tensor) -> bool:
    """Whether `module` is trained, in float32 on a CPU, on maps (batch, width, side, side) of at most 4 px."""
    return _trains_on_a_cpu(module, x) and x.shape[2] <= _MAX_SIDE


def _trains_on_a_cpu(module: nn.Module, x: Tensor) -> bool:
    return (
        module.training
        and torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.shape[2] == x.shape[3]
        and not torch.is_autocast_enabled("cpu")
    )


def _pairs_win(side: int, kernel_size: int, stride: int) -> bool:
    """Whether the library has no fast weight gradient for this kernel and map, and there are few pairs of pixels."""
    fast = kernel_size <= 3 and side >= kernel_size
    return not fast and side**2 * (-(-side // stride)) ** 2 <= _MAX_PAIRS


class _SmallMapConvolution(torch.autograd.Function):
    """The library's forward pass and input gradient, our weight gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return torch.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, weight.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        grad_x = None
        if ctx.needs_input_grad[0]:
            sides = [weight.shape[-1] // 2] * 2
            grad_x = torch.ops.aten.convolution_backward(
                grad, x, weight, None, [ctx.stride] * 2, sides, [1, 1], False, [0, 0], weight.shape[0],
                [True, False, False],
            )[0]  # fmt: skip
        grad_weight = None
        if ctx.needs_input_grad[1]:
            grad_weight = pairwise_weight_gradient(x, grad, weight.shape[-1], ctx.stride)
        return grad_x, grad_weight, None


def pairwise_weight_gradient(x: Tensor, grad: Tensor, kernel_size: int, stride: int) -> Tensor:
    """Weight gradient of a depthwise convolution with padding kernel_size // 2, as a sum over pairs of pixels.

    dL/dw[c, tap] = sum over pictures n and pairs (output pixel p, input pixel q) that `tap` connects of
    grad[n, c, p] * x[n, c, q].

    Args:
        x: input (batch, width, side, side).
        grad: gradient of the output (batch, width, out_side, out_side).

    Returns:
        (width, 1, kernel_size, kernel_size)
    """
    side, out_side = x.shape[-1], grad.shape[-1]
    few = side**2 * out_side**2 <= _MAX_ELEMENTWISE_PAIRS
    pairs = _products_one_by_one(x, grad) if few else _products_by_matrices(x, grad)
    weights = x.new_zeros(x.shape[1], kernel_size * kernel_size)
    connected, taps = _connections(side, out_side, kernel_size, stride)
    weights.index_add_(1, taps, pairs.index_select(1, connected))
    return weights.view(-1, 1, kernel_size, kernel_size)


def _products_one_by_one(x: Tensor, grad: Tensor) -> Tensor:
    """Products of all pairs of pixels, summed over pictures: (width, in pixels * out pixels)."""
    batch, width = x.shape[:2]
    inputs = x.permute(0, 2, 3, 1).reshape(batch, -1, 1, width)
    grads = grad.permute(0, 2, 3, 1).reshape(batch, 1, -1, width)
    pairs = x.new_zeros(inputs.shape[1], grads.shape[2], width)
    chunk = max(1, _CHUNK_ELEMENTS // pairs.numel())
    for start in range(0, batch, chunk):
        pairs += (inputs[start : start + chunk] * grads[start : start + chunk]).sum(0)
    return pairs.view(-1, width).t()


def _products_by_matrices(x: Tensor, grad: Tensor) -> Tensor:
    """The same as one matrix product per channel: (in pixels, batch) times (batch, out pixels)."""
    inputs, grads = _channels_first(x), _channels_first(grad)
    return torch.bmm(inputs.transpose(1, 2), grads).flatten(1)


def _channels_first(x: Tensor) -> Tensor:
    """(batch, width, side, side), channels-last in memory -> (width, batch, side * side), contiguous."""
    batch, width, side, _ = x.shape
    return x.permute(0, 2, 3, 1).reshape(-1, width).t().contiguous().view(width, batch, side * side)


@lru_cache(maxsize=256)
def _connections(side: int, out_side: int, kernel_size: int, stride: int) -> tuple[Tensor, Tensor]:
    """Indices of the connected pairs (input pixel major), and the kernel tap that connects each."""
    padding = kernel_size // 2
    # tap row of every (output row, input row): ky = iy - oy * stride + padding; the same for columns
    steps = torch.arange(side)[:, None] - torch.arange(out_side)[None, :] * stride + padding
    rows, columns = steps[:, None, :, None], steps[None, :, None, :]
    inside = (rows >= 0) & (rows < kernel_size) & (columns >= 0) & (columns < kernel_size)
    connected = inside.flatten().nonzero().squeeze(1)
    return connected, (rows * kernel_size + columns).flatten()[connected]
