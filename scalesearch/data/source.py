"""What every source opens to: labels at once, pictures one by one.

A source is one function `open_x(settings) -> Pictures` in a file of its own, listed in registry.py.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scalesearch.data.parallel import Crew
from scalesearch.data.pictures import PictureHeader, decode, fit, read_header

__all__ = ["ArrayPictures", "EncodedPictures", "Index", "Pictures", "Scan"]


@dataclass(frozen=True, slots=True)
class Index:
    """What a source knows before any picture is decoded.

    Attributes:
        class_names: label k is class_names[k].
        labels: int64 [N].
        own_validation: bool [N] where the source declares its own validation split, else None.
    """

    class_names: tuple[str, ...]
    labels: NDArray[np.int64]
    own_validation: NDArray[np.bool_] | None = None

    def digest(self) -> bytes:
        """sha256 over names, labels and split."""
        own = b"" if self.own_validation is None else self.own_validation.tobytes()
        head = json.dumps([list(self.class_names), len(self.labels), len(own)]).encode()
        return hashlib.sha256(head + self.labels.astype("<i8").tobytes() + own).digest()


@dataclass(frozen=True, slots=True)
class Scan:
    """What looking at every picture once tells: content digest, largest short side in pixels, 1 or 3 channels."""

    identity: str
    native_side: int
    channels: int


class Pictures(ABC):
    """An opened source."""

    def __init__(self, index: Index) -> None:
        self.index = index

    @abstractmethod
    def scan(self, crew: Crew) -> Scan:
        """Look at every picture without decoding it; DataError names one that is broken."""

    @abstractmethod
    def header(self, item: int) -> PictureHeader:
        """What picture `item` says about itself."""

    @abstractmethod
    def read(self, item: int, side: int, channels: int) -> NDArray[np.uint8]:
        """Picture `item` as uint8 [side, side, channels]; safe to call from several threads."""


@final
class ArrayPictures(Pictures):
    """Pictures that lie decoded in one array, uint8 [N, H, W, 1 or 3]."""

    def __init__(self, index: Index, images: NDArray[np.uint8], identity: str | None = None) -> None:
        assert images.ndim == 4
        assert images.shape[3] in (1, 3)
        assert len(images) == len(index.labels)
        super().__init__(index)
        self._images, self._identity = images, identity

    def scan(self, crew: Crew) -> Scan:
        return Scan(self._identity or self._digest(), min(self._images.shape[1:3]), self._images.shape[3])

    def _digest(self) -> str:
        content = hashlib.sha256(self.index.digest() + str(self._images.shape).encode())
        content.update(np.ascontiguousarray(self._images).data)
        return content.hexdigest()

    def header(self, item: int) -> PictureHeader:
        _, height, width, channels = self._images.shape
        return PictureHeader(width, height, channels == 1)

    def read(self, item: int, side: int, channels: int) -> NDArray[np.uint8]:
        picture: NDArray[np.uint8] = self._images[item]
        if picture.shape == (side, side, channels):
            return picture
        return fit(Image.fromarray(np.squeeze(picture, 2) if channels == 1 else picture), side)


@final
class EncodedPictures(Pictures):
    """Pictures as files or byte ranges: `load(item)` gives the bytes, `names[item]` what errors call them."""

    def __init__(self, index: Index, names: Sequence[str], load: Callable[[int], bytes]) -> None:
        super().__init__(index)
        self._names, self._load = names, load

    def scan(self, crew: Crew) -> Scan:
        """The identity covers names in order, bytes, labels and split, and no path or time outside the source."""
        total = hashlib.sha256(self.index.digest())
        native_side, grey = 0, True
        for digest, header in crew.map("reading", self._look, range(len(self._names))):
            total.update(digest)
            native_side, grey = max(native_side, header.short_side), grey and header.grey
        return Scan(total.hexdigest(), native_side, 1 if grey else 3)

    def header(self, item: int) -> PictureHeader:
        return read_header(self._load(item), self._names[item])

    def read(self, item: int, side: int, channels: int) -> NDArray[np.uint8]:
        return decode(self._load(item), self._names[item], side=side, channels=channels)

    def encoded(self, item: int) -> bytes:
        """Picture `item` as it is stored."""
        return self._load(item)

    def _look(self, item: int) -> tuple[bytes, PictureHeader]:
        data, name = self._load(item), self._names[item]
        content = hashlib.sha256(data).digest() + name.encode("utf-8", "surrogateescape") + b"\0"
        return content, read_header(data, name)
