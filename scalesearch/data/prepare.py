"""Decode a data set once into arrays that every worker maps; a second call finds them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalesearch.data.cache import building, is_complete, seal, write_images, write_labels
from scalesearch.data.parallel import Crew
from scalesearch.data.pictures import own_pixel_limit
from scalesearch.data.prepared import PreparedData
from scalesearch.data.registry import open_source
from scalesearch.data.settings import DataSettings
from scalesearch.data.source import Pictures, Scan
from scalesearch.data.splits import Split, split_of
from scalesearch.errors import DataError

__all__ = ["SourceInfo", "check_source", "prepare"]

_FORMAT = 1  # of the stored arrays and of the resizing that made them
_SAMPLE = 64  # pictures whose headers check_source reads


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a data set is, told without decoding it.

    Attributes:
        name: the data set's name.
        class_names: label k is class_names[k].
        n_train, n_val: pictures in each part after the split.
        own_validation: whether the source declares its own validation split.
        native_side: shorter side of the largest of up to 64 pictures, in pixels.
        channels: 1 where all of those are grey, else 3.
    """

    name: str
    class_names: tuple[str, ...]
    n_train: int
    n_val: int
    own_validation: bool
    native_side: int
    channels: int


def check_source(settings: DataSettings) -> SourceInfo:
    """Find the data set, count it and read a few headers (Fashion-MNIST is downloaded where it is nowhere).

    Raises:
        UnknownNameError: no such data set.
        DataError: missing, malformed, empty, one class, or too few pictures.
    """
    pictures = open_source(settings)
    split = _split(pictures, settings)
    count = len(pictures.index.labels)
    with own_pixel_limit():
        headers = [pictures.header(item) for item in np.unique(np.linspace(0, count - 1, _SAMPLE).astype(np.int64))]
    return SourceInfo(
        name=settings.name,
        class_names=pictures.index.class_names,
        n_train=len(split.train),
        n_val=len(split.val),
        own_validation=pictures.index.own_validation is not None,
        native_side=max(header.short_side for header in headers),
        channels=1 if all(header.grey for header in headers) else 3,
    )


def prepare(
    settings: DataSettings,
    *,
    side: int,
    workers: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> PreparedData:
    """Decode once to square uint8 pictures of `side` pixels, or of the native side where that is smaller.

    Args:
        settings: the data set.
        side: side to store, in pixels: the largest any trial will ask for.
        workers: threads; default is the cores this process may use.
        progress: told (stage, done, total) with stage "reading" or "decoding".

    Raises:
        UnknownNameError: no such data set.
        DataError: missing or malformed, a broken picture (named), or a cache that cannot be written.
    """
    if side < 1 or (workers is not None and workers < 1):
        raise DataError("side and workers must be at least 1", value=f"{side}, {workers}")
    crew = Crew(workers or 0, progress)
    pictures = open_source(settings)
    split = _split(pictures, settings)
    with own_pixel_limit():
        scan = pictures.scan(crew)
        wanted = _described(settings, pictures, split, scan, side)
        if not is_complete(wanted):
            with building(wanted) as temporary:
                _decode(pictures, split, wanted, temporary, crew)
    return wanted


def _split(pictures: Pictures, settings: DataSettings) -> Split:
    return split_of(pictures.index, val_fraction=settings.val_fraction, seed=settings.split_seed)


def _described(settings: DataSettings, pictures: Pictures, split: Split, scan: Scan, side: int) -> PreparedData:
    stored_side = min(side, scan.native_side)
    source = {
        "format": _FORMAT,
        "identity": scan.identity,
        "val": hashlib.sha256(split.val.astype("<i8").tobytes()).hexdigest(),
        "channels": scan.channels,
    }
    fingerprint = _digest({**source, "side": stored_side})
    return PreparedData(
        folder=str(settings.cache_folder / "prepared" / f"{settings.name}-{stored_side}px-{fingerprint[:16]}"),
        name=settings.name,
        fingerprint=fingerprint,
        side=stored_side,
        channels=scan.channels,
        class_names=pictures.index.class_names,
        n_train=len(split.train),
        n_val=len(split.val),
        native_side=scan.native_side,
        source=_digest(source),
    )


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _decode(pictures: Pictures, split: Split, wanted: PreparedData, folder: Path, crew: Crew) -> None:
    side, channels = wanted.side, wanted.channels
    order = [int(item) for item in np.concatenate([split.train, split.val])]

    def read(item: int) -> NDArray[np.uint8]:
        return pictures.read(item, side, channels)

    with closing(crew.map("decoding", read, order)) as decoded:
        for part, items in (("train", split.train), ("val", split.val)):
            shape = (len(items), side, side, channels)
            write_images(folder / f"{part}_images.npy", shape, islice(decoded, len(items)))
            write_labels(folder / f"{part}_labels.npy", pictures.index.labels[items])
    seal(folder, wanted)
