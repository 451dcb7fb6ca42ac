"""Where runs lie, `runs/VERB/NAME/`: names, and folders that can be written."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from scalesearch.errors import RunFolderError

__all__ = ["OTHER_NAME", "run_path", "writing"]

OTHER_NAME: Final = "choose another --name"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def run_path(runs_dir: str | Path, verb: str, name: str) -> Path:
    """The folder of a run, after every check of its name and place; nothing is written.

    Raises:
        RunFolderError: a name with other characters than letters, digits and ._-, a file in the way, or a folder
            that cannot be written.
    """
    for what, text in (("verb", verb), ("name", name)):
        if not isinstance(text, str) or not _NAME.fullmatch(text):
            raise RunFolderError(
                f"a run's {what} must be 1 to 100 letters, digits, dots, dashes or underscores, no mark first",
                value=text,
                way_out=OTHER_NAME,
            )
    path = Path(runs_dir).expanduser().absolute() / verb / name
    _check_writable(path)
    return path


def _check_writable(path: Path) -> None:
    """Refuse a path below a file, or below a folder in which nothing can be created."""
    nearest = next(parent for parent in (path, *path.parents) if parent.exists() or parent.is_symlink())
    if not nearest.is_dir():
        raise RunFolderError(
            "a run folder needs a folder, but a file is in the way", value=str(nearest), way_out=OTHER_NAME
        )
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise RunFolderError(
            "a run folder must be writable",
            value=str(nearest),
            way_out="change its permissions, or choose another runs folder",
        )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in one line why a file of the run cannot be written."""
    try:
        yield
    except OSError as error:
        raise RunFolderError(
            f"a run folder must be writable ({error.strerror})",
            value=str(path),
            way_out="free the disk, or choose another runs folder",
        ) from error
