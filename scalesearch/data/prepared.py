"""A data set that was decoded: memory maps in a cache folder, opened when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalesearch.errors import DataError

__all__ = ["PreparedData"]


@dataclass(frozen=True, slots=True)
class PreparedData:
    """Decoded pictures on disk; small and picklable, so that workers get it by value and share the pages.

    Attributes:
        folder: absolute path of the cache folder.
        name: the data set's name.
        fingerprint: identifies the content (pictures, labels, split, stored side); the same on every machine.
        side: side of the stored square pictures in pixels.
        channels: 1 (grey) or 3 (RGB).
        class_names: label k is class_names[k].
        n_train, n_val: pictures in each part.
        native_side: shorter side of the largest picture at the source in pixels; training above it upsamples.
        source: identifies pictures, labels and split, whatever the stored side; "" where it is not known.
    """

    folder: str
    name: str
    fingerprint: str
    side: int
    channels: int
    class_names: tuple[str, ...]
    n_train: int
    n_val: int
    native_side: int | None
    source: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """What a run's summary says of its data."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "source": self.source,
            "classes": len(self.class_names),
            "n_train": self.n_train,
            "n_val": self.n_val,
            "native_side": self.native_side,
        }

    def train(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Images uint8 [n_train, side, side, channels] (read-only memory map) and labels int64 [n_train]."""
        return self._open("train", self.n_train)

    def val(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """The same for the validation part used for choosing."""
        return self._open("val", self.n_val)

    def _open(self, part: str, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        images: NDArray[Any] = self._load(f"{part}_images.npy", "r")
        labels: NDArray[Any] = self._load(f"{part}_labels.npy", None)
        if images.shape != (count, self.side, self.side, self.channels) or labels.shape != (count,):
            rule = f"{part} pictures in {self.folder} must be {count} of {self.side} px"
            raise DataError(rule, value=list(images.shape), way_out=_WAY_OUT)
        return images, labels

    def _load(self, file: str, mmap_mode: Any) -> NDArray[Any]:
        path = Path(self.folder, file)
        try:
            array: NDArray[Any] = np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path} must be readable", value=str(error), way_out=_WAY_OUT) from error
        return array


_WAY_OUT = "delete that folder and run the command again"
