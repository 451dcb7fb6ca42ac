"""Mixed precision of a training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from scalesearch.errors import ConfigError
from scalesearch.train.recipe import Recipe

__all__ = ["autocast_dtype", "automatic_dtype", "float32_arithmetic"]


def autocast_dtype(recipe: Recipe, device: torch.device) -> torch.dtype | None:
    """The type of mixed precision; None computes in float32.

    Raises:
        ConfigError: float16 without a GPU.
    """
    if recipe.precision == "auto":
        return automatic_dtype(torch.cuda.get_device_capability(device) if device.type == "cuda" else None)
    if recipe.precision == "float16" and device.type != "cuda":
        raise ConfigError("recipe.precision float16 needs a GPU", value=device.type, way_out="use auto or float32")
    return {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[recipe.precision]


def automatic_dtype(capability: tuple[int, int] | None) -> torch.dtype | None:
    """What precision=auto means on a GPU of a compute capability; None is no GPU.

    bfloat16 from 8.0 on, where matrix units take it (it needs no loss scaling); float16 on 7.x, whose units take only
    that; float32 on older ones and on a CPU, where narrow types are no faster.
    """
    if capability is None or capability < (7, 0):
        return None
    return torch.bfloat16 if capability >= (8, 0) else torch.float16


@contextmanager
def float32_arithmetic(recipe: Recipe) -> Iterator[None]:
    """What float32 means on a GPU inside: all of its bits for precision=float32, else TensorFloat32.

    torch's default is a mixture: TensorFloat32 in convolutions, float32 in matrix products.
    """
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    _allow_tf32(recipe.precision != "float32", recipe.precision != "float32")
    try:
        yield
    finally:
        _allow_tf32(*before)


def _allow_tf32(convolutions: bool, products: bool) -> None:
    torch.backends.cudnn.allow_tf32 = convolutions
    torch.backends.cuda.matmul.allow_tf32 = products
