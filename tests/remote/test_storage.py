"""Files in a bucket or a shared folder."""

import hashlib
import os
import time
from pathlib import Path

import pytest
from s3_double import S3Double

from scalesearch.data.fetched import local_copy
from scalesearch.data.settings import DataSettings
from scalesearch.errors import DataError, ResourceError
from scalesearch.remote import storage
from scalesearch.remote.storage import RemoteFolder


@pytest.fixture(params=["bucket", "folder"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> RemoteFolder:
    if request.param == "folder":
        return RemoteFolder(str(tmp_path / "shared"))
    return RemoteFolder(f"{request.getfixturevalue('bucket')}/some/where")


def test_what_is_put_is_found_listed_and_fetched(folder: RemoteFolder, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(12_000_000))  # more than one part of an upload
    assert folder.find("a/b.bin") is None
    assert folder.names() == []
    folder.put(source, "a/b.bin")
    found = folder.find("a/b.bin")
    assert found is not None
    assert found.size == 12_000_000
    assert folder.names() == ["a/b.bin"]
    assert folder.fetch("a/b.bin", target) == hashlib.sha256(source.read_bytes()).hexdigest()
    assert target.read_bytes() == source.read_bytes()
    source.write_bytes(b"new")
    folder.put(source, "a/b.bin")
    folder.fetch("a/b.bin", target)
    assert target.read_bytes() == b"new"
    with pytest.raises(ResourceError, match="must answer to fetch absent"):
        folder.fetch("absent", target)
    assert target.read_bytes() == b"new", "a failed fetch leaves the old file"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["source", "target"]


@pytest.mark.fault(34)
@pytest.mark.parametrize("how", ["silent", "silent in the middle", "refuses", "nobody"])
def test_a_dead_endpoint_is_one_line_in_bounded_time(
    how: str, double: S3Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "SILENCE_SECONDS", 2.0)
    double.objects["bucket/file.bin"] = os.urandom(5_000_000)
    if how == "silent":
        double.silent = True
    elif how == "silent in the middle":
        double.answer_bytes = 3_000_000
    elif how == "refuses":
        double.objects.clear()
    else:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    begun = time.monotonic()
    with pytest.raises(ResourceError) as caught:
        RemoteFolder("s3://bucket").fetch("file.bin", tmp_path / "file.bin")
    assert time.monotonic() - begun < 30, "a bound, not a measurement"
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert "s3://bucket" in str(caught.value)
    assert list(tmp_path.iterdir()) == [], "nothing half-written"


@pytest.mark.parametrize("place", ["gs://bucket/x", "s3:///x", "http://host/x"])
def test_other_addresses_are_refused(place: str) -> None:
    with pytest.raises(ResourceError, match="s3://BUCKET/PATH"):
        RemoteFolder(place)


def test_a_data_file_is_fetched_once_and_again_when_it_changed_here_or_there(bucket: str, tmp_path: Path) -> None:
    settings = DataSettings("npz_jpeg", cache_dir=str(tmp_path / "cache"))
    source = tmp_path / "x.npz"
    source.write_bytes(b"first")
    RemoteFolder(bucket).put(source, "data/x.npz")
    place = f"{bucket}/data/x.npz"
    copy = local_copy(place, settings)
    stamp = copy.stat().st_ino
    assert copy.read_bytes() == b"first"
    assert local_copy(place, settings).stat().st_ino == stamp, "used again"
    copy.write_bytes(b"fxrst")
    assert local_copy(place, settings).read_bytes() == b"first", "a flipped byte is noticed"
    source.write_bytes(b"second one")
    RemoteFolder(bucket).put(source, "data/x.npz")
    assert local_copy(place, settings).read_bytes() == b"second one"
    with pytest.raises(DataError, match="must be a file in the bucket"):
        local_copy(f"{bucket}/data/y.npz", settings)
    assert local_copy(str(source), settings) == source, "a path is left as it is"
