"""Room on the disk of a run: asked for before it starts and after every commit, so that a full disk is no surprise."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from scalesearch.errors import LedgerError, RunFolderError

__all__ = ["STARTS_WITH", "STOPS_BELOW", "check_room", "stop_when_low"]

#: bytes that a run starts with; figures, tables and ledgers of usual runs take a few of them
STARTS_WITH: Final = 100_000_000
#: bytes below which a run stops while its results can still be written
STOPS_BELOW: Final = 30_000_000


def check_room(folder: Path) -> None:
    """Refuse to start a run, or to continue one, on a disk that is nearly full.

    Raises:
        RunFolderError: names what is free.
    """
    free = _free(next(path for path in (folder, *folder.parents) if path.exists()))
    if free is not None and free < STARTS_WITH:
        raise RunFolderError(
            f"a run needs {STARTS_WITH // 1_000_000} MB of free disk",
            value=f"{free // 1_000_000} MB in {folder}",
            way_out="free some, or choose another runs folder",
        )


def stop_when_low(path: Path) -> None:
    """End a run whose last result was just stored at `path`, before the disk is full.

    Raises:
        LedgerError: less than `STOPS_BELOW` is free.
    """
    free = _free(path.parent)
    if free is not None and free < STOPS_BELOW:
        raise LedgerError(
            f"the disk of {path} must keep {STOPS_BELOW // 1_000_000} MB free, got {free // 1_000_000} MB; free "
            "some and resume, every finished training is stored"
        )


def _free(folder: Path) -> int | None:
    """Bytes that this user can still write; None where nobody can tell."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return usage.free if usage.total else None  # some file systems of the kernel have no size
