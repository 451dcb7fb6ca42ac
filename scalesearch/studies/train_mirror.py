"""Checkpoints of a longer training beside their folder: in a bucket or on a shared disk, should the machine be lost."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from scalesearch.errors import ResourceError, RunFolderError
from scalesearch.remote.storage import RemoteFolder
from scalesearch.report.screen import Screen
from scalesearch.train.checkpoint import BEST, LAST, read_checkpoint

__all__ = ["CheckpointMirror"]

# the best first, as it is saved: a loss in between repeats an epoch that gives the same again
_FILES: Final = (BEST, LAST)


class CheckpointMirror:
    """last.pt and best.pt of `checkpoints` under `place`/NAME.

    The folder here stays the truth: a mirror that does not answer costs a line on the screen, never the training.
    """

    def __init__(self, place: str, name: str, checkpoints: Path, screen: Screen):
        self._remote = RemoteFolder(f"{place.rstrip('/')}/{name}")
        self._checkpoints, self._screen = checkpoints, screen
        self.is_behind = False

    def bring_back(self) -> None:
        """Fetch the checkpoints where this machine has none; does nothing where there are none either.

        Raises:
            ResourceError: the storage does not answer.
            InputError: what lies there is broken.
            RunFolderError: the folder here cannot be written.
        """
        there = [name for name in _FILES if self._remote.find(name) is not None]
        if (self._checkpoints / LAST).exists() or LAST not in there:
            return
        try:
            self._checkpoints.mkdir(parents=True, exist_ok=True)
            for name in there:
                self._remote.fetch(name, self._checkpoints / name)
                self._refuse_broken(self._checkpoints / name)
        except OSError as error:
            rule = f"checkpoints must be writable ({error.strerror})"
            raise RunFolderError(rule, value=str(self._checkpoints), way_out="free the disk, then resume") from error
        self._screen.say(f"checkpoints were brought back from {self._remote.place}")

    def push(self) -> None:
        """Store the checkpoints as they are now."""
        try:
            for name in _FILES:
                if (self._checkpoints / name).exists():
                    self._remote.put(self._checkpoints / name, name)
        except ResourceError as error:
            self.is_behind = True
            self._screen.say(f"note: the mirror is behind, the training goes on: {error}")
        else:
            self.is_behind = False

    @staticmethod
    def _refuse_broken(path: Path) -> None:
        try:
            read_checkpoint(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
