"""Compressed files that stop unpacking at a limit: a small file may hold terabytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

__all__ = ["open_bounded"]

_CHUNK = 1 << 20


class _Bounded(io.RawIOBase):
    """Reads from `source`, at most `most` bytes in all."""

    def __init__(self, source: IO[bytes], most: int):
        self._source, self._left, self._most = source, most, most

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """As a file; never more than a MiB at once, so that a size told by the file allocates nothing."""
        data = self._source.read(min(_CHUNK, size) if size >= 0 else _CHUNK)
        self._left -= len(data)
        if self._left < 0:
            raise OSError(f"it unpacks to more than {self._most // 1_000_000} MB")
        return data


@contextmanager
def open_bounded(path: Path, most: int) -> Iterator[IO[bytes]]:
    """The content of a plain, gzip, bzip2 or xz file as a stream.

    Args:
        most: bytes, unpacked, beyond which reading raises.

    Raises:
        OSError: it cannot be read or unpacks to more; EOFError, lzma.LZMAError or zlib.error where it is broken.
    """
    with path.open("rb") as raw:
        magic = raw.read(6)
        raw.seek(0)
        unpacked: Any = raw
        if magic.startswith(b"\x1f\x8b"):
            unpacked = gzip.GzipFile(fileobj=raw)
        elif magic.startswith(b"BZh"):
            unpacked = bz2.BZ2File(raw)
        elif magic.startswith(b"\xfd7zXZ"):
            unpacked = lzma.LZMAFile(raw)  # noqa: SIM115
        yield cast(IO[bytes], _Bounded(unpacked, most))
