"""A prepared data set on a node that does not share the driver's disk: sent once, unpacked once per node."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalesearch.data.prepared import PreparedData

__all__ = ["pack", "unpack"]


def pack(data: PreparedData) -> dict[str, NDArray[np.uint8]]:
    """The files of a prepared data set: name -> uint8 [bytes]."""
    files = sorted(path for path in Path(data.folder).iterdir() if path.is_file() and not path.name.startswith("."))
    return {path.name: np.fromfile(path, dtype=np.uint8) for path in files}


def unpack(data: PreparedData, files: Mapping[str, NDArray[Any]], root: Path | None = None) -> PreparedData:
    """Write packed files below `root` unless they are there, and return the handle to that folder.

    Args:
        data: the driver's handle; its fingerprint names the folder.
        files: what `pack` gave.
        root: default a folder of this user in the temporary directory; it stays for the next run.

    Raises:
        OSError: the folder cannot be written, or belongs to somebody else.
    """
    root = root or Path(tempfile.gettempdir(), f"scalesearch-data-{os.getuid()}")
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if root.stat().st_uid != os.getuid():
        raise PermissionError(f"{root} belongs to another user")
    folder = root / data.fingerprint
    if not folder.is_dir():
        temporary = Path(tempfile.mkdtemp(dir=root))
        for name, content in files.items():
            content.tofile(temporary / Path(name).name)
        try:
            temporary.rename(folder)
        except OSError:  # another worker of this node was first
            shutil.rmtree(temporary)
            if not folder.is_dir():
                raise
    return replace(data, folder=str(folder))
