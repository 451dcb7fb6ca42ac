"""Files that are either the old or the new content, whatever happens while they are written."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

__all__ = ["fsync_folder", "name_new", "write_atomic"]


def write_atomic(path: Path, content: bytes) -> None:
    """Replace `path` by `content` (bytes) in one step; it is on disk when this returns.

    Raises:
        OSError: the folder cannot be written or the disk is full; the old file is untouched.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_folder(path.parent)


def name_new(temporary: Path, path: Path) -> None:
    """Give a finished file its name, never over one that another process created meanwhile; `temporary` may stay.

    Raises:
        FileExistsError: there is one.
        OSError: the folder cannot be written.
    """
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        os.replace(temporary, path)


def fsync_folder(folder: Path) -> None:
    """Make names in `folder` durable: a file's own fsync does not cover its directory entry."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
