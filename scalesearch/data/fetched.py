"""A data file that lies in a bucket: fetched once into the cache, used while the bucket still holds the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

from scalesearch.data.settings import DataSettings
from scalesearch.errors import DataError
from scalesearch.remote.storage import RemoteFolder, is_remote

__all__ = ["local_copy"]

_WAY_OUT = "set data.cache_dir=FOLDER or SCALESEARCH_CACHE"


def local_copy(place: str, settings: DataSettings) -> Path:
    """The path of the file `place`, or of its copy in the cache where that is an address.

    Its size and time in the bucket name the copy, its sha256 lies beside it and is checked at every use.

    Raises:
        ResourceError: the bucket does not answer in time or refuses.
        DataError: no such file, or the cache cannot be written.
    """
    if not is_remote(place):
        return Path(place).expanduser()
    folder, _, name = place.rstrip("/").rpartition("/")
    remote = RemoteFolder(folder)
    found = remote.find(name)
    if found is None:
        raise DataError("data.path must be a file in the bucket", value=place, way_out="check its name")
    key = hashlib.sha256(f"{place}\n{found.size}\n{found.modified}".encode()).hexdigest()[:16]
    copy = settings.cache_folder / "fetched" / key / name
    try:
        if not _is_whole(copy, found.size):
            copy.parent.mkdir(parents=True, exist_ok=True)
            digest = remote.fetch(name, copy)
            _digest_file(copy).write_text(digest, encoding="ascii")
    except OSError as error:
        rule = f"the cache folder {copy.parent} must be writable and have room"
        raise DataError(rule, value=error.strerror, way_out=_WAY_OUT) from error
    if not _is_whole(copy, found.size):
        copy.unlink(missing_ok=True)
        raise DataError("a fetched file must be whole", value=place, way_out="run the command again")
    return copy


def _digest_file(copy: Path) -> Path:
    return copy.with_name(f"{copy.name}.sha256")


def _is_whole(copy: Path, size: int) -> bool:
    try:
        if copy.stat().st_size != size:
            return False
        with copy.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == _digest_file(copy).read_text(encoding="ascii")
    except FileNotFoundError:
        return False
