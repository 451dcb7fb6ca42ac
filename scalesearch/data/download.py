"""Fetch one small file, bounded in time and size, and keep it only if its content is the expected one."""

from __future__ import annotations

import http.client
import os
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from scalesearch.errors import DataError

__all__ = ["download"]

_SILENCE_S = 15.0  # longest wait for the next bytes
_TOTAL_S = 300.0  # longest download
_BLOCK = 1 << 16
_WAY_OUT = "set data.cache_dir=FOLDER or SCALESEARCH_CACHE"


def download(urls: tuple[str, ...], target: Path, *, most_bytes: int, check: Callable[[bytes], object]) -> None:
    """Try the addresses in turn; write `target` atomically once `check(content)` raised no DataError.

    Raises:
        DataError: no address gave the content, or `target` cannot be written; says why for each.
    """
    reasons = []
    for url in urls:
        try:
            content = _fetch(url, most_bytes)
            check(content)
        except (OSError, ValueError, http.client.HTTPException, DataError) as error:
            reasons.append(f"{url.split('/')[2]}: {error}")
            continue
        _write(target, content)
        return
    raise DataError(f"{target.name} must be downloadable", value="; ".join(reasons))


def _fetch(url: str, most_bytes: int) -> bytes:
    deadline = time.monotonic() + _TOTAL_S
    blocks, size = [], 0
    with urllib.request.urlopen(url, timeout=_SILENCE_S) as response:  # addresses are constants of this package
        while block := response.read(_BLOCK):
            blocks.append(block)
            size += len(block)
            if size > most_bytes:
                raise OSError(f"more than the expected {most_bytes} bytes")
            if time.monotonic() > deadline:
                raise OSError(f"not done after {_TOTAL_S:.0f} s")
    return b"".join(blocks)


def _write(target: Path, content: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise DataError(f"{target.parent} must be writable", value=error.strerror, way_out=_WAY_OUT) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise DataError(f"{target.parent} must have room", value=error.strerror, way_out=_WAY_OUT) from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
