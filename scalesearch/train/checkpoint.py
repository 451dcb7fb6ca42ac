"""Checkpoints: written in one step, checked by sha256, plain types only.

A file is what torch.save writes for a dict, and a last line "scalesearch sha256 HEX" over everything before it, so
that file and checksum cannot disagree after a kill; torch.load reads it as it is.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from scalesearch.errors import InputError, RunFolderError

__all__ = ["BEST", "LAST", "CheckpointFolder", "decode_checkpoint", "encode_checkpoint", "read_checkpoint"]

LAST: Final = "last.pt"
BEST: Final = "best.pt"
_MARK: Final = b"\nscalesearch sha256 "
_TRAILER_BYTES: Final = len(_MARK) + 64 + 1
_KEPT: Final = re.compile(r"epoch-[0-9]{5,}\.pt")


def encode_checkpoint(state: Mapping[str, Any]) -> bytes:
    """The bytes of a checkpoint; `state` holds tensors, numbers, text, None, lists and dicts only."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    content = buffer.getvalue()
    return content + _MARK + hashlib.sha256(content).hexdigest().encode() + b"\n"


def decode_checkpoint(content: bytes, name: str) -> dict[str, Any]:
    """What `encode_checkpoint` was given.

    Raises:
        InputError: empty, torn, altered or of another kind; names the file.
    """
    body, trailer = content[:-_TRAILER_BYTES], content[-_TRAILER_BYTES:]
    if not trailer.startswith(_MARK):
        what = "an empty file" if not content else "a torn or foreign file"
        raise _broken(name, what)
    if trailer[len(_MARK) : -1] != hashlib.sha256(body).hexdigest().encode():
        raise _broken(name, "a sha256 that differs")
    try:
        state = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except Exception as error:  # because torch raises nearly anything on foreign bytes
        raise _broken(name, str(error)) from error
    if not isinstance(state, dict):
        raise _broken(name, type(state).__name__)
    return state


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read and check a file.

    Raises:
        InputError: it cannot be read, or see `decode_checkpoint`.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError("a checkpoint must be a readable file", value=str(path), way_out=str(error.strerror)) from None
    return decode_checkpoint(content, str(path))


@dataclass(frozen=True, slots=True)
class CheckpointFolder:
    """Where a training keeps its state: last.pt, best.pt, and epoch-NNNNN.pt of the last `keep` epochs where that is
    more than one."""

    path: Path
    keep: int = 1

    def last(self) -> dict[str, Any] | None:
        """The state to go on from; None where there is none.

        Raises:
            InputError: see `read_checkpoint`.
        """
        return read_checkpoint(self.path / LAST) if (self.path / LAST).exists() else None

    def save(self, state: Mapping[str, Any], *, epoch: int, is_best: bool) -> None:
        """Put the state of `epoch`, counted from 1, on disk; when this returns it survives a power cut.

        Raises:
            RunFolderError: the folder cannot be written or the disk is full; the old files are untouched.
        """
        content = encode_checkpoint(state)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # the best first: after a kill in between, the epoch is repeated and gives the same again
            if is_best:
                _replace(self.path / BEST, content)
            _replace(self.path / LAST, content)
            if self.keep > 1:
                self._keep(epoch)
        except OSError as error:
            raise RunFolderError(
                f"checkpoints must be writable ({error.strerror})",
                value=str(self.path),
                way_out="free the disk, then resume",
            ) from error

    def _keep(self, epoch: int) -> None:
        link = self.path / f"epoch-{epoch:05d}.pt"
        link.unlink(missing_ok=True)
        try:
            os.link(self.path / LAST, link)  # last.pt is replaced by renaming, so the link keeps this epoch's content
        except OSError:  # a file system without links
            shutil.copyfile(self.path / LAST, link)
        kept = sorted(path for path in self.path.iterdir() if _KEPT.fullmatch(path.name))
        for old in kept[: -self.keep]:
            old.unlink(missing_ok=True)


def _replace(path: Path, content: bytes) -> None:
    """Old or new content, whatever happens; not store's function, because store is built on train."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _broken(name: str, what: str) -> InputError:
    return InputError(
        f"checkpoint {name} must be whole", value=what, way_out="restore it, or delete its folder to begin anew"
    )
