"""Small files that unpack to large ones, names that leave their folder, and files that others must not read."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import lzma
import os
import stat
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fault_records import Tally
from PIL import Image

from scalesearch.arch.catalog import catalog_spec
from scalesearch.data import cifar, fashion_mnist, npz_jpeg, shards
from scalesearch.data.bounded import open_bounded
from scalesearch.data.npz_jpeg import open_npz_jpeg
from scalesearch.data.pictures import decode, read_header
from scalesearch.data.plain_pickle import load_plain
from scalesearch.data.prepare import check_source
from scalesearch.data.settings import DataSettings
from scalesearch.errors import DataError, RunFolderError, SpecError
from scalesearch.store.run_folder import RunFolder

MEGABYTE = 1 << 20


@pytest.fixture(autouse=True)
def _little_memory() -> Iterator[None]:
    """A bomb that went off would need gigabytes: 3 GiB more than now is an error."""
    import resource

    now = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + (3 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def png_bomb(side: int) -> bytes:
    """A PNG of side x side pixels in some kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(MEGABYTE), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def jpeg_bomb() -> bytes:
    """A JPEG whose header tells 65,500 x 65,500 pixels."""
    out = io.BytesIO()
    Image.new("L", (8, 8)).save(out, "JPEG")
    data = bytearray(out.getvalue())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 65_500, 65_500)
    return bytes(data)


def whole_jpeg() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), (9, 8, 7)).save(out, "JPEG")
    return out.getvalue()


@pytest.mark.fault(29)
def test_pictures_that_are_bombs_cut_or_empty_are_named(tally: Tally) -> None:
    for data in (png_bomb(100_000), png_bomb(30_000), png_bomb(8_001), jpeg_bomb(), b"", whole_jpeg()[:300]):
        with pytest.raises(DataError, match=r"picture cat/x must be readable") as caught:
            decode(data, "cat/x", side=8, channels=1)
        assert "\n" not in str(caught.value)
        tally.tries += 1
    with pytest.raises(DataError):
        read_header(png_bomb(100_000), "cat/x")


def zip_bomb(path: Path, member: str, size: int) -> None:
    """A .npz whose member unpacks to `size` zero bytes."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(member, "w", force_zip64=True) as file,
    ):
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (size - 128,)})
        file.write(head.getvalue())
        for _ in range(size // MEGABYTE):
            file.write(bytes(MEGABYTE))


def test_an_npz_that_unpacks_to_far_more_than_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz_jpeg, "_SPARE_BYTES", 20_000_000)  # of 256 MB, to make a smaller bomb
    zip_bomb(tmp_path / "p.npz", "jpeg.npy", 32 * MEGABYTE)
    assert (tmp_path / "p.npz").stat().st_size < MEGABYTE // 8
    with pytest.raises(DataError, match="must unpack to at most"):
        open_npz_jpeg(DataSettings("npz_jpeg", path=str(tmp_path / "p.npz")))


def test_an_npz_whose_array_tells_terabytes(tmp_path: Path) -> None:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (1 << 44,)})
    with zipfile.ZipFile(tmp_path / "p.npz", "w") as archive:
        for key in ("jpeg", "offset", "label", "split", "classes"):
            archive.writestr(f"{key}.npy", head.getvalue() + b"x")
    with pytest.raises(DataError, match="readable as plain arrays"):
        open_npz_jpeg(DataSettings("npz_jpeg", path=str(tmp_path / "p.npz")))


def tar_with_long_name(size: int) -> bytes:
    """A tar whose first member's name has `size` bytes, which tarfile reads as a whole."""
    out = io.BytesIO()
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, size
    out.write(member.tobuf(tarfile.GNU_FORMAT))
    return out.getvalue()


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress], ids=["gzip", "xz"])
def test_an_archive_whose_member_name_is_a_gigabyte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(cifar, "_MOST_UNPACKED", 4_000_000)  # of 400 MB, to make a smaller bomb
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(pack(tar_with_long_name(1 << 30) + bytes(8 * MEGABYTE)))
    assert path.stat().st_size < MEGABYTE // 16
    with pytest.raises(DataError, match="unpacks to more than 4 MB"):
        cifar._from_archive(path, cifar._CIFAR10[0])


@pytest.mark.parametrize(
    "data",
    [b"\x80\x02]r\xff\xff\xff\x7f.", b"\x80\x05\x96" + (2**34).to_bytes(8, "little") + b"a.",
     b"\x80\x02cnumpy\nndarray\n(J\xff\xff\xff\x7ftR."],
    ids=["a far place in the memo", "a long bytearray", "a large array"],
)  # fmt: skip
def test_pickles_of_some_bytes_take_no_gigabytes(data: bytes) -> None:
    """Found by fuzzing: the unpickler in C took 19 GB."""
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(DataError):
        load_plain(data, "data_batch_1")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000, "kilobytes"


def test_reading_stops_at_the_limit(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(bytes(10 * MEGABYTE)))
    with open_bounded(tmp_path / "x.gz", 3 * MEGABYTE) as file:
        assert len(file.read(MEGABYTE)) == MEGABYTE
        with pytest.raises(OSError, match="more than 3 MB"):
            list(iter(lambda: file.read(MEGABYTE), b""))


def test_a_gzip_bomb_in_the_place_of_fashion_mnist() -> None:
    bomb = gzip.compress(bytes(70 * MEGABYTE))
    with pytest.raises(DataError, match="sha256"):
        fashion_mnist._content(bomb, fashion_mnist.LABELS)


@pytest.mark.fault(31)
def test_archives_with_paths_that_leave_the_folder(tmp_path: Path, tally: Tally) -> None:
    """Nothing is ever extracted: members are read by their exact names."""
    folder = cifar._CIFAR10[0].folder
    (tmp_path / "in").mkdir()
    for name in ("../victim", "/tmp/victim", f"{folder}/../../victim", f"{folder}/data_batch_1.bin\0", "..\\victim"):
        path = tmp_path / "in" / "cifar-10-binary.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            for member_name, kind in ((name, tarfile.REGTYPE), (f"{folder}/data_batch_1.bin", tarfile.SYMTYPE)):
                member = tarfile.TarInfo(member_name)
                member.type, member.linkname, member.size = kind, "../../victim", 3 if kind == tarfile.REGTYPE else 0
                archive.addfile(member, io.BytesIO(b"pwn") if member.size else None)
        with pytest.raises(DataError):
            check_source(DataSettings("cifar10", root=str(path)))
        assert sorted(tmp_path.rglob("*")) == [tmp_path / "in", path]
        tally.tries += 1
    good = {"format": 1, "classes": ["a", "b"], "channels": 3, "native_side": 8}
    for name in ("../x.tar", "/etc/x.tar", "a/b.tar", "..", "x.tar\0", ".x.tar"):
        parts = {"train": [[name, 1, "0"]], "val": []}
        (tmp_path / shards.INDEX_FILE).write_text(json.dumps(good | {"parts": parts}))
        with pytest.raises(DataError, match="plain file name"):
            shards.Shards.open(tmp_path)
        tally.tries += 1


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/etc/x",
        "a/b",
        "a\0b",
        "a" * 101,
        "",
        ".",
        "..",
        ".hidden",
        "-rf",
        "a b",
        "a\nb",
        "é",
        "a\\b",
        "con\x1b",
    ],
)
def test_run_names_stay_inside_the_runs_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunFolderError, match="a run's name must be") as caught:
        RunFolder.plan(tmp_path, "grid", name)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("start", ["=", "+", "-", "@", " =", "\t="])
def test_names_that_a_spreadsheet_would_run_are_refused(start: str) -> None:
    """Tables are for machines, so no cell is altered: what could be a formula does not get in."""
    with pytest.raises(SpecError, match="a network's name must"):
        catalog_spec("mobilenet_v2").with_(name=f"{start}cmd|' /C calc'!A0")


def test_no_cell_of_a_runs_tables_is_a_formula(tmp_path: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parent.parent))
    import csv

    import made_runs

    for make in (made_runs.grid_run, made_runs.search_run, made_runs.axes_run):
        for path in make(tmp_path).rglob("*.csv"):
            for row in csv.reader(path.open(encoding="utf-8")):
                assert not [cell for cell in row if cell[:1] in "=+@\t\r" and cell], path


def test_private_files_of_ray_and_of_shipped_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the widest umask too."""
    import tempfile

    from scalesearch.data.prepared import PreparedData
    from scalesearch.engine import data_shipping
    from scalesearch.engine.tune_storage import temporary_storage

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = os.umask(0)
    try:
        data = PreparedData("", "made", "d" * 32, 8, 1, ("a", "b"), 4, 2, 8)
        data_shipping.unpack(data, {"x.npy": np.zeros(3, np.uint8)})
        folders = [tmp_path / f"scalesearch-data-{os.getuid()}", temporary_storage()]
    finally:
        os.umask(before)
    modes = {folder: stat.S_IMODE(folder.stat().st_mode) for folder in folders}
    folders[1].rmdir()
    assert set(modes.values()) == {0o700}, modes
