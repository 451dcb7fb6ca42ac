"""Checkpoints: plain, whole or refused, the old file kept where the new one cannot be written."""

import hashlib
import io
import os
from pathlib import Path

import pytest
import torch

from scalesearch.errors import InputError, RunFolderError
from scalesearch.train.checkpoint import (
    BEST,
    LAST,
    CheckpointFolder,
    decode_checkpoint,
    encode_checkpoint,
    read_checkpoint,
)

STATE = {"weight": torch.arange(6.0), "rows": [{"epoch": 1, "loss": 0.5}], "none": None}


def test_a_checkpoint_reads_back_and_torch_reads_it_too(tmp_path: Path) -> None:
    CheckpointFolder(tmp_path / "new").save(STATE, epoch=1, is_best=True)
    for name in (LAST, BEST):
        for found in (
            read_checkpoint(tmp_path / "new" / name),
            torch.load(tmp_path / "new" / name, weights_only=True),
        ):
            assert torch.equal(found["weight"], STATE["weight"])  # type: ignore[arg-type]
            assert (found["rows"], found["none"]) == (STATE["rows"], None)
    assert {path.name for path in (tmp_path / "new").iterdir()} == {LAST, BEST}


@pytest.mark.fault(14)
def test_every_flipped_byte_is_found() -> None:
    content = encode_checkpoint(STATE)
    for place in range(0, len(content), 97):
        broken = bytearray(content)
        broken[place] ^= 1
        with pytest.raises(InputError, match=r"checkpoint last\.pt must be whole"):
            decode_checkpoint(bytes(broken), "last.pt")


@pytest.mark.fault(14)
@pytest.mark.parametrize("kept", [0, 1, 84, 85, 100, -1])
def test_torn_and_empty_files(kept: int, tmp_path: Path) -> None:
    (tmp_path / LAST).write_bytes(encode_checkpoint(STATE)[:kept])
    with pytest.raises(InputError, match=r"must be whole, got .*; restore it") as error:
        CheckpointFolder(tmp_path).last()
    assert str(tmp_path / LAST) in str(error.value)
    assert "\n" not in str(error.value)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch evil",)


@pytest.mark.fault(32, repeat=2)
def test_foreign_pickles_run_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    torch.save({"weight": Evil()}, buffer)
    body = buffer.getvalue()
    signed = body + b"\nscalesearch sha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n"
    for content in (body, signed):
        with pytest.raises(InputError, match="must be whole"):
            decode_checkpoint(content, "evil.pt")
    assert not (tmp_path / "evil").exists()


def test_the_last_epochs_are_kept(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep=2)
    for epoch in range(1, 5):
        folder.save(STATE | {"epoch": epoch}, epoch=epoch, is_best=epoch == 2)
    assert {path.name for path in tmp_path.iterdir()} == {LAST, BEST, "epoch-00003.pt", "epoch-00004.pt"}
    epochs = [read_checkpoint(tmp_path / name)["epoch"] for name in (BEST, "epoch-00003.pt", "epoch-00004.pt", LAST)]
    assert epochs == [2, 3, 4, 4]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.save(STATE, epoch=1, is_best=False)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunFolderError, match=r"No space left on device.*free the disk"):
        folder.save(STATE | {"epoch": 2}, epoch=2, is_best=True)
    assert "epoch" not in read_checkpoint(tmp_path / LAST)
    assert [path.name for path in tmp_path.iterdir()] == [LAST]
