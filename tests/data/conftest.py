"""Tiny data sets made on the fly: encoded pictures, class folders, .npz files, official archives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures_made_here import encode, noise

from scalesearch.data.settings import DataSettings


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("SCALESEARCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., DataSettings]:
    """make_folder({"cat": 4, "dogs/poodle": 3}) -> settings of an ImageFolder with that many pictures."""

    def make(counts: dict[str, int], side: int = 12, name: str = "pictures") -> DataSettings:
        root = tmp_path / name
        root.mkdir()
        for seed, (folder, count) in enumerate(counts.items()):
            (root / folder).mkdir(parents=True, exist_ok=True)
            for item in range(count):
                (root / folder / f"{item}.png").write_bytes(encode(noise(100 * seed + item, side, side, 3)))
        return DataSettings("imagefolder", path=str(root))

    return make


@pytest.fixture
def make_npz(tmp_path: Path) -> Callable[..., DataSettings]:
    """make_npz(split=...) -> settings of an .npz of 12 JPEG pictures in 3 classes, any array replaced or left out."""

    def make(**changed: Any) -> DataSettings:
        pictures = [encode(noise(item, 10, 14, 3), "JPEG", quality=95) for item in range(12)]
        arrays: dict[str, Any] = {
            "jpeg": np.frombuffer(b"".join(pictures), np.uint8),
            "offset": np.cumsum([0] + [len(picture) for picture in pictures]),
            "label": np.arange(12, dtype=np.uint8) % 3,
            "split": np.repeat([0, 1], [9, 3]).astype(np.uint8),
            "classes": np.array(["a", "b", "c"]),
        }
        arrays.update(changed)
        path = tmp_path / "pictures.npz"
        np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
        return DataSettings("npz_jpeg", path=str(path))

    return make
