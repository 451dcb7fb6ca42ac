"""Mixed precision of a training."""

from __future__ import annotations

import torch

from scalesearch.errors import ConfigError
from scalesearch.train.recipe import Recipe

__all__ = ["autocast_dtype"]


def autocast_dtype(recipe: Recipe, device: torch.device) -> torch.dtype | None:
    """The type of mixed precision; None computes in float32.

    Raises:
        ConfigError: float16 without a GPU.
    """
    if recipe.precision == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else None
    if recipe.precision == "float16" and device.type != "cuda":
        raise ConfigError("recipe.precision float16 needs a GPU", value=device.type, way_out="use auto or float32")
    return {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[recipe.precision]
