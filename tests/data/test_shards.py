"""Shards: what is written is read, in any order and bounded memory, and what is broken is named."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scalesearch.data.npz_jpeg import open_npz_jpeg
from scalesearch.data.prepare import prepare
from scalesearch.data.settings import DataSettings
from scalesearch.data.shard_source import shard_source
from scalesearch.data.shards import Shards, write_shards
from scalesearch.data.source import EncodedPictures
from scalesearch.data.splits import split_of
from scalesearch.data.synthetic import gratings
from scalesearch.errors import DataError, RunFolderError
from scalesearch.train.long_recipe import LongRecipe
from scalesearch.train.shard_supply import ShardSupply, open_supply
from scalesearch.train.supply import MemorySupply


@pytest.fixture
def npz(tmp_path: Path) -> DataSettings:
    """130 JPEG pictures of 3 classes, the last 30 for validation."""
    labels = np.arange(130) % 3
    images = gratings(labels, classes=3, side=20, channels=3, seed=0)
    files = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=95)
        files.append(np.frombuffer(buffer.getvalue(), np.uint8))
    np.savez(
        tmp_path / "set.npz", jpeg=np.concatenate(files), offset=np.cumsum([0, *map(len, files)]), label=labels,
        split=(np.arange(130) >= 100).astype(int), classes=np.array(["a", "b", "c"]),
    )  # fmt: skip
    return DataSettings("npz_jpeg", path=str(tmp_path / "set.npz"), cache_dir=str(tmp_path / "cache"))


@pytest.fixture
def shards(npz: DataSettings, tmp_path: Path) -> Shards:
    pictures = open_npz_jpeg(npz)
    assert isinstance(pictures, EncodedPictures)
    split = split_of(pictures.index, val_fraction=0.1, seed=0)
    return write_shards(pictures, split, tmp_path / "shards", channels=3, native_side=20, pictures_per_shard=16)


def rows(pictures: torch.Tensor, labels: torch.Tensor) -> list[bytes]:
    return sorted(
        bytes([int(label)]) + picture.numpy().tobytes() for picture, label in zip(pictures, labels, strict=True)
    )


def test_streamed_pictures_are_those_in_memory(npz: DataSettings, shards: Shards) -> None:
    recipe = LongRecipe()
    stream, memory = ShardSupply(shards, 16, buffer=20), MemorySupply.load(prepare(npz, side=16), recipe, 16)
    assert (stream.n_train, stream.n_val) == (memory.n_train, memory.n_val) == (100, 30)
    assert stream.normalisation == memory.normalisation
    for part in ("train", "val"):
        whole = [
            tuple(map(torch.cat, zip(*batches, strict=True)))
            for batches in (
                (supply.train(10, torch.Generator().manual_seed(1)) if part == "train" else supply.val(7))
                for supply in (stream, memory)
            )
        ]
        assert rows(*whole[0]) == rows(*whole[1])


def test_the_order_is_drawn_from_the_generator(shards: Shards) -> None:
    supply = ShardSupply(shards, 16, buffer=20)
    passes = [torch.cat([x for x, _ in supply.train(10, torch.Generator().manual_seed(seed))]) for seed in (1, 1, 2)]
    assert torch.equal(passes[0], passes[1])
    assert not torch.equal(passes[0], passes[2])
    assert len(list(supply.train(32, torch.Generator()))) == 3, "the last, smaller batch is left out"


def test_shards_describe_themselves(shards: Shards) -> None:
    again = Shards.open(shards.folder)
    assert again == shards
    assert [len(shards.parts[part]) for part in ("train", "val")] == [7, 2]
    data = shards.described(16)
    assert (data.class_names, data.n_train, data.n_val, data.channels) == (("a", "b", "c"), 100, 30, 3)
    assert isinstance(open_supply(data, LongRecipe(), 16), ShardSupply)


def test_broken_shards_are_named(shards: Shards, tmp_path: Path) -> None:
    torn = shards.folder / "train-00003.tar"
    torn.write_bytes(torn.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"train-00003\.tar must be a whole tar file|train-00003"):
        list(ShardSupply(shards, 16).train(10, torch.Generator()))
    torn.unlink()
    with pytest.raises(DataError, match=r"train-00003\.tar must be a whole tar file"):
        list(shards.read(["train-00003.tar"], side=16))
    (shards.folder / "shards.json").write_text("{")
    with pytest.raises(DataError, match=r"must hold a whole shards\.json"):
        Shards.open(shards.folder)
    with pytest.raises(DataError, match=r"must hold a whole shards\.json"):
        Shards.open(tmp_path / "absent")


def test_a_source_becomes_shards_in_one_step(npz: DataSettings, shards: Shards, tmp_path: Path) -> None:
    made = shard_source(npz, tmp_path / "made", pictures_per_shard=16)
    assert made.parts == shards.parts, "what was written by hand"
    assert (made.class_names, made.channels, made.native_side) == (shards.class_names, 3, 20)
    before = {path: path.read_bytes() for path in made.folder.iterdir()}
    with pytest.raises(RunFolderError, match="new or empty folder"):
        shard_source(npz, tmp_path / "made")
    assert {path: path.read_bytes() for path in made.folder.iterdir()} == before
    with pytest.raises(DataError, match="shards are made of picture files"):
        shard_source(DataSettings("synthetic"), tmp_path / "synthetic")
    with pytest.raises(DataError, match="at least 1 picture"):
        shard_source(npz, tmp_path / "none", pictures_per_shard=0)


def test_what_fails_leaves_no_folder(npz: DataSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: tarfile.TarFile, *arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(RunFolderError, match="No space left"):
        shard_source(npz, tmp_path / "made")
    assert [path.name for path in tmp_path.iterdir()] == ["set.npz"]
