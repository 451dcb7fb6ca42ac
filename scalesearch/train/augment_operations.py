"""The operations of RandAugment on batches: float32 (batch, channels, side, side) in 0..255, any device.

Cubuk et al., arXiv 1909.13719, section 3: 14 operations. What a level means follows torchvision's and the released
code's (tensorflow/tpu, efficientnet/autoaugment.py), with posterize stronger at higher levels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["COLOUR_OPERATIONS", "GEOMETRY_OPERATIONS", "OPERATIONS", "affine", "matrices"]

_GREY: Final = 128.0  # what lies outside a picture
_LUMA: Final = (0.299, 0.587, 0.114)  # ITU-R BT.601


def matrices(kinds: Tensor, levels: Tensor) -> Tensor:
    """Inverse affine maps (batch, 2, 3) in units where the picture spans -1..1.

    Args:
        kinds: int64 (batch,), indices into OPERATIONS; anything but geometry gives the identity.
        levels: (batch,), -1..1: the signed strength.

    Rotation: 30 degrees at level 1. Shear: 0.3. Translation: 0.45 of the side.
    """
    angle = torch.where(kinds == OPERATIONS.index("rotate"), levels * (torch.pi / 6), 0.0)
    maps = torch.zeros((len(kinds), 2, 3))
    maps[:, 0, 0] = maps[:, 1, 1] = torch.cos(angle)
    maps[:, 0, 1], maps[:, 1, 0] = -torch.sin(angle), torch.sin(angle)
    maps[:, 0, 1] += torch.where(kinds == OPERATIONS.index("shear_x"), 0.3 * levels, 0.0)
    maps[:, 1, 0] += torch.where(kinds == OPERATIONS.index("shear_y"), 0.3 * levels, 0.0)
    # a side has length 2
    maps[:, 0, 2] = torch.where(kinds == OPERATIONS.index("translate_x"), 0.9 * levels, 0.0)
    maps[:, 1, 2] = torch.where(kinds == OPERATIONS.index("translate_y"), 0.9 * levels, 0.0)
    return maps


def affine(x: Tensor, maps: Tensor) -> Tensor:
    """Pictures seen through inverse affine maps (batch, 2, 3); bilinear, grey outside."""
    grid = functional.affine_grid(maps.to(x.device), list(x.shape), align_corners=False)
    # grid_sample fills with zeros
    return functional.grid_sample(x - _GREY, grid, mode="bilinear", padding_mode="zeros", align_corners=False) + _GREY


def _autocontrast(x: Tensor, level: Tensor) -> Tensor:
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    return torch.where(high > low, (x - low) * (255 / (high - low).clamp(min=1e-3)), x)


def _equalize(x: Tensor, level: Tensor) -> Tensor:
    """As PIL.ImageOps.equalize, per channel."""
    rows = x.round().to(torch.int64).flatten(2).flatten(0, 1)
    counts = torch.zeros((len(rows), 256), dtype=torch.int64, device=x.device)
    counts.scatter_add_(1, rows, torch.ones_like(rows))
    # the last occupied bin does not count into the step
    last = (counts > 0).to(torch.int64).mul(torch.arange(256, device=x.device)).argmax(1, keepdim=True)
    step = (counts.sum(1, keepdim=True) - counts.gather(1, last)) // 255
    table = (counts.cumsum(1) - counts + step // 2) // step.clamp(min=1)
    equal = table.clamp(0, 255).gather(1, rows).to(x.dtype).view_as(x)
    return torch.where((step == 0).view(*x.shape[:2], 1, 1), x, equal)


def _posterize(x: Tensor, level: Tensor) -> Tensor:
    step = 2.0 ** (4 * level.abs()).round()  # 8 bits down to 4
    return (x / step).floor() * step


def _solarize(x: Tensor, level: Tensor) -> Tensor:
    return torch.where(x >= 256 * (1 - level.abs()), 255 - x, x)


def _blend(x: Tensor, other: Tensor, level: Tensor) -> Tensor:
    """other + (x - other) * (1 + 0.9 level), as PIL.ImageEnhance."""
    return (other + (x - other) * (1 + 0.9 * level)).clamp(0, 255)


def _brightness(x: Tensor, level: Tensor) -> Tensor:
    return _blend(x, torch.zeros_like(x), level)


def _contrast(x: Tensor, level: Tensor) -> Tensor:
    return _blend(x, _grey(x).mean((2, 3), keepdim=True), level)


def _color(x: Tensor, level: Tensor) -> Tensor:
    return _blend(x, _grey(x).expand_as(x), level)


def _sharpness(x: Tensor, level: Tensor) -> Tensor:
    """Against PIL.ImageFilter.SMOOTH; the border stays as it is."""
    kernel = torch.tensor([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]], device=x.device) / 13
    smooth = x.clone()
    channels = x.shape[1]
    inner = functional.conv2d(x, kernel.expand(channels, 1, 3, 3), groups=channels)
    smooth[:, :, 1:-1, 1:-1] = inner
    return _blend(x, smooth, level)


def _grey(x: Tensor) -> Tensor:
    if x.shape[1] != 3:
        return x.mean(1, keepdim=True)
    return (x * torch.tensor(_LUMA, device=x.device).view(1, 3, 1, 1)).sum(1, keepdim=True)


#: level (batch, 1, 1, 1) in -1..1; a sign means nothing to autocontrast, equalize, posterize and solarize
COLOUR_OPERATIONS: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "posterize": _posterize,
    "solarize": _solarize,
    "brightness": _brightness,
    "contrast": _contrast,
    "color": _color,
    "sharpness": _sharpness,
}
GEOMETRY_OPERATIONS: Final = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
OPERATIONS: Final = ("identity", *COLOUR_OPERATIONS, *GEOMETRY_OPERATIONS)
