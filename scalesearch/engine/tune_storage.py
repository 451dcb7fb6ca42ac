"""Where Ray Tune keeps its logs, as Tune takes it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from scalesearch.engine.ray_session import short_temporary_folder
from scalesearch.errors import ConfigError
from scalesearch.remote.storage import RemoteFolder, is_remote

__all__ = ["absolute_storage", "temporary_storage"]


def absolute_storage(storage: str) -> str:
    """A URI as it is; a folder by its absolute path, because Tune takes no other, made if it is not there.

    Raises:
        ConfigError: the folder cannot be written.
        ResourceError: a bucket does not answer; Tune itself would wait for minutes.
    """
    if is_remote(storage):
        if storage.startswith("s3://") and "?" not in storage:
            RemoteFolder(storage).find("probe")
        return storage
    folder = Path(storage).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        rule = f"engine.storage must be a folder that can be written ({error.strerror})"
        raise ConfigError(rule, value=storage, way_out="choose another, or leave it out") from error
    return str(folder)


def temporary_storage() -> Path:
    """A new private folder; its name has the pattern of the session's, so that a killed driver's is removed alike."""
    return Path(tempfile.mkdtemp(prefix=f"ssr-{os.getpid()}-tune-", dir=short_temporary_folder()))
