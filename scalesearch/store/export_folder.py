"""A finished run as a whole, for another machine or a bucket: every file, and their sha256 last."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

from scalesearch.errors import RunFolderError
from scalesearch.remote.secrets import redacted, refuse_credentials
from scalesearch.remote.storage import RemoteFolder
from scalesearch.store.driver_lock import LOCK_FILE, NOTE_FILE
from scalesearch.store.run import Run
from scalesearch.store.run_folder import LEDGER_FILE

__all__ = ["MANIFEST", "write_folder", "write_remote"]

MANIFEST: Final = "files.json"
# of one machine, and the ledger's journal, which its copy does not need
_LEFT_OUT: Final = frozenset({LOCK_FILE, NOTE_FILE, f"{LEDGER_FILE}-wal", f"{LEDGER_FILE}-shm"})


def write_folder(run: Run, target: Path) -> None:
    """Copy every file of a run to the new folder `target`; the ledger through SQLite, so that it is whole.

    Raises:
        OSError: `target` cannot be written.
    """
    target.mkdir(mode=0o755)
    digests = {}
    for source in _files(run):
        name = source.relative_to(run.path).as_posix()
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if name == LEDGER_FILE:
            _copy_ledger(source, target / name)
        else:
            shutil.copyfile(source, target / name)
        with (target / name).open("rb") as file:
            digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    (target / MANIFEST).write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")


def write_remote(run: Run, address: str) -> str:
    """Store every file of a run below `address`, the list of their sha256 last: without it the run is incomplete.

    Raises:
        ConfigError: credentials in the address.
        RunFolderError: something lies there already.
        ResourceError: the bucket does not answer in time or refuses.
    """
    refuse_credentials({"--out": address})
    remote = RemoteFolder(address.rstrip("/"))
    if remote.names():
        raise RunFolderError(
            "an export never replaces what is there", value=redacted(address), way_out="choose another --out"
        )
    with tempfile.TemporaryDirectory(prefix="scalesearch-export-") as temporary:
        folder = Path(temporary, "run")
        write_folder(run, folder)
        names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        for name in sorted(names, key=lambda name: name == MANIFEST):
            remote.put(folder / name, name)
    return address


def _copy_ledger(source: Path, target: Path) -> None:
    """What is committed, without the journal beside it."""
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
    except sqlite3.Error as error:
        raise OSError(f"the ledger cannot be copied: {error}") from error


def _files(run: Run) -> list[Path]:
    return sorted(
        path
        for path in run.path.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name not in _LEFT_OUT and not path.name.endswith(".tmp")
    )
