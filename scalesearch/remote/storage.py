"""Files in an S3 bucket or a shared folder: fetched and put whole, and never waited for without end.

Through pyarrow.fs, which Ray and pandas bring along. Credentials, region and endpoint come from the environment
(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL) or from AWS's own files.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from scalesearch.errors import ResourceError
from scalesearch.remote.secrets import redacted

__all__ = ["RemoteFolder", "StoredFile", "is_remote"]

T = TypeVar("T")

# seconds without a block of data after which the other side counts as dead; 1 MiB in it is the slowest line we wait for
SILENCE_SECONDS: Final = 20.0
_BLOCK: Final = 1 << 20
_CONNECT_SECONDS: Final = 5
_REQUEST_SECONDS: Final = 10
_TRIES: Final = 2


def is_remote(place: str) -> bool:
    """Whether this is an address such as "s3://bucket/key", and not a path."""
    return "://" in place


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file there: size in bytes, and when it was written in nanoseconds since 1970."""

    size: int
    modified: int


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """A prefix in a bucket ("s3://bucket/prefix") or a folder on a disk that several machines share.

    Every method raises ResourceError where the storage does not answer in time, refuses, or lacks the file.
    """

    place: str

    def __post_init__(self) -> None:
        if is_remote(self.place) and (not self.place.startswith("s3://") or not urlsplit(self.place).netloc):
            raise ResourceError(
                "shared storage is s3://BUCKET/PATH or a folder", value=redacted(self.place), way_out="give one of them"
            )

    def find(self, name: str) -> StoredFile | None:
        """What lies there under `name`; None where nothing does."""
        info = self._bounded(lambda watch: self._file_system().get_file_info(self._path(name)), f"look for {name}")
        if not info.is_file:
            return None
        return StoredFile(int(info.size), int(info.mtime_ns or 0))

    def fetch(self, name: str, target: Path) -> str:
        """Write the file to `target` in one step; returns its sha256.

        Raises:
            OSError: the local disk is full or `target` cannot be written.
        """
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")

        def transfer(watch: _Watch) -> str:
            digest = hashlib.sha256()
            with self._file_system().open_input_stream(self._path(name)) as source, temporary.open("xb") as file:
                while block := source.read(_BLOCK):
                    watch.moved()
                    _write_here(file, block)
                    digest.update(block)
                file.flush()
                os.fsync(file.fileno())
            return digest.hexdigest()

        try:
            digest = self._bounded(transfer, f"fetch {name}")
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        return digest

    def put(self, source: Path, name: str) -> None:
        """Store a file; under its name the old content stands until the new one is complete."""

        def transfer(watch: _Watch) -> None:
            path, system = self._path(name), self._file_system()
            if not is_remote(self.place):
                system.create_dir(path.rpartition("/")[0], recursive=True)
            aim = path if is_remote(self.place) else f"{path}.{uuid.uuid4().hex[:8]}.tmp"
            with source.open("rb") as file:
                out = system.open_output_stream(aim)
                while block := file.read(_BLOCK):
                    out.write(block)
                    watch.moved()
                # closing is what publishes it, so it is not done after an error
                out.close()
            if aim != path:
                os.replace(aim, path)

        self._bounded(transfer, f"store {name}")

    def names(self) -> list[str]:
        """Every file below the folder, by its path in it."""
        from pyarrow.fs import FileSelector

        base = self._path("").rstrip("/")
        selector = FileSelector(base, recursive=True, allow_not_found=True)
        found = self._bounded(lambda watch: self._file_system().get_file_info(selector), "list")
        return sorted(info.path[len(base) :].lstrip("/") for info in found if info.is_file)

    def _path(self, name: str) -> str:
        if is_remote(self.place):
            parts = urlsplit(self.place)
            return f"{parts.netloc}/{parts.path.strip('/')}/{name}".replace("//", "/")
        return str(Path(self.place).expanduser().absolute() / name)

    def _file_system(self) -> Any:
        from pyarrow import fs

        if not is_remote(self.place):
            return fs.LocalFileSystem()
        options: dict[str, Any] = {}
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        if endpoint:
            parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
            options |= {"endpoint_override": parts.netloc, "scheme": parts.scheme}
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        return fs.S3FileSystem(
            region=region or "us-east-1",
            connect_timeout=_CONNECT_SECONDS,
            request_timeout=_REQUEST_SECONDS,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_TRIES),
            **options,
        )

    def _bounded(self, call: Callable[[_Watch], T], what: str) -> T:
        """Run a call in a thread of its own and leave it behind when nothing moves for too long."""
        watch = _Watch()
        outcome: list[Any] = []

        def work() -> None:
            try:
                outcome.append((call(watch), None))
            except BaseException as error:  # raised again by the caller's thread
                outcome.append((None, error))

        thread = threading.Thread(target=work, name="remote-storage", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(0.1)
            if watch.silence > SILENCE_SECONDS:
                raise self._trouble(what, f"nothing came for {SILENCE_SECONDS:g} s")
        result, error = outcome[0]
        if isinstance(error, _HereError):
            raise error.error
        if error is not None:
            raise self._trouble(what, " ".join(str(error).split())[:200]) from error
        return result  # type: ignore[no-any-return]

    def _trouble(self, what: str, reason: str) -> ResourceError:
        way_out = "check the address, AWS_ENDPOINT_URL and the credentials" if is_remote(self.place) else "check it"
        place = redacted(self.place)
        return ResourceError(redacted(f"shared storage must answer to {what} ({reason})"), value=place, way_out=way_out)


class _Watch:
    """When something last moved."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def moved(self) -> None:
        self._last = time.monotonic()

    @property
    def silence(self) -> float:
        return time.monotonic() - self._last


class _HereError(Exception):
    """Trouble of this machine's disk, not of the storage."""

    def __init__(self, error: OSError):
        self.error = error
        super().__init__(str(error))


def _write_here(file: Any, block: bytes) -> None:
    try:
        file.write(block)
    except OSError as error:
        raise _HereError(error) from error
