"""The pictures of one training, at its resolution: resized once per process, then served from memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from scalesearch.data.loading import Normalisation, augment, normalisation_of, resize, train_subset
from scalesearch.data.prepared import PreparedData
from scalesearch.train.recipe import Recipe

__all__ = ["Feed", "forget_feeds", "load_feed", "steps_per_epoch"]

_CACHE_BYTES: Final = 512 * 1024**2
_SUBSET_SEED: Final = 0  # the same pictures for every seed, so that seeds differ in training and in nothing else
_DEVICE_BYTES: Final = 8 * 1024**3  # pictures up to this size live on the GPU


@dataclass(frozen=True, slots=True)
class Feed:
    """Pictures uint8 (count, channels, side, side), labels int64 (count,), and the statistics to normalise by."""

    train_images: Tensor
    train_labels: Tensor
    val_images: Tensor
    val_labels: Tensor
    normalisation: Normalisation

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        tensors = (self.train_images, self.train_labels, self.val_images, self.val_labels)
        return sum(tensor.nbytes for tensor in tensors)

    def to(self, device: torch.device) -> Feed:
        """The feed on a device; pictures stay in main memory where they are too large for it."""
        if device.type == "cpu" or self.nbytes > _DEVICE_BYTES:
            return self
        return Feed(
            self.train_images.to(device),
            self.train_labels.to(device),
            self.val_images.to(device),
            self.val_labels.to(device),
            self.normalisation,
        )

    def epoch(self, recipe: Recipe, *, order: torch.Generator, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass in random order: augmented, normalised batches float32 (batch, channels, side, side), labels.

        The last, smaller batch is left out, because batch statistics of few pictures are noise.
        """
        count, size = len(self.train_labels), _batch_size(recipe, len(self.train_labels))
        pad = round(recipe.crop_padding * self.train_images.shape[-1])
        permutation = torch.randperm(count, generator=order).to(self.train_images.device)
        for start in range(0, count - size + 1, size):
            chosen = permutation[start : start + size]
            batch = self.train_images[chosen].to(device, non_blocking=True)
            batch = augment(batch, order, pad=pad, flip=recipe.flip)
            labels = self.train_labels[chosen].to(device, non_blocking=True)
            yield self.ready(batch), labels

    def ready(self, batch: Tensor) -> Tensor:
        """Normalised and channels-last, on the batch's device."""
        return self.normalisation.apply(batch).contiguous(memory_format=torch.channels_last)


def steps_per_epoch(recipe: Recipe, n_train: int) -> int:
    """Full batches in one pass; a set smaller than a batch is one step."""
    return n_train // _batch_size(recipe, n_train)


def _batch_size(recipe: Recipe, n_train: int) -> int:
    return min(recipe.batch_size, n_train)


def load_feed(data: PreparedData, recipe: Recipe, resolution: int) -> Feed:
    """The pictures of a training, from this process's cache or resized now.

    Raises:
        DataError: fewer pictures asked for than there are classes, or broken prepared data.
    """
    key = (data.fingerprint, data.folder, resolution, recipe.train_images, recipe.val_images)
    if key in _FEEDS:
        _FEEDS.move_to_end(key)
        return _FEEDS[key]
    train_images, train_labels = _part(data, "train", recipe.train_images, resolution)
    val_images, val_labels = _part(data, "val", recipe.val_images, resolution)
    feed = Feed(train_images, train_labels, val_images, val_labels, normalisation_of(train_images))
    # keep the most recent feeds within the bound
    _FEEDS[key] = feed
    while len(_FEEDS) > 1 and sum(kept.nbytes for kept in _FEEDS.values()) > _CACHE_BYTES:
        _FEEDS.popitem(last=False)
    return feed


def forget_feeds() -> None:
    """Empty this process's cache."""
    _FEEDS.clear()


_FEEDS: OrderedDict[tuple[object, ...], Feed] = OrderedDict()


def _part(data: PreparedData, part: str, count: int | None, resolution: int) -> tuple[Tensor, Tensor]:
    images, labels = data.train() if part == "train" else data.val()
    indices = train_subset(labels, count, _SUBSET_SEED)
    return resize(images[indices], resolution), torch.from_numpy(labels[indices])
