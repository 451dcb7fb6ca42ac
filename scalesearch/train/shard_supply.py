"""Pictures streamed from shards: memory holds a shuffle buffer and a batch, whatever the size of the data set."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, final

import numpy as np
import torch
from torch import Tensor

from scalesearch.data.loading import normalisation_of
from scalesearch.data.prepared import PreparedData
from scalesearch.data.shards import INDEX_FILE, Sample, Shards
from scalesearch.errors import DataError
from scalesearch.train.long_recipe import LongRecipe
from scalesearch.train.supply import MemorySupply, Supply

__all__ = ["BUFFER", "ShardSupply", "open_supply"]

BUFFER: Final = 2048  # pictures in the shuffle buffer
_STATISTICS: Final = 2048  # first pictures, which the channel statistics are taken from


@final
class ShardSupply(Supply):
    """Reads shards in an order drawn anew for every pass, through a shuffle buffer."""

    def __init__(self, shards: Shards, resolution: int, buffer: int = BUFFER):
        self._shards, self._resolution, self._buffer = shards, resolution, buffer
        self.n_train, self.n_val = shards.count("train"), shards.count("val")
        first = [picture for picture, _ in islice(self._read("train"), _STATISTICS)]
        if not first or not self.n_val:
            raise DataError("shards must hold training and validation pictures", value=str(shards.folder))
        self.normalisation = normalisation_of(_pictures(first))

    def train(self, batch_size: int, order: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        files = [name for name, _, _ in self._shards.parts["train"]]
        places = torch.randperm(len(files), generator=order).tolist()
        stream = self._shards.read([files[place] for place in places], side=self._resolution)
        batches = _batched(_shuffled(stream, self._buffer, order), batch_size)
        yield from islice(batches, self.n_train // batch_size)

    def val(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        yield from _batched(self._read("val"), batch_size)

    def to(self, device: torch.device) -> ShardSupply:
        return self

    def _read(self, part: str) -> Iterator[Sample]:
        return self._shards.read([name for name, _, _ in self._shards.parts[part]], side=self._resolution)


def open_supply(data: PreparedData, recipe: LongRecipe, resolution: int) -> Supply:
    """Pictures from memory, or streamed where `data` stands for shards.

    Raises:
        DataError: see `Shards.open` and `MemorySupply.load`.
    """
    if (Path(data.folder) / INDEX_FILE).is_file():
        return ShardSupply(Shards.open(Path(data.folder)), resolution)
    return MemorySupply.load(data, recipe, resolution)


def _shuffled(stream: Iterator[Sample], size: int, order: torch.Generator) -> Iterator[Sample]:
    """Every sample once: a random one of the buffer leaves for each that comes."""
    buffer: list[Sample] = []
    for sample in stream:
        if len(buffer) < size:
            buffer.append(sample)
            continue
        place = int(torch.randint(size, (), generator=order))
        yield buffer[place]
        buffer[place] = sample
    for place in torch.randperm(len(buffer), generator=order).tolist():
        yield buffer[place]


def _batched(stream: Iterator[Sample], size: int) -> Iterator[tuple[Tensor, Tensor]]:
    while batch := list(islice(stream, size)):
        yield _pictures([picture for picture, _ in batch]), torch.tensor([label for _, label in batch])


def _pictures(pictures: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
