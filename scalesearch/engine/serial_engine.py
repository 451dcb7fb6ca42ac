"""engine=serial: one trial at a time in this process, for debugging and where Ray is not installed."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from typing import ClassVar

from scalesearch.engine.attempt import attempt_trial, failed_record
from scalesearch.engine.base import Engine, Running, TrialFn, load_trial_fn
from scalesearch.engine.settings import EngineSettings
from scalesearch.trial import TrialRecord, TrialRequest

__all__ = ["SerialEngine"]


class SerialEngine(Engine):
    """Runs a trial inside `next_done`, whatever its timeout; `trial_timeout` does not hold here."""

    in_process: ClassVar[bool] = True

    def __init__(self, settings: EngineSettings | None = None, *, trial_fn: TrialFn | None = None):
        self._settings = settings or EngineSettings(name="serial")
        self._trial_fn = trial_fn
        self._waiting: TrialRequest | None = None
        self._current: tuple[Running, ...] = ()

    def start(self) -> None:
        """Nothing to do."""

    def wait_ready(self) -> None:
        """Import the trial, so that the first one is not charged for it."""
        if self._trial_fn is None:
            self._trial_fn = load_trial_fn()

    @property
    def slots(self) -> int:
        """1."""
        return 1

    def submit(self, request: TrialRequest) -> None:
        """Keep the request for `next_done`."""
        assert self._waiting is None, "the slot must be free"
        self._waiting = request

    def next_done(self, timeout: float | None = None) -> TrialRecord | None:
        """Run the waiting request to its end."""
        if self._waiting is None:
            return None
        self.wait_ready()
        assert self._trial_fn is not None
        request, self._waiting = self._waiting, None
        for attempt in range(1, self._settings.max_attempts + 1):
            self._current = (Running(request, f"{socket.gethostname()}:{os.getpid()}", time.monotonic()),)
            try:
                outcome = attempt_trial(self._trial_fn, request, attempt)
            finally:
                self._current = ()
            if isinstance(outcome, TrialRecord):
                return outcome
            if outcome.final or attempt == self._settings.max_attempts:
                return failed_record(request, outcome, attempt)
        raise AssertionError("max_attempts is at least 1")

    def running(self) -> Sequence[Running]:
        """The trial inside `next_done`."""
        return self._current

    def close(self) -> None:
        """Forget a waiting request."""
        self._waiting = None
