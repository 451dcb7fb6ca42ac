"""Folders of decoded pictures: built beside their final place, published by one rename, complete or absent."""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from scalesearch.data.prepared import PreparedData
from scalesearch.errors import DataError

__all__ = ["building", "is_complete", "seal", "write_images", "write_labels"]

_META = "prepared.json"  # written last: what every other file must look like
_FILES = tuple(f"{part}_{kind}.npy" for part in ("train", "val") for kind in ("images", "labels"))
_WAY_OUT = "set data.cache_dir=FOLDER or SCALESEARCH_CACHE"
_STALE_S = 24 * 3600.0


def is_complete(wanted: PreparedData) -> bool:
    """Whether its folder holds exactly `wanted`, every file of the size that was recorded."""
    folder = Path(wanted.folder)
    try:
        meta: dict[str, Any] = json.loads((folder / _META).read_text(encoding="utf-8"))
        same = bool(meta["prepared"] == _fields(wanted))
        return same and all((folder / file).stat().st_size == meta["bytes"][file] for file in _FILES)
    except (OSError, ValueError, KeyError, TypeError):
        return False


@contextmanager
def building(wanted: PreparedData) -> Iterator[Path]:
    """A temporary folder that becomes wanted.folder when the block ends well, and vanishes otherwise.

    Where another process published it first, that one stays and this one vanishes.

    Raises:
        DataError: the cache cannot be written or has too little room.
    """
    temporary = _unused_name(Path(wanted.folder).parent)
    try:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(temporary.parent)
        temporary.mkdir()
    except OSError as error:
        rule = f"the cache folder {temporary.parent} must be writable"
        raise DataError(rule, value=error.strerror, way_out=_WAY_OUT) from error
    try:
        _check_room(temporary, (wanted.n_train + wanted.n_val) * wanted.side**2 * wanted.channels)
        yield temporary
        _publish(temporary, wanted)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG):
            raise
        rule = f"decoded pictures must fit into {temporary.parent}"
        raise DataError(rule, value=error.strerror, way_out=_WAY_OUT) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_images(path: Path, shape: tuple[int, int, int, int], pictures: Iterable[NDArray[np.uint8]]) -> None:
    """Write uint8 [N, side, side, C] picture by picture, in order.

    Plain writes and not a writable memory map, because a full disk raises here and kills the process there (SIGBUS).
    """
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for picture in pictures:
            assert picture.shape == shape[1:]
            assert picture.dtype == np.uint8
            file.write(np.ascontiguousarray(picture).data)
        _to_disk(file)


def write_labels(path: Path, labels: NDArray[np.int64]) -> None:
    """Write int64 [N]."""
    with path.open("wb") as file:
        np.save(file, labels, allow_pickle=False)
        _to_disk(file)


def seal(temporary: Path, prepared: PreparedData) -> None:
    """Record what the folder holds; from here on it counts as complete."""
    sizes = {file: (temporary / file).stat().st_size for file in _FILES}
    with (temporary / _META).open("w", encoding="utf-8") as file:
        json.dump({"prepared": _fields(prepared), "bytes": sizes}, file, indent=1)
        _to_disk(file)


def _fields(prepared: PreparedData) -> dict[str, Any]:
    """What the record says, as JSON gives it back; without the folder, so that a cache can be moved."""
    fields = {key: value for key, value in asdict(prepared).items() if key != "folder"}
    return {**fields, "class_names": list(prepared.class_names)}


def _publish(temporary: Path, wanted: PreparedData) -> None:
    final = Path(wanted.folder)
    for _ in range(3):
        try:
            os.rename(temporary, final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            if is_complete(wanted):
                return
            _move_aside(final)
        else:
            return
    raise DataError("the cache folder must be free for decoded pictures", value=str(final), way_out="delete it")


def _move_aside(broken: Path) -> None:
    aside = _unused_name(broken.parent)
    with suppress(OSError):  # because another process may have done the same
        os.rename(broken, aside)
    shutil.rmtree(aside, ignore_errors=True)


def _unused_name(parent: Path) -> Path:
    return parent / f".building-{os.getpid()}-{secrets.token_hex(8)}"


def _remove_stale(parent: Path) -> None:
    """Remove what killed processes left behind a day ago or earlier."""
    for folder in parent.glob(".building-*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _STALE_S:
                shutil.rmtree(folder, ignore_errors=True)


def _check_room(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        rule = f"decoded pictures need {math.ceil(needed_bytes / 1e6)} MB in {folder.parent}"
        raise DataError(rule, value=f"{free // 1_000_000} MB free", way_out=_WAY_OUT)


def _to_disk(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())
