"""Starting and ending Ray, in a thread of its own so that the driver can work in the meantime."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from scalesearch.engine.cluster_watch import cluster_nodes
from scalesearch.engine.resources import Allotment, allot, this_machine
from scalesearch.engine.settings import EngineSettings
from scalesearch.errors import EngineError, MissingPackageError, ResourceError

__all__ = ["RaySession", "short_temporary_folder"]

START_TIMEOUT: Final = 60.0
CLOSE_TIMEOUT: Final = 15.0
PROBE_TIMEOUT: Final = 3.0
# trials pass pictures through files, not through Ray's store; Ray asks for at least 75 MiB
OBJECT_STORE_BYTES: Final = 128 * 2**20

_QUIET: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray's own handler turns SIGTERM into SIGABRT
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",
    # Ray prints messages about dead workers to stdout, where --json writes; the ledger has them
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
}
# without it Ray replaces 127.0.0.1 by the machine's public address
_LOOPBACK: Final = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


class RaySession:
    """A connection to Ray: the one this process already has, a cluster's, or a private one on this machine.

    Args:
        settings: of the engine.
        on_connected: called once in the session's thread with the slots that fit.

    Attributes:
        allotment: what each slot reserves; None until connected.

    Raises:
        MissingPackageError: Ray is not installed.
        ResourceError: this machine is too small; a cluster is checked after connecting.
    """

    def __init__(self, settings: EngineSettings, on_connected: Callable[[Allotment], None]):
        if importlib.util.find_spec("ray") is None:
            way_out = "pip install 'ray[tune]', or use engine=serial"
            raise MissingPackageError(f"engine={settings.name} needs the package ray", way_out=way_out)
        self._settings, self._on_connected = settings, on_connected
        # what a private Ray gets: just what the slots need, because it starts one process per core
        self._private = None if settings.address else allot(settings, [this_machine()], where="this machine")
        self._connected, self._closing = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._folder: Path | None = None
        self._owned = False
        self.allotment: Allotment | None = None

    def start(self) -> None:
        """Begin to connect and return; further calls do nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._live, name="ray-session", daemon=True)
            self._thread.start()

    @property
    def slots_before_start(self) -> int | None:
        """The slots that there will be, while nobody has started this; None afterwards, or where a cluster has to say.

        A finished run that is repeated asks for its slots and trains nothing, which is no reason to start Ray.
        """
        if self._thread is not None:
            return None
        return self._settings.slots if self._private is None else self._private.slots

    def wait(self) -> None:
        """Return when connected.

        Raises:
            ResourceError: no cluster answers at the address, or it is too small.
            EngineError: Ray could not be started.
        """
        assert self._thread is not None, "start() comes first"
        if not self._connected.wait(START_TIMEOUT):
            what = f"the cluster at {self._settings.address}" if self._settings.address else "Ray"
            raise EngineError(f"{what} did not answer within {START_TIMEOUT:g} s; check it, or use engine=serial")
        if isinstance(self._error, EngineError | ResourceError):
            raise self._error
        if isinstance(self._error, ConnectionError):
            raise _unreachable(self._settings.address, self._error) from self._error
        if self._error is not None:
            reason = " ".join(str(self._error).split())[:300]
            raise EngineError(f"Ray could not be started ({reason}); use engine=serial") from self._error

    @property
    def head(self) -> str | None:
        """ "HOST:PORT" of the cluster's head; None for a private Ray, which ends with its driver."""
        import ray

        address = self._settings.address
        if address != "auto":
            return address
        return str(ray.get_runtime_context().gcs_address)

    def close(self) -> None:
        """Disconnect and end what this session started; further calls do nothing."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(CLOSE_TIMEOUT)

    def _live(self) -> None:
        """Connect, stay, disconnect: one thread, because Linux ends Ray's processes with the thread that made them."""
        try:
            self._connect()
            self.allotment = allot(self._settings, cluster_nodes(), where="the cluster")
            if not self._closing.is_set():
                self._on_connected(self.allotment)
        except BaseException as error:  # raised again by `wait`, in the caller's thread
            self._error = error
        self._connected.set()
        self._closing.wait()
        if self._owned:
            import ray

            ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _connect(self) -> None:
        address = self._settings.address
        for name, value in (_QUIET if address else _QUIET | _LOOPBACK).items():
            os.environ.setdefault(name, value)
        if address is not None:
            _probe(address)
        import ray

        if ray.is_initialized():
            return
        self._owned = True
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        options["namespace"] = f"scalesearch-{os.getpid()}"
        if address is not None:
            _use_token()
            ray.init(address=address, **options)
        else:
            self._start_private(options)

    def _start_private(self, options: dict[str, Any]) -> None:
        """Start Ray on this machine, reachable from it alone, its files readable for this user alone."""
        import ray

        assert self._private is not None
        _remove_orphans()
        # Ray opens its own folder to everybody, so it stands inside one that is private
        self._folder = Path(tempfile.mkdtemp(prefix=f"ssr-{os.getpid()}-", dir=short_temporary_folder()))
        _own_token(Path.home() / ".ray" / "auth_token")
        with suppress(ImportError):  # a notebook that imported Ray before had it read the environment then
            from ray._private import ray_constants

            ray_constants.ENABLE_RAY_CLUSTER = False
        ray.init(
            address="local",
            num_cpus=math.ceil(self._private.slots * self._private.cpus),
            num_gpus=int(this_machine().gpus) if self._private.gpus else 0,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            _node_ip_address="127.0.0.1",
            _temp_dir=str(self._folder / "ray"),
            **options,
        )


def _use_token() -> None:
    """Show the cluster a token that lies ready; by itself Ray does so for address="auto" only."""
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
    with suppress(ImportError):  # where this moved to elsewhere, RAY_AUTH_MODE=token does the same
        from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available

        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def _own_token(token: Path) -> None:
    """A token for Ray that only this user can read; Ray would make one that everybody can."""
    with suppress(OSError):  # without a home Ray says what is wrong
        token.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            descriptor = os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            if token.stat().st_mode & 0o077:
                token.chmod(0o600)
            return
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))


def _probe(address: str) -> None:
    """Refuse an address nobody answers at, because Ray itself tries for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return
    try:
        socket.create_connection((host, int(port)), timeout=PROBE_TIMEOUT).close()
    except (OSError, ValueError, OverflowError) as error:
        raise _unreachable(address, error) from error


def _unreachable(address: str | None, error: BaseException) -> ResourceError:
    reason = " ".join(str(error).split())[:200]
    way_out = 'give "HOST:PORT" of its head node (6379 unless told otherwise), or leave engine.address out'
    return ResourceError(
        f"engine.address must be that of a running Ray cluster ({reason})", value=address, way_out=way_out
    )


def short_temporary_folder() -> str | None:
    """Where Ray's sockets fit: their paths may have 107 characters, and Ray adds about 75."""
    return None if len(tempfile.gettempdir()) <= 12 else "/tmp"


def _remove_orphans() -> None:
    """Remove session folders of drivers that were killed."""
    for folder in Path(short_temporary_folder() or tempfile.gettempdir()).glob("ssr-*-*"):
        pid = folder.name.split("-")[1]
        with suppress(OSError):
            if pid.isdigit() and folder.stat().st_uid == os.getuid() and not Path("/proc", pid).exists():
                shutil.rmtree(folder, ignore_errors=True)
