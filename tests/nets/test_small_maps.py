"""The quick convolutions equal the library's."""

import pytest
import torch
from torch.nn import functional

from scalesearch.nets.small_maps import DepthwiseConv2d, PointwiseConv2d, on_a_small_cpu_map, pairwise_weight_gradient


@pytest.mark.parametrize("side", [1, 2, 3, 4, 6, 9])
@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_pairwise_weight_gradient_equals_autograd(side: int, kernel_size: int, stride: int) -> None:
    generator = torch.Generator().manual_seed(side)
    x = torch.randn(5, 3, side, side, generator=generator, dtype=torch.float64)
    weight = torch.randn(3, 1, kernel_size, kernel_size, generator=generator, dtype=torch.float64).requires_grad_()
    out = functional.conv2d(x, weight, stride=stride, padding=kernel_size // 2, groups=3)
    grad = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    (expected,) = torch.autograd.grad(out, weight, grad)
    torch.testing.assert_close(pairwise_weight_gradient(x, grad, kernel_size, stride), expected)


def test_chunks_of_a_large_batch_add_up() -> None:
    x = torch.randn(700, 24, 4, 4, dtype=torch.float64)
    halves = [pairwise_weight_gradient(part, part, 5, 1) for part in x.split(350)]
    torch.testing.assert_close(pairwise_weight_gradient(x, x, 5, 1), halves[0] + halves[1])


@pytest.mark.parametrize("side", [2, 4, 5, 8])
@pytest.mark.parametrize(
    ("layer", "plain"),
    [
        (DepthwiseConv2d(6, 3), torch.nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False)),
        (DepthwiseConv2d(6, 5, stride=2), torch.nn.Conv2d(6, 6, 5, stride=2, padding=2, groups=6, bias=False)),
        (PointwiseConv2d(6, 9), torch.nn.Conv2d(6, 9, 1, bias=False)),
    ],
    ids=["depthwise3", "depthwise5", "pointwise"],
)
def test_the_layers_are_conv2d_with_the_same_gradients(
    side: int, layer: torch.nn.Conv2d, plain: torch.nn.Conv2d
) -> None:
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(8, 6, side, side, generator=torch.Generator().manual_seed(0))
    gradients = []
    for net in (layer, plain):
        net.zero_grad()
        picture = x.contiguous(memory_format=torch.channels_last).requires_grad_()
        out = net(picture)
        out.square().sum().backward()
        gradients.append((out.detach(), picture.grad, net.weight.grad))
    for ours, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-4, atol=1e-4)


def test_the_small_map_path_is_taken_in_training_only() -> None:
    layer = PointwiseConv2d(4, 3)
    small, large = torch.randn(2, 4, 4, 4), torch.randn(2, 4, 5, 5)
    assert on_a_small_cpu_map(layer, small)
    assert not on_a_small_cpu_map(layer, large)
    assert not on_a_small_cpu_map(layer.eval(), small)
    with torch.no_grad():
        assert not on_a_small_cpu_map(layer.train(), small)


@pytest.mark.parametrize(
    ("kernel_size", "stride", "side", "ours"),
    [
        (3, 1, 2, True),  # smaller than the kernel
        (3, 1, 4, False),  # the library is fast
        (5, 1, 9, True),
        (5, 1, 10, False),  # too many pairs
        (5, 2, 12, True),
        (5, 2, 16, False),
    ],
)
def test_pairs_are_for_few_pixels_and_slow_kernels(kernel_size: int, stride: int, side: int, ours: bool) -> None:
    x = torch.randn(2, 3, side, side).contiguous(memory_format=torch.channels_last)
    out = DepthwiseConv2d(3, kernel_size, stride=stride)(x)
    assert ("SmallMap" in type(out.grad_fn).__name__) is ours
