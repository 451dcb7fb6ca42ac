"""Pictures in tar files that are read from front to back: for data sets larger than memory.

    shards.json                     classes, and the files of each part with their counts and sha256
    train-00000.tar, val-00000.tar  members KEY.jpg and KEY.cls (the label as text), as WebDataset has them

Pictures are shuffled once when they are written, so that every file holds all kinds; a pass then reads the files in
random order through a buffer that bounds what is in memory.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scalesearch.data.parallel import Crew
from scalesearch.data.pictures import decode, own_pixel_limit
from scalesearch.data.prepare import SourceInfo
from scalesearch.data.prepared import PreparedData
from scalesearch.data.source import EncodedPictures
from scalesearch.data.splits import Split
from scalesearch.errors import DataError

__all__ = ["INDEX_FILE", "Shards", "write_shards"]

INDEX_FILE: Final = "shards.json"
_FORMAT: Final = 1
_WAY_OUT: Final = "write the shards again"
_CHUNK: Final = 256  # pictures decoded at a time
_SHARD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\.tar")
_MOST_BYTES: Final = 64_000_000  # of one picture

Sample = tuple[NDArray[np.uint8], int]


@dataclass(frozen=True, slots=True)
class Shards:
    """A folder of shards.

    Attributes:
        folder: where they lie.
        class_names: label k is class_names[k].
        channels: 1 or 3.
        parts: (file, pictures, sha256) of "train" and of "val".
        native_side: shorter side of the largest picture in pixels.
    """

    folder: Path
    class_names: tuple[str, ...]
    channels: int
    parts: dict[str, tuple[tuple[str, int, str], ...]]
    native_side: int

    @classmethod
    def open(cls, folder: Path) -> Shards:
        """Read the index.

        Raises:
            DataError: no index, or a malformed one.
        """
        try:
            index: dict[str, Any] = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
            if index["format"] != _FORMAT:
                raise DataError("shards must be of format 1", value=index["format"], way_out="update scalesearch")
            parts = {part: tuple(map(_entry, index["parts"][part])) for part in ("train", "val")}
            classes = tuple(index["classes"])
            if not isinstance(index["classes"], list) or not all(isinstance(name, str) for name in classes):
                raise ValueError("classes must be a list of text")
            channels, side = _whole("channels", index["channels"], 3), _whole("native_side", index["native_side"])
            return cls(folder, classes, channels, parts, side)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(f"{folder} must hold a whole {INDEX_FILE}", value=str(error), way_out=_WAY_OUT) from error

    def count(self, part: str) -> int:
        """Pictures of a part."""
        return sum(count for _, count, _ in self.parts[part])

    @property
    def info(self) -> SourceInfo:
        """What is known without reading a picture."""
        return SourceInfo(
            self.folder.name, self.class_names, self.count("train"), self.count("val"), True, self.native_side,
            self.channels,
        )  # fmt: skip

    def described(self, resolution: int) -> PreparedData:
        """The handle that stands for pictures which are never decoded as a whole."""
        digests = [digest for part in ("train", "val") for _, _, digest in self.parts[part]]
        content = json.dumps([_FORMAT, self.class_names, self.channels, digests])
        fingerprint = hashlib.sha256(content.encode()).hexdigest()[:32]
        return PreparedData(
            str(self.folder.absolute()), self.folder.name, fingerprint, resolution, self.channels, self.class_names,
            self.count("train"), self.count("val"), self.native_side,
        )  # fmt: skip

    def read(self, files: Sequence[str], *, side: int) -> Iterator[Sample]:
        """Pictures uint8 [side, side, channels] with labels, file after file; decoded a bounded number ahead.

        Raises:
            DataError: a file that is missing or torn, or a picture that is broken; names it.
        """
        crew = Crew(1)
        with own_pixel_limit():
            for file in files:
                yield from _decoded(crew, _members(self.folder / file), side, self.channels, len(self.class_names))


def _whole(name: str, value: object, most: int = 2**31) -> int:
    if type(value) is not int or not 0 < value <= most:
        raise ValueError(f"{name} must be a whole number from 1 to {most}")
    return value


def _entry(row: object) -> tuple[str, int, str]:
    """(file, pictures, sha256) of a shard; the file lies in the folder itself, whoever wrote the index."""
    if not isinstance(row, list) or len(row) != 3 or not isinstance(row[2], str):
        raise ValueError("a part must list file, count and sha256")
    file, count, digest = row
    if not isinstance(file, str) or not _SHARD.fullmatch(file):
        raise ValueError(f"a shard must be a plain file name ending in .tar, got {str(file)[:80]!r}")
    return file, _whole("a count", count), digest


def write_shards(
    pictures: EncodedPictures,
    split: Split,
    folder: Path,
    *,
    channels: int,
    native_side: int,
    pictures_per_shard: int = 1000,
) -> Shards:
    """Write both parts of an encoded source (npz_jpeg, imagefolder) as shards; the index last.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts: dict[str, list[tuple[str, int, str]]] = {}
    for part, items in (("train", split.train), ("val", split.val)):
        shuffled = np.random.RandomState(0).permutation(items)
        parts[part] = []
        for number, start in enumerate(range(0, len(shuffled), pictures_per_shard)):
            chosen = [int(item) for item in shuffled[start : start + pictures_per_shard]]
            name = f"{part}-{number:05d}.tar"
            _write_tar(folder / name, chosen, pictures.encoded, pictures.index.labels)
            parts[part].append((name, len(chosen), _sha256(folder / name)))
    index = {
        "format": _FORMAT,
        "classes": list(pictures.index.class_names),
        "channels": channels,
        "native_side": native_side,
        "parts": parts,
    }
    (folder / INDEX_FILE).write_text(json.dumps(index, indent=1), encoding="utf-8")
    return Shards.open(folder)


def _write_tar(path: Path, items: Sequence[int], encoded: Callable[[int], bytes], labels: NDArray[np.int64]) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for item in items:
            for suffix, content in (("jpg", encoded(item)), ("cls", str(int(labels[item])).encode())):
                member = tarfile.TarInfo(f"{item:08d}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _members(path: Path) -> Iterator[tuple[str, bytes, int]]:
    """(name, encoded picture, label) of a file, read from front to back."""
    pending: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r|") as archive:
            for member in archive:
                key, _, suffix = member.name.rpartition(".")
                if not member.isreg() or suffix not in ("jpg", "jpeg", "png", "cls") or member.size > _MOST_BYTES:
                    continue
                stream = archive.extractfile(member)
                assert stream is not None
                content = stream.read()
                if suffix != "cls":
                    pending[key] = content
                elif key in pending:
                    yield f"{path.name}/{key}", pending.pop(key), int(content)
    except (OSError, EOFError, ValueError, tarfile.TarError) as error:
        raise DataError(f"shard {path} must be a whole tar file", value=str(error), way_out=_WAY_OUT) from error
    if pending:
        raise DataError(
            f"shard {path} must have a label for every picture", value=next(iter(pending)), way_out=_WAY_OUT
        )


def _decoded(
    crew: Crew, members: Iterator[tuple[str, bytes, int]], side: int, channels: int, classes: int
) -> Iterator[Sample]:
    def flush(chunk: list[tuple[str, bytes, int]]) -> Iterator[Sample]:
        def read(item: int) -> NDArray[np.uint8]:
            name, data, _ = chunk[item]
            return decode(data, name, side=side, channels=channels)

        yield from zip(crew.map("decoding", read, range(len(chunk))), [label for _, _, label in chunk], strict=True)

    chunk: list[tuple[str, bytes, int]] = []
    for member in members:
        if not 0 <= member[2] < classes:
            raise DataError(
                f"labels must lie in 0..{classes - 1}", value=f"{member[2]} of {member[0]}", way_out=_WAY_OUT
            )
        chunk.append(member)
        if len(chunk) == _CHUNK:
            yield from flush(chunk)
            chunk = []
    yield from flush(chunk)
