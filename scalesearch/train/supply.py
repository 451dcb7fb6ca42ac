"""Where a longer training takes its pictures from: memory, or anything else that gives batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scalesearch.data.loading import Normalisation, resize
from scalesearch.data.prepared import PreparedData
from scalesearch.train.feed import Feed, load_feed
from scalesearch.train.long_recipe import LongRecipe

__all__ = ["MemorySupply", "Supply"]


class Supply(ABC):
    """Batches of uint8 pictures (batch, channels, resolution, resolution) with labels int64 (batch,).

    Attributes:
        n_train, n_val: pictures in each part.
        normalisation: channel statistics of the training part.
    """

    n_train: int
    n_val: int
    normalisation: Normalisation

    @abstractmethod
    def train(self, batch_size: int, order: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass in an order that `order` alone decides; n_train // batch_size full batches."""

    @abstractmethod
    def val(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The validation part, every picture once, in a fixed order."""

    @abstractmethod
    def to(self, device: torch.device) -> Supply:
        """The same, close to a device."""


@final
class MemorySupply(Supply):
    """All pictures in memory, at the training's resolution."""

    def __init__(self, feed: Feed):
        self._feed = feed
        self.n_train, self.n_val = len(feed.train_labels), len(feed.val_labels)
        self.normalisation = feed.normalisation

    @classmethod
    def load(cls, data: PreparedData, recipe: LongRecipe, resolution: int) -> MemorySupply:
        """Resize a prepared data set into memory.

        Raises:
            DataError: see `load_feed`.
        """
        return cls(load_feed(data, recipe.short, resolution))

    def judging(self, images: NDArray[np.uint8], labels: NDArray[np.int64], resolution: int) -> MemorySupply:
        """The same with other pictures to judge by, uint8 [N, side, side, channels]: the test part."""
        given = replace(self._feed, val_images=resize(images, resolution), val_labels=torch.from_numpy(labels))
        return MemorySupply(given)

    def train(self, batch_size: int, order: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        permutation = torch.randperm(self.n_train, generator=order).to(self._feed.train_images.device)
        for start in range(0, self.n_train - batch_size + 1, batch_size):
            chosen = permutation[start : start + batch_size]
            yield self._feed.train_images[chosen], self._feed.train_labels[chosen]

    def val(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, self.n_val, batch_size):
            end = start + batch_size
            yield self._feed.val_images[start:end], self._feed.val_labels[start:end]

    def to(self, device: torch.device) -> MemorySupply:
        return MemorySupply(self._feed.to(device))
