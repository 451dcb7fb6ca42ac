"""Pictures and the archives they come in: spoilt inputs raise errors of ours and nothing else (see test_parsers.py)."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image
from spoil import fuzz, spoilt_bytes, spoilt_json

from scalesearch.data import cifar, fashion_mnist, shards
from scalesearch.data.npz_jpeg import open_npz_jpeg
from scalesearch.data.pictures import decode, read_header
from scalesearch.data.settings import DataSettings


def picture(format: str, side: int = 8) -> bytes:
    out = io.BytesIO()
    pixels = np.random.RandomState(0).randint(0, 256, (side, side, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(out, format)
    return out.getvalue()


def test_npz(quick_disk: Path) -> None:
    path, jpegs = quick_disk / "p.npz", [picture("JPEG")] * 2
    np.savez(
        path, jpeg=np.frombuffer(b"".join(jpegs), np.uint8), offset=[0, len(jpegs[0]), 2 * len(jpegs[0])],
        label=[0, 1], split=[0, 1], classes=np.array(["a", "b"]),
    )  # fmt: skip
    good = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    def make(random: Random) -> bytes:
        if random.random() < 0.3:
            return spoilt_bytes(random, good)
        one, packed = random.choice(list(members)), io.BytesIO()  # with checksums that fit, so that numpy reads it
        with zipfile.ZipFile(packed, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, spoilt_bytes(random, content) if name == one else content)
        return packed.getvalue()

    def parse(content: bytes) -> object:
        path.write_bytes(content)
        pictures = open_npz_jpeg(DataSettings("npz_jpeg", path=str(path)))
        "".join(pictures.index.class_names).encode()
        return pictures.read(0, 4, 3) if len(pictures.index.labels) else None

    fuzz("npz", make, parse)


def test_idx() -> None:
    import gzip

    labels = b"\x00\x00\x08\x01\x00\x00\x00\x02\x01\x02"
    pictures = b"\x00\x00\x08\x03\x00\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00\x02" + bytes(8)

    def make(random: Random) -> bytes:
        good = random.choice((labels, pictures))
        if random.random() < 0.3:
            return spoilt_bytes(random, gzip.compress(good))
        return gzip.compress(spoilt_bytes(random, good))  # with a checksum that fits

    def parse(data: bytes) -> object:
        form = fashion_mnist.LABELS if len(data) % 2 else fashion_mnist.IMAGES
        return fashion_mnist._content(data, form)

    fuzz("idx", make, parse)


def test_cifar_pickles() -> None:
    pixels = np.zeros((2, 3072), np.uint8)
    good = pickle.dumps({b"data": pixels, b"labels": [0, 1]}, protocol=2)[:400]
    whole = pickle.dumps({b"data": pixels[:0], b"labels": []}, protocol=2)
    names = pickle.dumps({b"label_names": [b"a", b"b"]}, protocol=2)
    form = cifar._CIFAR10[1]

    def parse(data: bytes) -> object:
        if len(data) % 3:
            return cifar._python_batch(data, "data_batch_1", form)
        return cifar._python_names({form.names: data}, form)

    fuzz("CIFAR pickles", lambda random: spoilt_bytes(random, random.choice((good, whole, names))), parse)


def tar_of(files: dict[str, bytes], mode: Any = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def test_cifar_archives(quick_disk: Path) -> None:
    form, path = cifar._CIFAR10[0], quick_disk / "cifar-10-binary.tar.gz"
    files = {f"{form.folder}/{name}": bytes(10) for name in (*form.batches, form.names)}
    goods = [tar_of(files), tar_of(files, "w:gz")]

    def parse(content: bytes) -> object:
        path.write_bytes(content)
        return cifar._from_archive(path, form)

    fuzz("CIFAR archives", lambda random: spoilt_bytes(random, random.choice(goods)), parse)


def test_shard_indices(quick_disk: Path) -> None:
    good = {"format": 1, "classes": ["a", "b"], "channels": 3, "native_side": 8,
            "parts": {"train": [["train-00000.tar", 2, "ab"]], "val": [["val-00000.tar", 1, "cd"]]}}  # fmt: skip

    def parse(text: str) -> object:
        (quick_disk / "shards.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        found = shards.Shards.open(quick_disk)
        return found.info, found.described(8)

    fuzz("shard indices", lambda random: spoilt_json(random, good), parse)


def test_shard_files(quick_disk: Path) -> None:
    good = tar_of({"0.jpg": picture("JPEG"), "0.cls": b"0", "1.jpg": picture("JPEG"), "1.cls": b"1"})
    index = shards.Shards(quick_disk, ("a", "b"), 3, {"train": (("t.tar", 2, ""),), "val": ()}, 8)

    def parse(content: bytes) -> object:
        (quick_disk / "t.tar").write_bytes(content)
        return list(index.read(["t.tar"], side=8))

    fuzz("shard files", lambda random: spoilt_bytes(random, good), parse)


def test_pictures() -> None:
    goods = [picture(format) for format in ("JPEG", "PNG", "BMP", "WEBP", "PPM")]

    def parse(data: bytes) -> object:
        return read_header(data, "x"), decode(data, "x", side=8, channels=1 + 2 * (len(data) % 2))

    fuzz("pictures", lambda random: spoilt_bytes(random, random.choice(goods)), parse)
