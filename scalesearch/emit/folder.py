"""The output folder of `emit`: complete or untouched, and never on top of somebody else's files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scalesearch.errors import RunFolderError
from scalesearch.store.atomic import fsync_folder, write_atomic
from scalesearch.store.results import EMIT_WRITER, MANIFEST_FILE

__all__ = ["MANIFEST_FILE", "Order", "check_folder", "sha256_of", "staged"]

_WAY_OUT: Final = "choose another --out, or empty the folder yourself"


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for: an order given again may replace its own files."""

    networks: tuple[str, ...]
    formats: tuple[str, ...]
    weights: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, list[str]]:
        """Plain JSON types."""
        return {"networks": list(self.networks), "formats": list(self.formats), "weights": list(self.weights)}


def sha256_of(path: Path) -> str:
    """Of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_folder(out: Path, order: Order) -> None:
    """Whether `emit` may write to `out`: it does not exist, is empty, or holds exactly what this order wrote before.

    Raises:
        RunFolderError: a file stands there, or the folder holds files of others, of another order, or changed ones.
    """
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir():
        raise RunFolderError("the output must be a folder", value=str(out), way_out="choose another --out")
    present = sorted(_files(out))
    if not present:
        return
    manifest = _read_manifest(out)
    if manifest is None:
        raise RunFolderError(
            "the output folder must be empty or written by emit", value=f"{present[0]} in {out}", way_out=_WAY_OUT
        )
    if manifest.get("order") != order.to_dict():
        raise RunFolderError(
            "the output folder holds what another emit wrote", value=_described(manifest), way_out=_WAY_OUT
        )
    known: Mapping[str, Any] = manifest["files"]
    for name in present:
        if name != MANIFEST_FILE and sha256_of(out / name) not in known.get(name, ()):
            what = "changed since it was emitted" if name in known else "not written by emit"
            raise RunFolderError(f"the output folder holds a file {what}", value=name, way_out=_WAY_OUT)


@contextmanager
def staged(out: Path, order: Order) -> Iterator[Path]:
    """A temporary folder beside `out`; when the block ends well its files are moved to `out`, with a manifest.

    When the block raises, nothing is left behind and `out` is as it was.

    Raises:
        RunFolderError: see `check_folder`, and a folder that cannot be written.
    """
    check_folder(out, order)
    stage = out.parent / f".{out.name}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        stage.mkdir(parents=True)
        yield stage
        _publish(stage, out, order)
    except OSError as error:
        raise RunFolderError(
            "the output folder must be writable and have room", value=f"{out}: {error}", way_out="choose another --out"
        ) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _publish(stage: Path, out: Path, order: Order) -> None:
    """Move everything from `stage` to `out`; whoever is stopped in between may run the same order again."""
    for path in stage.rglob("__pycache__"):
        shutil.rmtree(path)
    names = sorted(_files(stage))
    new = {name: [sha256_of(stage / name)] for name in names}
    for name in names:
        _fsync(stage / name)
    check_folder(out, order)
    out.mkdir(parents=True, exist_ok=True)
    old: dict[str, list[str]] = (_read_manifest(out) or {"files": {}})["files"]
    # first a manifest that knows both the old and the new files, because a crash may leave some of each
    both = {name: sorted({*old.get(name, ()), *new.get(name, ())}) for name in sorted({*old, *new})}
    _write_manifest(out, order, both)
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(stage / name, out / name)
    for name in old.keys() - new.keys():
        (out / name).unlink(missing_ok=True)
    fsync_folder(out)
    _write_manifest(out, order, new)


def _write_manifest(out: Path, order: Order, files: Mapping[str, Sequence[str]]) -> None:
    content = {"writer": EMIT_WRITER, "order": order.to_dict(), "files": files}
    write_atomic(out / MANIFEST_FILE, (json.dumps(content, indent=2) + "\n").encode())


def _read_manifest(out: Path) -> dict[str, Any] | None:
    """The manifest of an earlier emit; None where there is none."""
    try:
        manifest = json.loads((out / MANIFEST_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(manifest, dict) or manifest.get("writer") != EMIT_WRITER:
        return None
    files = manifest.get("files")
    # its names are removed when they are no longer written, and the folder may come from somebody else
    good = isinstance(files, dict) and all(
        isinstance(known, list) and _is_inside(name) for name, known in files.items()
    )
    return manifest if good else None


def _is_inside(name: str) -> bool:
    return "\0" not in name and not Path(name).is_absolute() and ".." not in Path(name).parts


def _described(manifest: Mapping[str, Any]) -> str:
    order = manifest.get("order")
    if not isinstance(order, dict):
        return "an unreadable order"
    return "; ".join(f"{key} {', '.join(map(str, order.get(key, [])))}" for key in ("networks", "formats", "weights")
                     if order.get(key))  # fmt: skip


def _files(folder: Path) -> Iterator[str]:
    """Every file below `folder`, by its path relative to it; an empty folder inside counts as nothing."""
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_dir():
            yield path.relative_to(folder).as_posix()


def _fsync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
