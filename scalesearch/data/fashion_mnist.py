"""Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747, MIT): 60,000 training pictures, 28 x 28, grey, 10 classes.

Only the two *train* files are opened here (test_part.py opens the others). Their content is pinned, so every place they
may come from is equal.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scalesearch.data.download import download
from scalesearch.data.settings import DataSettings
from scalesearch.data.source import ArrayPictures, Index, Pictures
from scalesearch.errors import DataError

__all__ = ["is_at_hand", "open_fashion_mnist"]

CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
# sha256 of the files after gunzip (the .gz headers differ from mirror to mirror); measured on Debian's package
# dataset-fashion-mnist 0.0~git20200523.55506a9-1
SHA256 = {
    IMAGES: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    LABELS: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
}
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
MIRRORS = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",  # no https there; the checksum decides
)
_MOST_BYTES = 64_000_000  # the largest file has 47 MB after gunzip


def open_fashion_mnist(settings: DataSettings) -> Pictures:
    """Open from data.root, else the cache, else Debian's folder, else download once into the cache (31 MB).

    Raises:
        DataError: in none of the four places, or a file whose content is not the official one.
    """
    cache = settings.cache_folder / "fashion-mnist"
    folder = _find(settings, cache)
    if folder is None:
        _download(cache)
        folder = cache
    images = _read_idx(folder, IMAGES, rank=3)
    labels = _read_idx(folder, LABELS, rank=1)
    index = Index(CLASS_NAMES, labels.astype(np.int64))
    identity = hashlib.sha256((SHA256[IMAGES] + SHA256[LABELS]).encode()).hexdigest()
    return ArrayPictures(index, images[..., None], identity)


def is_at_hand(settings: DataSettings) -> bool:
    """Whether `open_fashion_mnist` needs no download.

    Raises:
        DataError: data.root is set and does not hold the files.
    """
    return _find(settings, settings.cache_folder / "fashion-mnist") is not None


def _find(settings: DataSettings, cache: Path) -> Path | None:
    if settings.root is not None:
        root = Path(settings.root).expanduser()
        # the second is where torchvision keeps them
        for folder in (root, root / "FashionMNIST" / "raw"):
            if _holds_both(folder):
                return folder
        raise DataError(f"data.root must hold {IMAGES}.gz and {LABELS}.gz", value=str(root), way_out=_ways_out(cache))
    return next((folder for folder in (cache, DEBIAN_FOLDER) if _holds_both(folder)), None)


def _holds_both(folder: Path) -> bool:
    return all(_file_of(folder, stem) is not None for stem in (IMAGES, LABELS))


def _file_of(folder: Path, stem: str) -> Path | None:
    return next((path for path in (folder / f"{stem}.gz", folder / stem) if path.is_file()), None)


def _ways_out(cache: Path) -> str:
    return (
        f"set data.root=FOLDER, or copy the files to {cache}, or apt-get install dataset-fashion-mnist, "
        "or allow the download (network, 31 MB)"
    )


def _download(cache: Path) -> None:
    try:
        for stem in (LABELS, IMAGES):
            urls = tuple(f"{mirror}{stem}.gz" for mirror in MIRRORS)
            check = partial(_content, stem=stem)
            download(urls, cache / f"{stem}.gz", most_bytes=_MOST_BYTES, check=check)
    except DataError as error:
        raise DataError("Fashion-MNIST must be at hand", value=error.value, way_out=_ways_out(cache)) from error


def _read_idx(folder: Path, stem: str, *, rank: int) -> NDArray[np.uint8]:
    path = _file_of(folder, stem)
    assert path is not None
    try:
        content = _content(path.read_bytes(), stem)
    except (OSError, DataError) as error:
        raise DataError(
            f"{path} must be the official file", value=str(error), way_out="replace or delete it"
        ) from error
    # IDX: two zero bytes, type 8 (uint8), rank, then big-endian sizes (yann.lecun.com/exdb/mnist)
    shape = np.frombuffer(content, ">u4", count=rank, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _content(data: bytes, stem: str) -> bytes:
    """The IDX bytes of a raw or gzip file, if they are the official ones; never unpacks more than _MOST_BYTES."""
    try:
        content = gzip.GzipFile(fileobj=BytesIO(data)).read(_MOST_BYTES) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{stem} must be a whole gzip file", value=str(error)) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256[stem]:
        raise DataError(f"{stem} must have sha256 {SHA256[stem][:12]}...", value=f"{digest[:12]}...")
    return content
