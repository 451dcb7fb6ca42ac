"""From prepared arrays to what a trainer feeds on: subset, resolution, normalisation, augmentation.

The only module of this package that imports torch. Everything here is deterministic for given seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray

from scalesearch.errors import DataError

__all__ = ["Normalisation", "augment", "crop", "draw_crops", "normalisation_of", "resize", "train_subset"]


def train_subset(labels: NDArray[np.int64], n: int | None, seed: int) -> NDArray[np.int64]:
    """Indices of `n` pictures in the proportions of the classes, at least one of each; int64 [n], ascending.

    Args:
        labels: int64 [N].
        n: how many; None or N and more take all.
        seed: which ones. RandomState, because its stream never changes (NEP 19).

    Raises:
        DataError: n is smaller than the number of classes.
    """
    if n is None or n >= len(labels):
        return np.arange(len(labels), dtype=np.int64)
    classes, counts = np.unique(labels, return_counts=True)
    if n < len(classes):
        rule = f"a training subset needs a picture of each of the {len(classes)} classes"
        raise DataError(rule, value=n, way_out="raise the data fraction")
    random = np.random.RandomState(seed)
    chosen = [
        random.permutation(np.flatnonzero(labels == label))[:quota]
        for label, quota in zip(classes, _quotas(counts, n), strict=True)
    ]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def _quotas(counts: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Whole numbers q with sum(q) = n and 1 <= q <= counts: one each, the rest in proportion (largest remainder)."""
    spare, rest = counts - 1, n - len(counts)
    exact = spare * (rest / max(int(spare.sum()), 1))
    quotas = np.floor(exact).astype(np.int64)
    largest = np.argsort(quotas - exact, kind="stable")[: rest - int(quotas.sum())]
    quotas[largest] += 1
    return quotas + 1


def resize(
    images: NDArray[np.uint8] | torch.Tensor,
    resolution: int,
    *,
    mode: Literal["bilinear", "bicubic"] = "bicubic",
    chunk: int = 512,
) -> torch.Tensor:
    """All pictures at a trial's resolution, resized with antialiasing on the CPU.

    Args:
        images: numpy uint8 [N, H, W, C] (as PreparedData gives them) or a torch uint8 [N, C, H, W] tensor.
        resolution: side of the result in pixels.
        mode: interpolation; bicubic is what prepare() uses too.
        chunk: pictures resized at a time; does not change the result.

    Returns:
        uint8 [N, C, resolution, resolution], contiguous, in memory of its own; a plain copy where nothing changes.
    """
    shape = images.shape
    n, channels = int(shape[0]), int(shape[1] if isinstance(images, torch.Tensor) else shape[3])
    result = torch.empty((n, channels, resolution, resolution), dtype=torch.uint8)
    for start in range(0, n, chunk):
        part = _nchw(images[start : start + chunk])
        if part.shape[2:] != (resolution, resolution):
            part = F.interpolate(part, size=(resolution, resolution), mode=mode, antialias=True)
        result[start : start + chunk] = part
    return result


def _nchw(images: NDArray[np.uint8] | torch.Tensor) -> torch.Tensor:
    if isinstance(images, torch.Tensor):
        return images.cpu()
    # a copy, because a read-only memory map cannot be shared with torch
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2)


def augment(batch: torch.Tensor, generator: torch.Generator, *, pad: int, flip: bool) -> torch.Tensor:
    """Random crop after zero padding, and random mirroring, for a whole batch in one gather.

    Args:
        batch: [B, C, H, W], any dtype, any device.
        generator: where the random numbers come from; a CPU generator gives the same pictures on every device.
        pad: pixels added on each side before the crop; 0 crops nothing. Padding before normalising is black.
        flip: mirror each picture left to right with probability 1/2.

    Returns:
        A batch of the same shape, dtype and device; `batch` is left as it was.
    """
    if pad == 0 and not flip:
        return batch
    offset, mirrored = draw_crops(len(batch), generator, pad=pad)
    return crop(batch, offset, mirrored, pad=pad, flip=flip)


def draw_crops(count: int, generator: torch.Generator, *, pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Where `count` crops begin, int64 [2, count, 1] in 0..2 pad, and which are mirrored, bool [count, 1]."""
    device = generator.device
    offset = torch.randint(0, 2 * pad + 1, (2, count, 1), generator=generator, device=device)
    return offset, torch.rand((count, 1), generator=generator, device=device) < 0.5


def crop(batch: torch.Tensor, offset: torch.Tensor, mirrored: torch.Tensor, *, pad: int, flip: bool) -> torch.Tensor:
    """The crops that `draw_crops` drew, of a batch [B, C, H, W] padded with zeros; computed where `offset` lies."""
    n, channels, height, width = batch.shape
    device = offset.device
    rows = offset[0] + torch.arange(height, device=device)
    columns = torch.arange(width, device=device).expand(n, width)
    if flip:
        columns = torch.where(mirrored, width - 1 - columns, columns)
    columns = columns + offset[1]
    # position of every wanted pixel in its flattened padded picture
    pixels = (rows[:, :, None] * (width + 2 * pad) + columns[:, None, :]).reshape(n, 1, height * width)
    padded = F.pad(batch, (pad, pad, pad, pad)).reshape(n, channels, -1)
    pixels = pixels.to(batch.device, non_blocking=True).expand(n, channels, height * width)
    return padded.gather(2, pixels).view(n, channels, height, width)


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Mean and standard deviation of each channel, in units where 255 is 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def apply(self, batch: torch.Tensor) -> torch.Tensor:
        """(batch / 255 - mean) / std as float32 [B, C, H, W] on the batch's device."""
        shift, scale = self.terms(batch.device)
        return torch.addcmul(shift, batch.to(torch.float32), scale)

    def terms(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """-mean/std and 1/(255 std), float32 [1, C, 1, 1]: normalising is one addition and one multiplication."""
        mean = torch.tensor(self.mean, dtype=torch.float32, device=device).view(1, -1, 1, 1)
        std = torch.tensor(self.std, dtype=torch.float32, device=device).view(1, -1, 1, 1)
        return -mean / std, 1 / (255 * std)


def normalisation_of(images: torch.Tensor) -> Normalisation:
    """Channel statistics of the training subset, uint8 [N, C, H, W]; exact, from counts of the 256 values."""
    values = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for channel in range(images.shape[1]):
        counts = torch.zeros(256, dtype=torch.int64)
        for part in images.split(512):
            counts += torch.bincount(part[:, channel].reshape(-1).to(torch.int32), minlength=256)
        share = counts.to(torch.float64) / counts.sum()
        mean = float((share * values).sum())
        variance = float((share * (values - mean) ** 2).sum())
        means.append(mean)
        # at least one step of the 255, because a constant channel would divide by zero
        stds.append(max(variance**0.5, 1 / 255))
    return Normalisation(tuple(means), tuple(stds))
