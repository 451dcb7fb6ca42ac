"""The time of day of events, by a clock that cannot jump within a process."""

from __future__ import annotations

import time

__all__ = ["now"]

# Linux's goes on while the machine sleeps; where there is none, a sleep is left out
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
# the wall clock is asked once; what follows is counted by a clock that nobody sets
_OFFSET = time.time() - time.clock_gettime(_CLOCK)


def now() -> float:
    """Seconds since the epoch, never less than an earlier answer in this process.

    A wall clock that is set while a run goes on (by hand, by NTP) would give trainings negative lengths. Differences
    of times of one process are real seconds. Other processes may disagree by what the wall clock was set, so the
    driver puts results on its own time (`engine.attempt.on_drivers_time`).
    """
    return _OFFSET + time.clock_gettime(_CLOCK)
