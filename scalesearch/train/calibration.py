"""Pictures by which 8-bit ONNX files are calibrated: a few of a data set, prepared as for training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

from scalesearch.arch.spec import NetSpec
from scalesearch.data.prepare import prepare
from scalesearch.data.settings import DataSettings
from scalesearch.errors import InputError
from scalesearch.train.long_recipe import LongRecipe
from scalesearch.train.supply import MemorySupply

__all__ = ["calibration_pictures"]

_PICTURES: Final = 64
_STATISTICS: Final = 2048  # training pictures that the channel statistics are taken from


def calibration_pictures(specs: Sequence[NetSpec], data: DataSettings) -> torch.Tensor:
    """Up to 64 validation pictures, normalised, float32 (n, channels, resolution, resolution).

    Raises:
        InputError: networks of several resolutions, or pictures with other channels than theirs.
        DataError: the data set is missing or broken.
    """
    sides = sorted({spec.resolution for spec in specs})
    if len(sides) != 1:
        raise InputError(
            "networks that are calibrated together have one resolution",
            value=", ".join(map(str, sides)),
            way_out="emit them one by one",
        )
    prepared = prepare(data, side=sides[0])
    for spec in specs:
        if spec.in_channels != prepared.channels:
            raise InputError(
                f"pictures that calibrate {spec.name} must have {spec.in_channels} channel(s)",
                value=prepared.channels,
                way_out="choose other data, or emit a network that was trained on these",
            )
    classes = len(prepared.class_names)
    recipe = LongRecipe(
        train_images=max(classes, min(_STATISTICS, prepared.n_train)), val_images=min(_PICTURES, prepared.n_val)
    )
    supply = MemorySupply.load(prepared, recipe, sides[0])
    pictures = torch.cat([batch for batch, _ in supply.val(_PICTURES)])
    return supply.normalisation.apply(pictures).contiguous()
