"""The folder of a result that trains nothing: no ledger, all files written together or none at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from scalesearch.errors import RunFolderError
from scalesearch.store.atomic import fsync_folder, write_atomic
from scalesearch.store.run_folder import SUMMARY_FILE, plain_json
from scalesearch.store.run_list import read_summary
from scalesearch.store.run_paths import OTHER_NAME, run_path, writing

__all__ = ["ResultFolder"]


@dataclass(frozen=True, slots=True)
class ResultFolder:
    """Where a verb such as `scale` leaves its files; `plan` checks and writes nothing, `write` does it all.

    Attributes:
        path: the folder, runs/VERB/NAME.
        verb: the command, for example "scale".
        name: of the result.
    """

    path: Path
    verb: str
    name: str

    @classmethod
    def plan(cls, runs_dir: str | Path, verb: str, name: str) -> Self:
        """The folder of a result, after every check that needs no settings.

        Raises:
            RunFolderError: an impossible name, a place that cannot be written, or a folder with anything in it but
                an earlier result of the same verb.
        """
        folder = cls(run_path(runs_dir, verb, name), verb, name)
        folder._earlier()
        return folder

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Refuse to put the result of other settings in the place of an earlier one.

        Args:
            settings: every setting that changes the result; summary.json holds them as "settings".

        Raises:
            RunFolderError: the settings differ from those of the earlier result; names what differs.
        """
        earlier = self._earlier()
        if earlier is None:
            return
        before, now = earlier["settings"], plain_json(settings)
        different = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
        if different:
            key = different[0]
            more = f" and {len(different) - 1} more" * (len(different) > 1)
            raise RunFolderError(
                f"{self.verb}/{self.name} holds the result of other settings",
                value=f"{key}: {before.get(key, 'absent')} -> {now.get(key, 'absent')}{more}",
                way_out=f"repeat the old settings, or {OTHER_NAME}",
            )

    def write(self, files: Mapping[str, bytes]) -> None:
        """Put the files in place: a new folder appears with all of them in one step; an earlier result of the same
        settings is replaced file by file, and what it had more is removed.

        Args:
            files: contents by name; a name may hold folders ("specs/b0.json"). One of them is summary.json.

        Raises:
            RunFolderError: the folder cannot be written; a new one then does not appear.
        """
        assert SUMMARY_FILE in files
        with writing(self.path):
            if self._earlier() is None:
                self._create(files)
                return
            # the summary last, because it says that the rest is there
            for name in sorted(files, key=lambda name: name == SUMMARY_FILE):
                (self.path / name).parent.mkdir(exist_ok=True)
                write_atomic(self.path / name, files[name])
            for path in self._files():
                if path.relative_to(self.path).as_posix() not in files:
                    path.unlink()

    def _create(self, files: Mapping[str, bytes]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.name}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            for name, content in files.items():
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                write_atomic(temporary / name, content)
            # replaces an empty folder, and fails on one that another process has filled meanwhile
            os.rename(temporary, self.path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        fsync_folder(self.path.parent)

    def _earlier(self) -> dict[str, Any] | None:
        """The summary of an earlier result; None where the folder is absent or empty.

        Raises:
            RunFolderError: the folder holds something else.
        """
        if not self.path.exists() or not any(self.path.iterdir()):
            return None
        summary = read_summary(self.path)
        listed = set((summary or {}).get("files") or ())
        is_ours = summary is not None and summary.get("verb") == self.verb and isinstance(summary.get("settings"), dict)
        others = [] if is_ours else sorted(path.name for path in self.path.iterdir())
        others += [name for path in self._files() if (name := path.relative_to(self.path).as_posix()) not in listed]
        if others:
            raise RunFolderError(
                f"the folder of a {self.verb} result must be empty or hold an earlier one, but {self.path} holds "
                f"{others[0]}",
                way_out=OTHER_NAME,
            )
        return summary

    def _files(self) -> list[Path]:
        """All files below the folder, torn ones of a killed process left out."""
        return sorted(path for path in self.path.rglob("*") if path.is_file() and not path.name.endswith(".tmp"))
