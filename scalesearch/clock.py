"""The time of day of events, by a clock that cannot jump within a process."""

from __future__ import annotations

import time

__all__ = ["now"]

# the wall clock is asked once; what follows is counted by the clock that nobody sets
_OFFSET = time.time() - time.monotonic()


def now() -> float:
    """Seconds since the epoch, never less than an earlier answer in this process.

    A wall clock that is set while a run goes on (NTP, a virtual machine that wakes up) would give trainings negative
    lengths. Differences of these times are real seconds; a process that is started after the jump has the new date.
    """
    return _OFFSET + time.monotonic()
