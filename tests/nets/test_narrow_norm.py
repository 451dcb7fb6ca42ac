"""The norm of few channels equals torch's."""

import copy

import pytest
import torch
from torch import nn

from scalesearch.nets.blocks import ConvNormAct, NormSettings
from scalesearch.nets.narrow_norm import NARROW, NarrowBatchNorm2d


def pair(width: int, dtype: torch.dtype = torch.float32) -> tuple[NarrowBatchNorm2d, nn.BatchNorm2d]:
    ours, reference = NarrowBatchNorm2d(width, eps=1e-3), nn.BatchNorm2d(width, eps=1e-3)
    generator = torch.Generator().manual_seed(width)
    for parameter in ours.parameters():
        parameter.data.normal_(generator=generator)
    reference.load_state_dict(ours.state_dict())
    return ours.to(dtype), reference.to(dtype)


def run(norm: nn.Module, x: torch.Tensor) -> list[torch.Tensor | None]:
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    out = norm(x)
    out.backward(torch.sin(out.detach() * 3))
    return [out.detach(), x.grad, *(p.grad for p in norm.parameters()), *norm.state_dict().values()]


@pytest.mark.parametrize("width", [1, 4, 5, 7])
@pytest.mark.parametrize("shape", [(64, 24), (3, 5), (2, 1)])
def test_output_gradients_and_running_statistics_equal_torchs(width: int, shape: tuple[int, int]) -> None:
    batch, side = shape
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, width, side, side, generator=generator) * 2 + 3
    x = x.contiguous(memory_format=torch.channels_last)
    ours, reference = pair(width)
    for _ in range(2):  # running statistics of a second batch too
        for mine, theirs in zip(run(ours, x), run(reference, x), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
    assert list(ours.state_dict()) == list(reference.state_dict())


def test_torch_does_it_elsewhere() -> None:
    x = torch.randn(4, 6, 8, 8)
    last = x.contiguous(memory_format=torch.channels_last)
    norm = NarrowBatchNorm2d(6)
    assert norm._is_quick(last)
    assert not norm._is_quick(x)
    assert not norm._is_quick(last.double())
    assert not norm.eval()._is_quick(last)
    ours, reference = pair(6)
    torch.testing.assert_close(ours.eval()(last), reference.eval()(last), rtol=0, atol=0)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        pair(4)[0](torch.randn(1, 4, 1, 1).contiguous(memory_format=torch.channels_last))


def test_narrow_layers_have_it_and_copies_keep_it() -> None:
    settings = NormSettings(eps=1e-3, momentum=0.1)
    narrow = ConvNormAct(3, NARROW - 1, kernel_size=1, norm=settings)
    assert isinstance(copy.deepcopy(narrow).norm, NarrowBatchNorm2d)
    assert type(ConvNormAct(3, NARROW, kernel_size=1, norm=settings).norm) is nn.BatchNorm2d


def test_an_activation_may_change_the_output_in_place() -> None:
    x = torch.randn(4, 6, 5, 5).contiguous(memory_format=torch.channels_last)
    ours, reference = (nn.Sequential(norm, nn.ReLU(inplace=True)) for norm in pair(6))
    for mine, theirs in zip(run(ours, x), run(reference, x), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
