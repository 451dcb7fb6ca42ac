"""Trial functions for the faults: each notes its start with the witness, then works or does harm.

`slow`, `repeatable` rows: the row depends on the request alone. Ray gets these functions by value.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import witness

from scalesearch.arch.spec import NetSpec, StageSpec
from scalesearch.data.prepared import PreparedData
from scalesearch.train.recipe import Recipe
from scalesearch.trial import TrialRecord, TrialRequest, promised_record

SPEC = NetSpec("tiny", 32, 8, (StageSpec("mbconv", 3, 1, 8, 1),), head_width=0, num_classes=2)
DATA = PreparedData("/nowhere", "none", "0" * 16, 32, 3, ("a", "b"), 10, 10, 32)


def request(seed: int, folder: str = "/nowhere") -> TrialRequest:
    return TrialRequest(SPEC, Recipe(), replace(DATA, folder=folder), seed)


def row(asked: TrialRequest) -> TrialRecord:
    number = int(asked.key[:8], 16)
    return replace(promised_record(asked), accuracy=number / 2**32, loss=1 / (1 + number), macs=number)


def begun(folder: str, asked: TrialRequest) -> int:
    """Note the start; returns how often this trial had begun before."""
    before = sum(key == asked.key for key, _ in witness.starts(Path(folder)))
    witness.note(folder, "start", asked.key, os.getpid())
    return before


def steady(folder: str, seconds: float, harmed: int, asked: TrialRequest) -> TrialRecord:
    """Works for `seconds`; nothing goes wrong."""
    witness.note(folder, "start", asked.key, os.getpid())
    time.sleep(seconds)
    return row(asked)


def crashes(folder: str, seconds: float, harmed: int, asked: TrialRequest) -> TrialRecord:
    """The first `harmed` seeds always crash, each in another way: an exception, exit, a signal."""
    steady(folder, seconds, harmed, asked)
    if asked.seed < harmed:
        if asked.seed % 3 == 0:
            raise RuntimeError("out of luck")
        if asked.seed % 3 == 1:
            sys.exit(3)
        os.kill(os.getpid(), signal.SIGSEGV)
    return row(asked)


def raises(folder: str, seconds: float, harmed: int, asked: TrialRequest) -> TrialRecord:
    """The first `harmed` seeds always raise; for a driver that must survive in its own process."""
    steady(folder, seconds, harmed, asked)
    if asked.seed < harmed:
        raise RuntimeError("out of luck")
    return row(asked)


def diverges(folder: str, seconds: float, harmed: int, asked: TrialRequest) -> TrialRecord:
    """The loss of the first `harmed` seeds becomes NaN or infinite, found by the trainer's own watch."""
    steady(folder, seconds, harmed, asked)
    if asked.seed < harmed:
        import torch

        from scalesearch.train.loss_watch import LossWatch

        watch = LossWatch()
        watch.add(torch.tensor(1.0))
        watch.add(torch.tensor(float("nan") if asked.seed % 2 else float("inf")))
        watch.look()
    return row(asked)


def out_of_gpu_memory(folder: str, seconds: float, harmed: int, asked: TrialRequest) -> TrialRecord:
    """The first `harmed` seeds run out of GPU memory: even ones once, odd ones every time."""
    before = begun(folder, asked)
    time.sleep(seconds)
    if asked.seed < harmed and (asked.seed % 2 or before == 0):
        import torch

        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
    return row(asked)


def hogs_memory(folder: str, seconds: float, harmed: int, asked: TrialRequest) -> TrialRecord:
    """The first `harmed` seeds take memory until something stops them: even ones once, odd ones every time."""
    before = begun(folder, asked)
    time.sleep(seconds)
    if asked.seed < harmed and (asked.seed % 2 or before == 0):
        hoard = []
        for _ in range(128):  # 8 GiB at most
            hoard.append(bytearray(os.urandom(1)) * (64 * 2**20))
            time.sleep(0.02)
        time.sleep(20)
    return row(asked)


def hangs(folder: str, seconds: float, harmed: int, asked: TrialRequest) -> TrialRecord:
    """The first `harmed` seeds hang: even ones once, odd ones every time."""
    before = begun(folder, asked)
    time.sleep(3600 if asked.seed < harmed and (asked.seed % 2 or before == 0) else seconds)
    return row(asked)


def late(folder: str, seconds: float, harmed: int, asked: TrialRequest) -> TrialRecord:
    """The first attempt of the first `harmed` seeds answers after its time is over."""
    before = begun(folder, asked)
    time.sleep(3.0 if asked.seed < harmed and before == 0 else seconds)
    return row(asked)
