"""Which data set a study trains on: plain values, nothing opened."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from scalesearch.errors import ConfigError

__all__ = ["DataSettings"]

_SEED_LIMIT = 2**32  # numpy.random.RandomState takes seeds below it


@dataclass(frozen=True, slots=True)
class DataSettings:
    """A data set by name and how its validation part is chosen.

    Attributes:
        name: fashion_mnist, cifar10, cifar100, imagefolder, npz_jpeg or synthetic.
        path: the folder (imagefolder) or file (npz_jpeg) that holds the pictures.
        root: where the files of fashion_mnist, cifar10 or cifar100 lie.
        val_fraction: part of *train* used for choosing, where the source has no validation split of its own.
        split_seed: seed of that split.
        cache_dir: where decoded pictures go; default $SCALESEARCH_CACHE, else ~/.cache/scalesearch.
        size, classes, side, channels, seed: synthetic only: pictures, classes, side in pixels, 1 or 3, seed.

    Raises:
        ConfigError: a value out of range.
    """

    name: str
    path: str | None = None
    root: str | None = None
    val_fraction: float = 0.1
    split_seed: int = 0
    cache_dir: str | None = None
    size: int = 2000
    classes: int = 10
    side: int = 32
    channels: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.val_fraction < 1:
            raise ConfigError("data.val_fraction must lie between 0 and 1", value=self.val_fraction, way_out="try 0.1")
        for key, seed in (("split_seed", self.split_seed), ("seed", self.seed)):
            if not 0 <= seed < _SEED_LIMIT:
                raise ConfigError(f"data.{key} must lie in 0..{_SEED_LIMIT - 1}", value=seed, way_out="try 0")

    @property
    def cache_folder(self) -> Path:
        """The cache: `cache_dir`, else $SCALESEARCH_CACHE, else ~/.cache/scalesearch (absolute)."""
        chosen = self.cache_dir or os.environ.get("SCALESEARCH_CACHE") or "~/.cache/scalesearch"
        return Path(chosen).expanduser().absolute()
