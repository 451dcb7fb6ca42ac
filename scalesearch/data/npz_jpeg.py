"""One .npz file of JPEG pictures, read with allow_pickle=False.

    jpeg     uint8 [bytes]     all JPEG files end to end
    offset   int64 [N + 1]     picture i is jpeg[offset[i]:offset[i + 1]]
    label    integer [N]       index into classes
    split    integer [N]       0 train, 1 validation (used for choosing); all 0: a part of train is split off
    classes  text [K]          class names

Pictures become RGB, unless every one of them is stored as grey.
"""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalesearch.data.fetched import local_copy
from scalesearch.data.settings import DataSettings
from scalesearch.data.source import EncodedPictures, Index, Pictures
from scalesearch.errors import DataError

__all__ = ["open_npz_jpeg"]

_SPARE_BYTES = 256_000_000
_MOST_RATIO = 20  # unpacked over packed; labels and splits compress better, but are small beside pictures
_KEYS = ("jpeg", "offset", "label", "split", "classes")


def open_npz_jpeg(settings: DataSettings) -> Pictures:
    """Open the file data.path, or fetch it first where that is an address.

    Raises:
        DataError: no such file, not an .npz of this layout, or arrays that do not fit together.
        ResourceError: the bucket does not answer.
    """
    if settings.path is None:
        raise DataError("data=npz_jpeg needs a file", way_out="set data.path=FILE.npz")
    path = local_copy(settings.path, settings)
    arrays = _load(path)
    jpeg, offset = arrays["jpeg"], _integers(arrays, "offset")
    label, split = _integers(arrays, "label"), _integers(arrays, "split")
    if jpeg.dtype != np.uint8 or jpeg.ndim != 1:
        raise _malformed("jpeg must be uint8 [bytes]", f"{jpeg.dtype} {list(jpeg.shape)}")
    _check(len(jpeg), offset, label, split)
    index = Index(_class_names(arrays["classes"]), label, split == 1 if split.any() else None)
    return EncodedPictures(
        index, [f"number {item}" for item in range(len(label))], lambda item: _slice(jpeg, offset, item)
    )


def _load(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file() or not zipfile.is_zipfile(path):
        raise DataError("data.path must be an .npz file", value=str(path), way_out="set data.path=FILE.npz")
    try:
        _refuse_bomb(path)
        with warnings.catch_warnings(action="ignore"), np.load(path, allow_pickle=False) as file:
            missing = [key for key in _KEYS if key not in file.files]
            if missing:
                raise _malformed(f"{path.name} must hold the arrays {', '.join(_KEYS)}", f"no {missing[0]}")
            arrays = {key: file[key] for key in _KEYS}
    except DataError:
        raise
    # numpy reads a header as Python's own literals and allocates what it says, and zipfile and zlib have their errors:
    # SyntaxError, TokenError and OverflowError are among what spoilt files made them raise
    except Exception as error:
        raise _malformed(f"{path.name} must be readable as plain arrays", str(error)) from error
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):  # numpy hands out the bytes of what is no array
            raise _malformed(f"{key} in {path.name} must be an array", "other bytes")
    return arrays


def _refuse_bomb(path: Path) -> None:
    """Refuse a file that unpacks to far more than it holds: pictures are compressed already."""
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist() if Path(member.filename).stem in _KEYS)
    most = _SPARE_BYTES + _MOST_RATIO * path.stat().st_size
    if unpacked > most:
        raise _malformed(f"{path.name} must unpack to at most {most // 1_000_000} MB", f"{unpacked // 1_000_000} MB")


def _integers(arrays: dict[str, NDArray[Any]], key: str) -> NDArray[np.int64]:
    array = arrays[key]
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise _malformed(f"{key} must be one row of integers", f"{array.dtype} {list(array.shape)}")
    return array.astype(np.int64)


def _check(n_bytes: int, offset: NDArray[np.int64], label: NDArray[np.int64], split: NDArray[np.int64]) -> None:
    if len(offset) != len(label) + 1 or len(split) != len(label):
        sizes = f"{len(label)} labels, {len(offset)} offsets, {len(split)} splits"
        raise _malformed("N labels need N + 1 offsets and N splits", sizes)
    falling = np.flatnonzero(np.diff(offset) < 0)
    if len(falling):
        raise _malformed("offset must not decrease", f"a fall after picture {falling[0]}")
    if offset[0] < 0 or offset[-1] > n_bytes:
        raise _malformed(f"offset must lie in 0..{n_bytes}", f"{offset[0]}..{offset[-1]}")
    strange = np.flatnonzero((split != 0) & (split != 1))
    if len(strange):
        raise _malformed("split must be 0 (train) or 1 (validation)", int(split[strange[0]]))


def _class_names(classes: NDArray[Any]) -> tuple[str, ...]:
    if classes.dtype.kind != "U" or classes.ndim != 1:
        raise _malformed("classes must be one row of text", f"{classes.dtype} {list(classes.shape)}")
    try:
        names = tuple(str(name) for name in classes)
        "".join(names).encode()
    except (SystemError, ValueError) as error:  # numbers that are no characters, and halves of pairs
        raise _malformed("classes must be text", str(error)) from error
    return names


def _slice(jpeg: NDArray[np.uint8], offset: NDArray[np.int64], item: int) -> bytes:
    return jpeg[offset[item] : offset[item + 1]].tobytes()


def _malformed(rule: str, value: object) -> DataError:
    return DataError(rule, value=value, way_out=f"write the arrays {', '.join(_KEYS)} again")
