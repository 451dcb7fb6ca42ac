"""Finished runs for elsewhere: an Optuna database, TensorBoard's event files, CSV, Parquet, or the whole folder."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from scalesearch.errors import RunFolderError, UnknownNameError
from scalesearch.remote.storage import is_remote
from scalesearch.store.atomic import fsync_folder, name_new
from scalesearch.store.export_folder import write_folder, write_remote
from scalesearch.store.export_optuna import write_optuna
from scalesearch.store.export_table import trials_table
from scalesearch.store.export_tensorboard import write_tensorboard
from scalesearch.store.run import Run

__all__ = ["EXPORTS", "export_run"]


def export_run(run: Run, to: str, out: str | os.PathLike[str]) -> Path | str:
    """Write the trainings of a finished run for another tool.

    Args:
        to: one of `EXPORTS`; "tensorboard" and "folder" make a folder, the others a file.
        out: where; it must not exist, and appears only when it is complete. "folder" also goes to s3://BUCKET/PATH.

    Returns:
        The absolute path or the address of `out`.

    Raises:
        UnknownNameError: no such export.
        RunFolderError: `out` exists or cannot be written, or the run lacks a table.
        MissingPackageError: the tool's package is absent.
    """
    if to not in EXPORTS:
        raise UnknownNameError.of("export", to, EXPORTS)
    if is_remote(str(out)):
        if to != "folder":
            raise RunFolderError(
                "only --to folder goes to a bucket", value=to, way_out="export to a file, and copy that"
            )
        return write_remote(run, str(out))
    target = Path(out).expanduser().absolute()
    if target.exists() or target.is_symlink():
        raise RunFolderError("an export never replaces what is there", value=str(out), way_out="choose another --out")
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        EXPORTS[to](run, temporary)
        _publish(temporary, target)
    except OSError as error:
        raise RunFolderError(
            f"an export must be writable ({error.strerror or error})", value=str(out), way_out="choose another --out"
        ) from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)
    return target


def _write_csv(run: Run, path: Path) -> None:
    trials_table(run).to_csv(path, index=False)


def _write_parquet(run: Run, path: Path) -> None:
    trials_table(run).to_parquet(path, index=False)


EXPORTS: Final[Mapping[str, Callable[[Run, Path], None]]] = {
    "optuna": write_optuna,
    "tensorboard": write_tensorboard,
    "csv": _write_csv,
    "parquet": _write_parquet,
    "folder": write_folder,
}


def _publish(temporary: Path, target: Path) -> None:
    """Give the finished export its name, never over one that appeared meanwhile."""
    if temporary.is_dir():
        temporary.rename(target)
    else:
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        name_new(temporary, target)
    fsync_folder(target.parent)
