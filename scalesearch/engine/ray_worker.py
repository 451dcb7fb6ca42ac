"""What runs inside a Ray actor: one long-lived process that does one trial after the other."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from scalesearch.engine.attempt import Crash, attempt_group, attempt_trial
from scalesearch.engine.base import TrialFn, load_trial_fn
from scalesearch.engine.data_shipping import unpack
from scalesearch.engine.grouping import GroupFn
from scalesearch.trial import TrialRecord, TrialRequest

__all__ = ["TrialWorker"]


class TrialWorker:
    """The plain class behind the actor.

    Args:
        trial_fn: what to call; None is `scalesearch.trial.run_trial`, imported here and not in the driver.
        group_fn: what to call for seeds that are trained as one.
    """

    def __init__(self, trial_fn: TrialFn | None, group_fn: GroupFn | None = None):
        # Ctrl-C on a terminal reaches every process; only the driver decides what it means
        with suppress(ValueError):  # not the main thread
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        _end_with_parent()
        self._trial_fn = trial_fn
        self._group_fn = group_fn

    def warm_up(self, threads: int) -> str:
        """Import what trials need, with `threads` threads for OpenMP; returns the worker's name, "host:pid"."""
        os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
        if self._trial_fn is None:
            self._trial_fn = load_trial_fn()
        return f"{socket.gethostname()}:{os.getpid()}"

    def run(self, request: TrialRequest, attempt: int, bundle: Sequence[Any] = ()) -> TrialRecord | Crash:
        """One attempt; `bundle` holds a reference to the packed data set where this node may lack it."""
        assert self._trial_fn is not None, "warm_up comes first"
        try:
            return attempt_trial(self._trial_fn, _here([request], bundle)[0], attempt)
        finally:
            _free_gpu_cache()

    def run_group(self, requests: Sequence[TrialRequest], bundle: Sequence[Any] = ()) -> list[TrialRecord] | Crash:
        """One attempt at seeds that are trained as one; `bundle` as for `run`."""
        assert self._group_fn is not None, "this worker has no groups"
        try:
            return attempt_group(self._group_fn, _here(requests, bundle), 1)
        finally:
            _free_gpu_cache()


def _here(requests: Sequence[TrialRequest], bundle: Sequence[Any]) -> Sequence[TrialRequest]:
    """Requests for one data set with the path that it has on this node."""
    if not bundle or Path(requests[0].data.folder).is_dir():
        return requests
    import ray

    data = unpack(requests[0].data, ray.get(bundle[0]))
    return [replace(request, data=data) for request in requests]


def _free_gpu_cache() -> None:
    """Give the memory that torch keeps for later back to the GPU, because other workers may share it."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _end_with_parent() -> None:
    """Let the kernel end this process with Ray's own on this node, which dies with its driver.

    Ray's workers notice by themselves, but on a busy machine half a minute later, with a trial going on meanwhile.
    """
    set_death_signal = 1
    with suppress(OSError, AttributeError):  # no Linux
        if Path(f"/proc/{os.getppid()}/comm").read_text(encoding="utf-8").strip() == "raylet":
            ctypes.CDLL(None).prctl(set_death_signal, int(signal.SIGKILL))
