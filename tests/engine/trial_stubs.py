"""Requests and tiny trial functions for the engine tests; Ray gets the functions by value."""

import hashlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from scalesearch.arch.spec import NetSpec, StageSpec
from scalesearch.data.prepared import PreparedData
from scalesearch.errors import DataError, DivergedError
from scalesearch.train.recipe import Recipe
from scalesearch.trial import TrialRecord, TrialRequest

SPEC = NetSpec("tiny", 32, 8, (StageSpec("mbconv", 3, 1, 8, 1),), head_width=0, num_classes=2)
DATA = PreparedData("/nowhere", "none", "0" * 16, 32, 3, ("a", "b"), 10, 10, 32)


def request(seed: int, **recipe: int) -> TrialRequest:
    return TrialRequest(SPEC, Recipe(**recipe), DATA, seed)


def record(asked: TrialRequest, status: str = "done", **values: object) -> TrialRecord:
    return TrialRecord(
        key=asked.key,
        fingerprint=asked.spec.fingerprint,
        recipe=asked.recipe.fingerprint,
        data=asked.data.fingerprint,
        seed=asked.seed,
        epochs=asked.recipe.epochs,
        status=status,
        **values,
    )


def steady(asked: TrialRequest) -> TrialRecord:
    """A row that depends on the request alone."""
    number = int(hashlib.sha256(asked.key.encode()).hexdigest()[:8], 16)
    return record(asked, accuracy=number / 2**32, loss=1 / (1 + number), macs=number, resolution=asked.spec.resolution)


def logged(folder: str, asked: TrialRequest) -> TrialRecord:
    """A row, and one file per call, named after the seed."""
    (Path(folder) / f"{asked.seed}-{time.time_ns()}").touch()
    return steady(asked)


def slow(seconds: float, folder: str, asked: TrialRequest) -> TrialRecord:
    time.sleep(seconds)
    return logged(folder, asked)


def killed_once(folder: str, asked: TrialRequest) -> TrialRecord:
    """The first call for seed 1 kills its own process."""
    marker = Path(folder) / f"killed-{asked.seed}"
    if asked.seed == 1 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return steady(asked)


def troubled(folder: str, asked: TrialRequest) -> TrialRecord:
    """Seed 1 raises, seed 2 diverges, seed 3 kills its process, seed 4 calls exit; every call leaves a file."""
    logged(folder, asked)
    if asked.seed == 1:
        raise RuntimeError("out of luck")
    if asked.seed == 2:
        raise DivergedError("diverged at step 7")
    if asked.seed == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if asked.seed == 4:
        raise SystemExit(3)
    return steady(asked)


def hangs(asked: TrialRequest) -> TrialRecord:
    """Seed 1 never ends."""
    if asked.seed == 1:
        time.sleep(3600)
    return steady(asked)


def without_data(asked: TrialRequest) -> TrialRecord:
    """Seed 1 finds the data gone."""
    if asked.seed == 1:
        raise DataError("prepared pictures must be readable", value="/gone", way_out="prepare them again")
    return steady(asked)


def endless(folder: str, asked: TrialRequest) -> TrialRecord:
    """Never ends; leaves a file named after its process."""
    (Path(folder) / f"pid-{os.getpid()}").touch()
    time.sleep(3600)
    return steady(asked)


def odd_numbers(asked: TrialRequest) -> TrialRecord:
    """Seed 1 has a NaN; nothing else has an accuracy."""
    return record(asked, accuracy=float("nan") if asked.seed == 1 else None)


def endless_once(folder: str, asked: TrialRequest) -> TrialRecord:
    """Logged; the first call for seed 1 never ends."""
    first = not list(Path(folder).glob("1-*"))
    row = logged(folder, asked)
    if asked.seed == 1 and first:
        time.sleep(3600)
    return row


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


def greedy(folder: str, asked: TrialRequest) -> TrialRecord:
    """Seed 1 runs out of memory while another trial runs; every trial says so by a file while it lasts."""
    running = Path(folder) / f"running-{asked.seed}"
    running.touch()
    try:
        until = time.monotonic() + 0.6
        while time.monotonic() < until:
            if asked.seed == 1 and len(list(Path(folder).glob("running-*"))) > 1:
                raise OutOfMemoryError("CUDA out of memory")
            time.sleep(0.02)
    finally:
        running.unlink()
    return steady(asked)


def together(folder: str, asked: Sequence[TrialRequest]) -> list[TrialRecord]:
    """Rows of a group, and one file per call, named after the seeds."""
    (Path(folder) / "-".join(["group", *(str(request.seed) for request in asked)])).touch()
    return [steady(request) for request in asked]


def slow_together(seconds: float, folder: str, asked: Sequence[TrialRequest]) -> list[TrialRecord]:
    time.sleep(seconds)
    return together(folder, asked)


def troubled_together(folder: str, asked: Sequence[TrialRequest]) -> list[TrialRecord]:
    """A group with seed 0 runs out of memory, one with seed 3 kills its process."""
    records = together(folder, asked)
    if any(request.seed == 0 for request in asked):
        raise OutOfMemoryError("CUDA out of memory")
    if any(request.seed == 3 for request in asked):
        os.kill(os.getpid(), signal.SIGKILL)
    return records
