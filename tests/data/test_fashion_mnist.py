from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pictures_made_here import noise

from scalesearch.data import download, fashion_mnist
from scalesearch.data.prepare import check_source, prepare
from scalesearch.data.settings import DataSettings
from scalesearch.errors import DataError

REAL_PINS, REAL_FOLDER = fashion_mnist.SHA256, fashion_mnist.DEBIAN_FOLDER
N = 40
PIXELS, LABELS = noise(0, N, 28, 28), np.arange(N, dtype=np.uint8) % 10


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


FILES = {fashion_mnist.IMAGES: idx(PIXELS), fashion_mnist.LABELS: idx(LABELS)}


@pytest.fixture(autouse=True)
def _small_and_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty pictures are the official content here; no Debian folder, no network."""
    pins = {stem: hashlib.sha256(content).hexdigest() for stem, content in FILES.items()}
    monkeypatch.setattr(fashion_mnist, "SHA256", pins)
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "debian")
    monkeypatch.setattr(fashion_mnist, "MIRRORS", ("http://127.0.0.1:9/",))


def write(folder: Path, *, zipped: bool, files: dict[str, bytes] = FILES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for stem, content in files.items():
        (folder / (f"{stem}.gz" if zipped else stem)).write_bytes(gzip.compress(content) if zipped else content)
    return folder


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["root", "torchvision", "cache", "debian"])
def test_places(tmp_path, zipped, place):
    folder = {
        "root": tmp_path / "mine",
        "torchvision": tmp_path / "mine" / "FashionMNIST" / "raw",
        "cache": tmp_path / "cache" / "fashion-mnist",
        "debian": tmp_path / "debian",
    }[place]
    write(folder, zipped=zipped)
    root = str(tmp_path / "mine") if place in ("root", "torchvision") else None

    data = prepare(DataSettings("fashion_mnist", root=root, val_fraction=0.25), side=64, workers=1)

    assert (data.n_train, data.n_val, data.side, data.native_side, data.channels) == (30, 10, 28, 28, 1)
    assert data.class_names[9] == "Ankle boot"
    made = {picture.tobytes(): label for picture, label in zip(PIXELS, LABELS, strict=True)}
    for images, labels in (data.train(), data.val()):
        assert images.shape[1:] == (28, 28, 1)
        assert all(made[image.tobytes()] == label for image, label in zip(images, labels, strict=True))


def test_smaller_sides_are_resized(tmp_path):
    write(tmp_path / "debian", zipped=True)

    data = prepare(DataSettings("fashion_mnist"), side=14, workers=1)

    assert data.train()[0].shape == (30 + 0, 14, 14, 1)
    # antialiased: means stay where they were, and the noise shrinks
    assert abs(data.train()[0].mean() - PIXELS.mean()) < 3
    assert data.train()[0].std() < 0.75 * PIXELS.std()


def test_the_test_files_are_never_opened(tmp_path):
    folder = write(tmp_path / "debian", zipped=True)
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(b"broken")

    assert check_source(DataSettings("fashion_mnist")).n_train == 30


@pytest.mark.parametrize("root", [None, "empty"])
def test_all_four_ways_out_stand_in_one_line(tmp_path, root):
    (tmp_path / "empty").mkdir()
    settings = DataSettings("fashion_mnist", root=None if root is None else str(tmp_path / root))

    with pytest.raises(DataError) as caught:
        check_source(settings)

    message = str(caught.value)
    assert "\n" not in message
    for way in (
        "data.root=",
        f"copy the files to {tmp_path}/cache",
        "apt-get install dataset-fashion-mnist",
        "download",
    ):
        assert way in message


@pytest.mark.parametrize(
    "content",
    [b"", b"\x1f\x8bbroken", gzip.compress(FILES[fashion_mnist.IMAGES])[:-20], gzip.compress(b"other")],
    ids=["empty", "no gzip", "cut", "other content"],
)
def test_other_content_is_refused(tmp_path, content):
    folder = write(tmp_path / "debian", zipped=True)
    (folder / f"{fashion_mnist.IMAGES}.gz").write_bytes(content)

    with pytest.raises(DataError, match=r"must be the official file, got .*; replace or delete it"):
        check_source(DataSettings("fashion_mnist"))


@pytest.mark.skipif(not REAL_FOLDER.exists(), reason="no dataset-fashion-mnist")
def test_the_official_files(monkeypatch):
    monkeypatch.setattr(fashion_mnist, "SHA256", REAL_PINS)
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", REAL_FOLDER)

    info = check_source(DataSettings("fashion_mnist"))

    assert (info.n_train, info.n_val, info.native_side, info.channels) == (54_000, 6_000, 28, 1)


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on this machine: its address and the folder it serves."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", folder
        server.shutdown()
        thread.join()


def test_download_falls_back_to_the_next_mirror_and_is_kept(tmp_path, monkeypatch, mirror):
    address, folder = mirror
    write(folder, zipped=True)
    monkeypatch.setattr(fashion_mnist, "MIRRORS", ("http://127.0.0.1:9/", address))
    check_source(DataSettings("fashion_mnist"))
    monkeypatch.setattr(fashion_mnist, "MIRRORS", ())

    assert check_source(DataSettings("fashion_mnist")).n_train == 30
    kept = sorted(path.name for path in (tmp_path / "cache" / "fashion-mnist").iterdir())
    assert kept == [f"{fashion_mnist.IMAGES}.gz", f"{fashion_mnist.LABELS}.gz"]


def test_a_download_of_other_content_is_not_kept(tmp_path, monkeypatch, mirror):
    address, folder = mirror
    write(folder, zipped=True, files=FILES | {fashion_mnist.LABELS: b"other"})
    monkeypatch.setattr(fashion_mnist, "MIRRORS", (address,))

    with pytest.raises(DataError, match=r"must be at hand, got .*sha256"):
        check_source(DataSettings("fashion_mnist"))
    assert not (tmp_path / "cache").exists()


def test_a_download_is_bounded_in_size(tmp_path, mirror):
    address, folder = mirror
    (folder / "big").write_bytes(bytes(200_000))

    with pytest.raises(DataError, match="more than the expected 100000 bytes"):
        download.download((f"{address}big",), tmp_path / "big", most_bytes=100_000, check=len)
    assert not (tmp_path / "big").exists()


def test_a_download_is_bounded_in_time(tmp_path, monkeypatch, mirror):
    address, folder = mirror
    (folder / "slow").write_bytes(bytes(200_000))
    monkeypatch.setattr(download, "_TOTAL_S", -1.0)

    with pytest.raises(DataError, match="not done after"):
        download.download((f"{address}slow",), tmp_path / "slow", most_bytes=1_000_000, check=len)
