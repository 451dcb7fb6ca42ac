"""What chance decides in one epoch, drawn at once: which pictures every step sees, and how they are cropped.

The numbers are those that `Feed.epoch` draws step by step, in the same order from the same generator: a training sees
the same pictures whichever way its steps are run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scalesearch.data.loading import draw_crops
from scalesearch.train.recipe import Recipe

__all__ = ["EpochDraw", "draw_epoch"]


@dataclass(frozen=True, slots=True)
class EpochDraw:
    """One epoch of `members` trainings of one network, drawn on the CPU.

    Attributes:
        picks: int64 (steps, members * batch), indices of the pictures, those of one member together.
        offsets: int64 (steps, 2, members * batch, 1), row and column where each crop begins; None without crops.
        mirrored: bool (steps, members * batch, 1); None without crops and flips.
    """

    picks: Tensor
    offsets: Tensor | None
    mirrored: Tensor | None

    def tensors(self) -> list[Tensor]:
        """Those that are there, in a fixed order."""
        return [tensor for tensor in (self.picks, self.offsets, self.mirrored) if tensor is not None]


def draw_epoch(generators: Sequence[torch.Generator], recipe: Recipe, *, count: int, size: int, pad: int) -> EpochDraw:
    """The next epoch of every member, from its own generator.

    Args:
        generators: one for each member, on the CPU.
        recipe: says whether pictures are mirrored.
        count: training pictures.
        size: pictures in a batch; the last, smaller batch is left out.
        pad: pixels added on each side before a crop.
    """
    steps = count // size
    members = [_one(generator, steps, count=count, size=size, pad=pad, flip=recipe.flip) for generator in generators]
    picks = torch.cat([member[0] for member in members], dim=1)
    if pad == 0 and not recipe.flip:
        return EpochDraw(picks, None, None)
    return EpochDraw(
        picks,
        torch.cat([member[1] for member in members], dim=2),
        torch.cat([member[2] for member in members], dim=1),
    )


def _one(
    generator: torch.Generator, steps: int, *, count: int, size: int, pad: int, flip: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Picks (steps, size), offsets (steps, 2, size, 1) and mirrored (steps, size, 1) of one member."""
    picks = torch.randperm(count, generator=generator)[: steps * size].view(steps, size)
    if pad == 0 and not flip:
        return picks, picks, picks
    crops = [draw_crops(size, generator, pad=pad) for _ in range(steps)]
    return picks, torch.stack([offset for offset, _ in crops]), torch.stack([mirrored for _, mirrored in crops])
