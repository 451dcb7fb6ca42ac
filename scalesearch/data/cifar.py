"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): 50,000 training pictures, 32 x 32, RGB.

Reads the official archives, or the folders inside them, in their binary or their python form. Members are read in
memory and by exact name, nothing is extracted. `open_x` reads the *train* members and no others; `open_x_test` is for
the end of a longer training (test_part.py).
"""

from __future__ import annotations

import lzma
import tarfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalesearch.data.bounded import open_bounded
from scalesearch.data.plain_pickle import load_plain
from scalesearch.data.settings import DataSettings
from scalesearch.data.source import ArrayPictures, Index, Pictures
from scalesearch.errors import DataError

__all__ = ["open_cifar10", "open_cifar100", "open_cifar100_test", "open_cifar10_test"]

_PIXELS = 3 * 32 * 32
_MOST_BYTES = 256_000_000  # the largest official member has 155 MB
_MOST_UNPACKED = 400_000_000  # the largest official archive has 187 MB


@dataclass(frozen=True, slots=True)
class _Form:
    """One official form: archive, folder inside it, training members, the member with class names, its key."""

    archive: str
    folder: str
    batches: tuple[str, ...]
    names: str
    label_bytes: int = 0  # binary: bytes before the pixels, the last of them the label
    label_key: bytes = b""  # python: key of the labels
    names_key: bytes = b""


_CIFAR10 = (
    _Form(
        "cifar-10-binary.tar.gz", "cifar-10-batches-bin", tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        "batches.meta.txt", label_bytes=1,
    ),
    _Form(
        "cifar-10-python.tar.gz", "cifar-10-batches-py", tuple(f"data_batch_{i}" for i in range(1, 6)),
        "batches.meta", label_key=b"labels", names_key=b"label_names",
    ),
)  # fmt: skip
_CIFAR100 = (
    _Form("cifar-100-binary.tar.gz", "cifar-100-binary", ("train.bin",), "fine_label_names.txt", label_bytes=2),
    _Form(
        "cifar-100-python.tar.gz", "cifar-100-python", ("train",),
        "meta", label_key=b"fine_labels", names_key=b"fine_label_names",
    ),
)  # fmt: skip


def open_cifar10(settings: DataSettings) -> Pictures:
    """Open CIFAR-10 from data.root (folder, unpacked folder or archive), else the cache.

    Raises:
        DataError: not found, or not the official layout.
    """
    return _open(settings, _CIFAR10)


def open_cifar100(settings: DataSettings) -> Pictures:
    """Open CIFAR-100 with its 100 fine labels; otherwise as open_cifar10."""
    return _open(settings, _CIFAR100)


def open_cifar10_test(settings: DataSettings) -> Pictures | None:
    """The 10,000 test pictures; None where there are only training files.

    Raises:
        DataError: not the official layout.
    """
    return _find(settings, tuple(_test_form(form) for form in _CIFAR10))


def open_cifar100_test(settings: DataSettings) -> Pictures | None:
    """The same for CIFAR-100."""
    return _find(settings, tuple(_test_form(form) for form in _CIFAR100))


def _test_form(form: _Form) -> _Form:
    """train.bin -> test.bin; data_batch_1, ... -> test_batch."""
    first = form.batches[0]
    return replace(form, batches=(first.replace("data_batch_1", "test_batch").replace("train", "test"),))


def _open(settings: DataSettings, forms: tuple[_Form, ...]) -> Pictures:
    found = _find(settings, forms)
    if found is not None:
        return found
    place = Path(settings.root).expanduser() if settings.root is not None else settings.cache_folder
    archives = " or ".join(form.archive for form in forms)
    way_out = f"get one from https://www.cs.toronto.edu/~kriz/cifar.html and set data.root= or put it into {place}"
    raise DataError(f"{settings.name} needs {archives}", value=f"none of them in {place}", way_out=way_out)


def _find(settings: DataSettings, forms: tuple[_Form, ...]) -> Pictures | None:
    place = Path(settings.root).expanduser() if settings.root is not None else settings.cache_folder
    for form in sorted(forms, key=lambda form: form.archive != place.name):
        members = _members(place, form)
        if members is not None:
            images, labels, class_names = _decode(form, members)
            return ArrayPictures(Index(class_names, labels), images)
    return None


def _members(place: Path, form: _Form) -> dict[str, bytes] | None:
    """The wanted members by name, or None where `place` does not hold this form."""
    if place.is_file():
        return _from_archive(place, form)
    for folder in (place / form.folder, place):
        if (folder / form.batches[0]).is_file():
            return _from_folder(folder, form)
    return _from_archive(place / form.archive, form) if (place / form.archive).is_file() else None


def _from_folder(folder: Path, form: _Form) -> dict[str, bytes]:
    return {name: _file(folder / name) for name in (*form.batches, form.names)}


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} must be readable", value=error.strerror, way_out=_UNPACK_AGAIN) from error


def _from_archive(path: Path, form: _Form) -> dict[str, bytes] | None:
    wanted = {f"{form.folder}/{name}": name for name in (*form.batches, form.names)}
    found: dict[str, bytes] = {}
    try:
        with open_bounded(path, _MOST_UNPACKED) as stream_in, tarfile.open(fileobj=stream_in, mode="r|") as archive:
            for member in archive:
                name = wanted.get(member.name.removeprefix("./"))
                if name is not None and member.isreg() and member.size <= _MOST_BYTES:
                    stream = archive.extractfile(member)
                    assert stream is not None
                    found[name] = stream.read()
                if len(found) == len(wanted):
                    break
    except (OSError, EOFError, ValueError, tarfile.TarError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{path} must be a whole tar archive", value=str(error), way_out=_UNPACK_AGAIN) from error
    if not found:
        return None
    missing = sorted(set(wanted.values()) - set(found))
    if missing:
        raise DataError(f"{path} must hold every training file", value=f"no {missing[0]}", way_out=_UNPACK_AGAIN)
    return found


def _decode(form: _Form, members: dict[str, bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    """Images uint8 [N, 32, 32, 3], labels int64 [N], class names; the same for both forms of one data set."""
    binary = form.label_bytes > 0
    parts = [
        _binary_batch(members[name], name, form.label_bytes) if binary else _python_batch(members[name], name, form)
        for name in form.batches
    ]
    planes = np.concatenate([pixels for pixels, _ in parts]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([labels for _, labels in parts])
    names = members[form.names].decode("utf-8", "replace").split() if binary else _python_names(members, form)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels, tuple(names)


def _binary_batch(data: bytes, name: str, label_bytes: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    record = label_bytes + _PIXELS
    if len(data) % record:
        raise DataError(f"{name} must hold whole records of {record} bytes", value=len(data), way_out=_UNPACK_AGAIN)
    rows = np.frombuffer(data, np.uint8).reshape(-1, record)
    return rows[:, label_bytes:], rows[:, label_bytes - 1].astype(np.int64)


def _python_batch(data: bytes, name: str, form: _Form) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    batch: Any = load_plain(data, name)
    pixels = batch.get(b"data") if isinstance(batch, dict) else None
    labels = batch.get(form.label_key) if isinstance(batch, dict) else None
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (_PIXELS,):
        raise DataError(f"{name} must hold data, uint8 [N, {_PIXELS}]", way_out=_UNPACK_AGAIN)
    if not isinstance(labels, list) or not all(type(label) is int and 0 <= label < 100 for label in labels):
        raise DataError(f"{name} must hold labels, integers in 0..99", way_out=_UNPACK_AGAIN)
    if len(labels) != len(pixels):
        raise DataError(f"{name} must have one label a picture", value=len(labels), way_out=_UNPACK_AGAIN)
    return pixels, np.asarray(labels, dtype=np.int64)


def _python_names(members: dict[str, bytes], form: _Form) -> list[str]:
    meta: Any = load_plain(members[form.names], form.names)
    names = meta.get(form.names_key) if isinstance(meta, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names):
        raise DataError(f"{form.names} must list the class names", way_out=_UNPACK_AGAIN)
    return [name.decode("utf-8", "replace") for name in names]


_UNPACK_AGAIN = "get the official archive again"
