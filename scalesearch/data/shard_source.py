"""Any source of picture files rewritten as shards, in one step: the folder appears whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from scalesearch.data.parallel import Crew
from scalesearch.data.pictures import own_pixel_limit
from scalesearch.data.registry import open_source
from scalesearch.data.settings import DataSettings
from scalesearch.data.shards import Shards, write_shards
from scalesearch.data.source import EncodedPictures
from scalesearch.data.splits import split_of
from scalesearch.errors import DataError, RunFolderError

__all__ = ["shard_source"]


def shard_source(
    settings: DataSettings,
    out: Path,
    *,
    pictures_per_shard: int = 1000,
    progress: Callable[[str, int, int], None] | None = None,
) -> Shards:
    """Write the pictures of a source, as they are stored, to a new folder of shards with its split.

    Every picture is looked at once (a broken one is named) and copied; memory holds one at a time.

    Raises:
        DataError: no such source, a broken picture, or a source that holds no picture files (Fashion-MNIST, CIFAR,
            synthetic), which fits into memory anyway.
        RunFolderError: the folder exists and holds something, or cannot be written.
    """
    if pictures_per_shard < 1:
        raise DataError("a shard holds at least 1 picture", value=pictures_per_shard)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunFolderError(
            "shards are written to a new or empty folder", value=str(out), way_out="choose another --out"
        )
    pictures = open_source(settings)
    if not isinstance(pictures, EncodedPictures):
        raise DataError(
            "shards are made of picture files (imagefolder, npz_jpeg)",
            value=settings.name,
            way_out="train on it as it is; it fits into memory",
        )
    split = split_of(pictures.index, val_fraction=settings.val_fraction, seed=settings.split_seed)
    with own_pixel_limit():
        scan = pictures.scan(Crew(0, progress))
    stage = out.parent / f".{out.name}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        write_shards(
            pictures,
            split,
            stage,
            channels=scan.channels,
            native_side=scan.native_side,
            pictures_per_shard=pictures_per_shard,
        )
        os.replace(stage, out)
    except OSError as error:
        raise RunFolderError(
            f"a folder of shards must be writable and have room ({error.strerror})",
            value=str(out),
            way_out="choose another --out",
        ) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return Shards.open(out)
