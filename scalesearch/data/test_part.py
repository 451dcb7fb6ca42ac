"""The test part of a data set: opened by `scalesearch train` alone, once, after everything has been chosen.

Searches and studies never come here, and neither `prepare` nor a fingerprint of theirs knows of it.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scalesearch.data.imagefolder import open_imagefolder
from scalesearch.data.parallel import Crew, Progress
from scalesearch.data.pictures import own_pixel_limit
from scalesearch.data.prepared import PreparedData
from scalesearch.data.settings import DataSettings
from scalesearch.data.source import ArrayPictures, Index, Pictures
from scalesearch.errors import DataError

__all__ = ["TestPart", "load_test_part"]

_FASHION_FILES: Final = {
    # sha256 after gunzip, measured on Debian's package dataset-fashion-mnist 0.0~git20200523.55506a9-1
    "t10k-images-idx3-ubyte": ("5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b", 16),
    "t10k-labels-idx1-ubyte": ("0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34", 8),
}
_MOST_BYTES: Final = 16_000_000


@dataclass(frozen=True, slots=True)
class TestPart:
    """images uint8 [N, side, side, channels] and labels int64 [N], as the training part was prepared."""

    __test__ = False  # pytest takes it for tests

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def load_test_part(settings: DataSettings, data: PreparedData, *, progress: Progress | None = None) -> TestPart | None:
    """The test part at the side and in the channels of `data`; None where the data set has none at hand.

    Raises:
        DataError: it is there and broken, or has a class that training does not.
    """
    opener = _OPENERS.get(settings.name)
    pictures = None if opener is None else opener(settings)
    if pictures is None:
        return None
    if not set(pictures.index.class_names) <= set(data.class_names):
        unknown = sorted(set(pictures.index.class_names) - set(data.class_names))
        raise DataError(
            "every class of the test part must also be one of training", value=unknown[0], way_out="rename its folder"
        )
    places = [data.class_names.index(name) for name in pictures.index.class_names]
    labels = np.asarray(places, dtype=np.int64)[pictures.index.labels]
    crew = Crew(0, progress)
    with own_pixel_limit():
        decoded = list(
            crew.map("test pictures", lambda item: pictures.read(item, data.side, data.channels), range(len(labels)))
        )
    return TestPart(np.stack(decoded), labels)


def _open_fashion_mnist(settings: DataSettings) -> Pictures | None:
    from scalesearch.data.fashion_mnist import CLASS_NAMES, DEBIAN_FOLDER

    folders = [settings.cache_folder / "fashion-mnist", DEBIAN_FOLDER]
    if settings.root is not None:
        root = Path(settings.root).expanduser()
        folders = [root, root / "FashionMNIST" / "raw"]
    arrays = []
    for stem, (digest, header) in _FASHION_FILES.items():
        paths = [path for folder in folders for path in (folder / f"{stem}.gz", folder / stem)]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            return None
        arrays.append(np.frombuffer(_checked(path, digest), np.uint8, offset=header))
    images, labels = arrays
    return ArrayPictures(Index(CLASS_NAMES, labels.astype(np.int64)), images.reshape(-1, 28, 28, 1))


def _checked(path: Path, digest: str) -> bytes:
    """The content of a raw or gzip file with the official sha256."""
    try:
        data = path.read_bytes()
        content = gzip.GzipFile(fileobj=BytesIO(data)).read(_MOST_BYTES) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} must be readable", value=str(error), way_out="replace or delete it") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise DataError(f"{path} must be the official file", value="another sha256", way_out="replace or delete it")
    return content


def _open_cifar10(settings: DataSettings) -> Pictures | None:
    from scalesearch.data.cifar import open_cifar10_test

    return open_cifar10_test(settings)


def _open_cifar100(settings: DataSettings) -> Pictures | None:
    from scalesearch.data.cifar import open_cifar100_test

    return open_cifar100_test(settings)


def _open_imagefolder(settings: DataSettings) -> Pictures | None:
    """The folder test/ beside train/."""
    assert settings.path is not None
    root = Path(settings.path).expanduser()
    folders = {path.name.lower(): path for path in root.iterdir() if path.is_dir()}
    if "train" not in folders or "test" not in folders:
        return None
    return open_imagefolder(replace(settings, path=str(folders["test"])))


_OPENERS: Mapping[str, Callable[[DataSettings], Pictures | None]] = MappingProxyType(
    {
        "fashion_mnist": _open_fashion_mnist,
        "cifar10": _open_cifar10,
        "cifar100": _open_cifar100,
        "imagefolder": _open_imagefolder,
    }
)
