"""Weights on disk: whole, checked, and refused where they belong to another network."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from emitted_nets import B0, FUSED

from scalesearch.emit.weights import load_weights, save_weights, sha256_path
from scalesearch.errors import InputError
from scalesearch.nets.build import build_net

pytest.importorskip("safetensors")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    save_weights(build_net(FUSED), path)
    return path


def test_round_trip_and_checksum(tmp_path: Path) -> None:
    net, path = build_net(FUSED), tmp_path / "net.safetensors"
    digest = save_weights(net, path)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sha256_path(path).read_text() == f"{digest}  net.safetensors\n"
    state = load_weights(path, FUSED)
    assert all(torch.equal(state[name], tensor) for name, tensor in net.state_dict().items())
    again = tmp_path / "again.safetensors"
    assert save_weights(net, again) == digest
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "again.safetensors", "again.safetensors.sha256", "net.safetensors", "net.safetensors.sha256",
    ]  # fmt: skip


def test_one_flipped_bit(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[-5] ^= 1
    saved.write_bytes(content)
    with pytest.raises(InputError, match="sha256"):
        load_weights(saved, FUSED)
    sha256_path(saved).unlink()
    load_weights(saved, FUSED)  # without a checksum nobody can tell


@pytest.mark.parametrize("content", [b"", b"\x80\x04torch", b"\xff" * 200, b"PK\x03\x04" + b"\0" * 50])
def test_foreign_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="whole safetensors") as caught:
        load_weights(path, FUSED)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="readable"):
        load_weights(tmp_path / "absent.safetensors", FUSED)


def test_another_networks_weights(saved: Path) -> None:
    with pytest.raises(InputError, match=r"no tensor stages.0.0.depthwise.conv.weight|stem.conv.weight of shape"):
        load_weights(saved, B0)
    with pytest.raises(InputError, match=r"10 classes instead of 7.*num_classes=10"):
        load_weights(saved, FUSED.with_(num_classes=7))
    with pytest.raises(InputError, match=r"head.conv.weight of shape \(64, 32, 1, 1\) instead of \(72, 32, 1, 1\)"):
        load_weights(saved, FUSED.with_(head_width=72))
    shorter = FUSED.with_(stages=(*FUSED.stages[:2], replace(FUSED.stages[2], depth=2)))
    with pytest.raises(InputError, match=r"a tensor stages.2.2.depthwise.conv.weight that it does not have"):
        load_weights(saved, shorter)


def test_an_old_file_survives_a_failed_write(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_weights(build_net(FUSED), saved)
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == ["net.safetensors"]
