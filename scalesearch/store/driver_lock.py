"""One driver per run folder: a lock the kernel drops with its process, and a note that says who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scalesearch.errors import RunFolderError
from scalesearch.store.atomic import write_atomic

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["DriverLock", "Holder"]

LOCK_FILE: Final = "driver.lock"
NOTE_FILE: Final = "driver.json"


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that drives a run: `ticks` is when the kernel started it, which tells a reused pid apart."""

    pid: int
    host: str
    since: float
    ticks: str | None

    @classmethod
    def this_process(cls) -> Holder:
        """The calling process."""
        return cls(os.getpid(), socket.gethostname(), time.time(), _start_ticks(os.getpid()))

    @classmethod
    def noted_in(cls, folder: Path) -> Holder | None:
        """The holder noted in a run folder, or None where the last driver ended cleanly."""
        try:
            values = json.loads((folder / NOTE_FILE).read_text(encoding="utf-8"))
            pid, host = int(values["pid"]), str(values["host"])
            # the note may come with a foreign folder, and its host is shown
            if not 0 < pid < 2**31 or not host.isprintable():
                return None
            return cls(pid, host[:255], float(values["since"]), values["ticks"])
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None

    @property
    def is_alive(self) -> bool | None:
        """Whether it still runs; None on another host, where that cannot be seen."""
        if self.host != socket.gethostname():
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return self.ticks is None or _start_ticks(self.pid) == self.ticks

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class DriverLock:
    """The exclusive right to write into `folder`, which must exist."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._lock: BaseFileLock | None = None

    def acquire(self) -> Holder | None:
        """Take the lock at once.

        Returns:
            The dead driver whose lock was taken over, or None.

        Raises:
            RunFolderError: another driver holds it, or the folder cannot be written.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self._folder / LOCK_FILE, timeout=0, thread_local=False)
        try:
            lock.acquire()
        except Timeout as error:
            raise self._refusal() from error
        self._lock = lock
        left_behind = Holder.noted_in(self._folder)
        note = json.dumps(asdict(Holder.this_process()))
        write_atomic(self._folder / NOTE_FILE, note.encode())
        return left_behind

    @contextmanager
    def undriven(self) -> Iterator[None]:
        """While this runs no driver can start; writes nothing, and does nothing where there was no driver yet.

        Raises:
            RunFolderError: a driver is at work.
        """
        try:
            descriptor = os.open(self._folder / LOCK_FILE, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:  # no lock file, or one that `acquire` will complain about
            yield
            return
        try:
            self._share(descriptor)
            yield
        finally:
            os.close(descriptor)  # and with it the lock

    def _share(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:  # held by another; some file systems say EACCES
            raise self._refusal() from error
        except OSError:  # a file system without such locks
            pass

    def _refusal(self) -> RunFolderError:
        holder = Holder.noted_in(self._folder) or "another process"
        return RunFolderError(
            "one run folder takes one driver at a time",
            value=f"{self._folder} is driven by {holder}",
            way_out="wait for it, stop it, or choose another --name",
        )

    def release(self) -> None:
        """Give the lock back; further calls do nothing."""
        if self._lock is None:
            return
        (self._folder / NOTE_FILE).unlink(missing_ok=True)
        self._lock.release()
        self._lock = None


def _start_ticks(pid: int) -> str | None:
    """Start time of a process in clock ticks since boot, or None where there is no /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # field 22; the name in field 2 may hold spaces and parentheses, so count from the last ")"
    return stat.rpartition(")")[2].split()[19]
