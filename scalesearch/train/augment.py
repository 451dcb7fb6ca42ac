"""What happens to a batch on its way to the network: size, crop, flip, RandAugment, erasing, mixup.

All random numbers come from one generator on the CPU, in one order, so that pictures are the same on every device and
a training can go on exactly where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from scalesearch.data.loading import Normalisation, augment
from scalesearch.train.augment_operations import (
    COLOUR_OPERATIONS,
    GEOMETRY_OPERATIONS,
    OPERATIONS,
    affine,
    matrices,
)
from scalesearch.train.long_recipe import LongRecipe
from scalesearch.train.stages import TrainStage

__all__ = ["Batch", "augmented", "erase", "mix", "rand_augment", "shrink"]

_ERASED: Final = (0.02, 1 / 3)  # part of the picture, arXiv 1708.04896
_ASPECT: Final = 0.3  # the narrowest rectangle; the widest is its inverse


@dataclass(frozen=True, slots=True)
class Batch:
    """What a step trains on: label k counts `share`, the other one 1 - `share`.

    Attributes:
        pictures: float32 (batch, channels, side, side), normalised, channels-last.
        labels: int64 (batch,).
        others: int64 (batch,), labels of what was mixed in; equal to `labels` without mixup.
        share: of the picture's own label, 0..1.
    """

    pictures: Tensor
    labels: Tensor
    others: Tensor
    share: float

    def part(self, rank: int, size: int) -> Batch:
        """The rows of one worker of `size`: whole, or every size-th from `rank`."""
        if size == 1:
            return self
        return Batch(self.pictures[rank::size], self.labels[rank::size], self.others[rank::size], self.share)

    def loss(self, logits: Tensor, label_smoothing: float) -> Tensor:
        """Mean cross-entropy in nats."""
        own = functional.cross_entropy(logits, self.labels, label_smoothing=label_smoothing)
        if self.share == 1:
            return own
        other = functional.cross_entropy(logits, self.others, label_smoothing=label_smoothing)
        return self.share * own + (1 - self.share) * other


def augmented(
    pictures: Tensor,
    labels: Tensor,
    *,
    recipe: LongRecipe,
    stage: TrainStage,
    normalisation: Normalisation,
    generator: torch.Generator,
) -> Batch:
    """The batch of a step from uint8 (batch, channels, side, side) and labels (batch,), on their device."""
    pictures = shrink(pictures, stage.resolution)
    pad = round(recipe.crop_padding * stage.resolution)
    pictures = augment(pictures, generator, pad=pad, flip=recipe.flip)
    if recipe.augment.operations:
        pictures = rand_augment(pictures, generator, operations=recipe.augment.operations, magnitude=stage.magnitude)
    pictures = normalisation.apply(pictures)
    if recipe.augment.erasing:
        pictures = erase(pictures, generator, probability=recipe.augment.erasing)
    pictures, others, share = mix(pictures, labels, generator, alpha=stage.mixup)
    return Batch(pictures.contiguous(memory_format=torch.channels_last), labels, others, share)


def shrink(pictures: Tensor, resolution: int) -> Tensor:
    """uint8 pictures at the side of a stage, antialiased; unchanged where they have it."""
    if pictures.shape[-1] == resolution:
        return pictures
    # CUDA resizes no uint8
    given = pictures if pictures.device.type == "cpu" else pictures.float()
    small = functional.interpolate(given, size=(resolution, resolution), mode="bilinear", antialias=True)
    return small.round().clamp(0, 255).to(torch.uint8)


def rand_augment(pictures: Tensor, generator: torch.Generator, *, operations: int, magnitude: float) -> Tensor:
    """RandAugment (arXiv 1909.13719): `operations` in a row, drawn anew for every picture, all of one magnitude.

    Args:
        pictures: (batch, channels, side, side) in 0..255; unchanged.
        magnitude: 0..10; the sign of those that have one is random.

    Returns:
        float32 of the same shape in 0..255.
    """
    x = pictures.to(torch.float32)
    count = len(x)
    for _ in range(operations):
        kinds = torch.randint(len(OPERATIONS), (count,), generator=generator)
        signs = torch.randint(2, (count,), generator=generator) * 2 - 1
        x = _apply(x, kinds, signs * (magnitude / 10))
    return x


def _apply(x: Tensor, kinds: Tensor, levels: Tensor) -> Tensor:
    """One operation on every picture: those of one kind together."""
    result = x.clone()
    moved = torch.nonzero(kinds >= len(OPERATIONS) - len(GEOMETRY_OPERATIONS)).flatten()
    if len(moved):
        result[moved.to(x.device)] = affine(x[moved.to(x.device)], matrices(kinds[moved], levels[moved]))
    for name, operation in COLOUR_OPERATIONS.items():
        chosen = torch.nonzero(kinds == OPERATIONS.index(name)).flatten()
        if len(chosen):
            level = levels[chosen].to(x.device).view(-1, 1, 1, 1)
            result[chosen.to(x.device)] = operation(x[chosen.to(x.device)], level)
    return result


def erase(x: Tensor, generator: torch.Generator, *, probability: float) -> Tensor:
    """Random erasing (arXiv 1708.04896): one rectangle of 2 to 33 % of a picture becomes its mean colour, 0."""
    count, side = len(x), x.shape[-1]
    drawn = torch.rand((5, count), generator=generator)
    area = (_ERASED[0] + (_ERASED[1] - _ERASED[0]) * drawn[0]) * side**2
    aspect = _ASPECT ** (2 * drawn[1] - 1)
    high = (area * aspect).sqrt().round().clamp(1, side)
    wide = (area / aspect).sqrt().round().clamp(1, side)
    top, left = (drawn[2] * (side - high + 1)).floor(), (drawn[3] * (side - wide + 1)).floor()
    line = torch.arange(side)
    rows = (line >= top[:, None]) & (line < (top + high)[:, None])
    columns = (line >= left[:, None]) & (line < (left + wide)[:, None])
    gone = rows[:, :, None] & columns[:, None, :] & (drawn[4] < probability)[:, None, None]
    return x.masked_fill(gone[:, None].to(x.device), 0.0)


def mix(x: Tensor, labels: Tensor, generator: torch.Generator, *, alpha: float) -> tuple[Tensor, Tensor, float]:
    """Mixup (arXiv 1710.09412): every picture with its partner, by a share drawn from Beta(alpha, alpha) per batch.

    Returns:
        Pictures, the partners' labels, and the share of a picture's own label (1 where alpha is 0).
    """
    if alpha == 0:
        return x, labels, 1.0
    share = float(torch._sample_dirichlet(torch.tensor([alpha, alpha], dtype=torch.float64), generator=generator)[0])
    partners = torch.randperm(len(x), generator=generator).to(x.device)
    return torch.lerp(x[partners], x, share), labels[partners], share
