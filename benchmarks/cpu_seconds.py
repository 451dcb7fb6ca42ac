"""CPU seconds of trials, told by their own processes: what a busy machine does not distort as it does wall time."""

from __future__ import annotations

import gc
import os
import resource
from pathlib import Path

from scalesearch.engine.base import load_trial_fn
from scalesearch.trial import TrialRecord, TrialRequest

__all__ = ["CountedTrial", "cpu_seconds", "read_cpu_seconds", "write_cpu_seconds"]


def cpu_seconds() -> float:
    """User and system time of this process since it began, and of children that have ended."""
    gc.collect()  # ends DataLoader workers that nobody uses any more
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


def write_cpu_seconds(folder: str, name: str) -> None:
    """Leave `cpu_seconds` under a name that begins with the side."""
    Path(folder, f"{name}.cpu").write_text(repr(cpu_seconds()))


def read_cpu_seconds(folder: str, side: str) -> float:
    """All that the processes of `side` spent."""
    return sum(float(path.read_text()) for path in Path(folder).glob(f"{side}-*.cpu"))


class CountedTrial:
    """Our trial function, which also leaves the CPU seconds of its process so far: one file for each process."""

    def __init__(self, folder: str):
        self.folder = folder

    def __call__(self, request: TrialRequest) -> TrialRecord:
        record = load_trial_fn()(request)
        write_cpu_seconds(self.folder, f"ours-{os.getpid()}")
        return record
