"""How many trials share one GPU, from its free memory and the largest trial's estimate."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from scalesearch.engine.settings import EngineSettings
from scalesearch.train.memory import MemoryEstimate, trainings_that_fit

__all__ = ["free_gpu_memory", "packed"]

#: more trials than this on one GPU wait for each other's kernels (an assumption; benchmarks/gpu.py measures it)
_AT_MOST: Final = 8
_QUERY: Final = ("nvidia-smi", "--query-gpu=index,uuid,memory.free", "--format=csv,noheader,nounits")


def packed(settings: EngineSettings, estimates: Iterable[MemoryEstimate], free: int | None) -> EngineSettings:
    """Settings whose `gpus_per_trial` lets as many trials share a GPU as certainly fit.

    Unchanged where the user chose a share, did not ask for packing, or where there is no GPU.

    Args:
        estimates: of the trials to come; the largest decides, because any of them can meet any other.
        free: bytes on the GPU that has the least of them; None where there is no GPU.
    """
    if not settings.pack or settings.gpus_per_trial is not None or free is None:
        return settings
    largest = max(estimates, key=lambda estimate: estimate.total)
    return replace(settings, gpus_per_trial=1 / min(_AT_MOST, trainings_that_fit(free, largest)))


def free_gpu_memory() -> int | None:
    """Bytes that nobody uses on the visible GPU that has the least of them; None without one, or without nvidia-smi.

    Asked of the driver's own tool, because asking through torch takes memory on the GPU for a context.
    """
    try:
        said = subprocess.run(_QUERY, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return least_free(said, os.environ.get("CUDA_VISIBLE_DEVICES"))


def least_free(said: str, visible: str | None) -> int | None:
    """The smallest of the numbers that nvidia-smi printed, in bytes, of the devices in CUDA_VISIBLE_DEVICES.

    Args:
        said: lines of "index, uuid, MiB".
        visible: indices or uuids (or beginnings of them), comma-separated; None sees all.
    """
    rows = [[cell.strip() for cell in line.split(",")] for line in said.splitlines() if line.strip()]
    if visible is not None:
        names = [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
        rows = [row for row in rows if any(row[0] == name or row[1].startswith(name) for name in names)]
    free = [int(row[2]) for row in rows if len(row) == 3 and row[2].isdigit()]
    return min(free) * 2**20 if free else None
