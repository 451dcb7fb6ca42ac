"""engine=serial: one trial, or one group of seeds, at a time in this process: to debug, and where there is no Ray."""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from scalesearch.engine.attempt import Crash, attempt_group, attempt_trial, failed_record
from scalesearch.engine.base import Engine, Running, TrialFn, load_trial_fn
from scalesearch.engine.grouping import GroupFn, apart, group_fn_beside, group_limit, take_group
from scalesearch.engine.settings import EngineSettings
from scalesearch.trial import TrialRecord, TrialRequest

__all__ = ["SerialEngine"]


class SerialEngine(Engine):
    """Runs a trial inside `next_done`, whatever its timeout; `trial_timeout` does not hold here."""

    in_process: ClassVar[bool] = True

    def __init__(
        self,
        settings: EngineSettings | None = None,
        *,
        trial_fn: TrialFn | None = None,
        group_fn: GroupFn | None = None,
    ):
        self._settings = settings or EngineSettings(name="serial")
        self._group_fn = group_fn_beside(trial_fn, group_fn)
        self._trial_fn = trial_fn
        self._waiting: deque[TrialRequest] = deque()
        self._arrived: deque[TrialRecord] = deque()
        self._apart: dict[str, str] = {}  # keys of a group that failed, and why
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

    @property
    def group(self) -> int:
        """As the settings say."""
        return group_limit(self._settings, self._group_fn)

    def submit(self, request: TrialRequest) -> None:
        """Keep the request for `next_done`."""
        assert len(self._waiting) + len(self._arrived) < self.room, "there must be room"
        self._waiting.append(request)

    def next_done(self, timeout: float | None = None) -> TrialRecord | None:
        """Run the first request that waits, with those that can be trained together with it, to their end."""
        while self._waiting and not self._arrived and timeout != 0:
            self.wait_ready()
            why = self._apart.pop(self._waiting[0].key, None)
            group = take_group(self._waiting, 1 if why else self.group)
            if len(group) > 1:
                self._run_group(group)
            else:
                self._arrived.append(apart(self._run_alone(group[0]), why))
        return self._arrived.popleft() if self._arrived else None

    def _run_group(self, requests: Sequence[TrialRequest]) -> None:
        """Train seeds as one; where that crashes they wait again, to run one by one."""
        assert self._group_fn is not None
        with self._watched(requests):
            outcome = attempt_group(self._group_fn, requests, 1)
        if isinstance(outcome, Crash):
            self._apart = {request.key: outcome.error for request in requests}
            self._waiting.extendleft(reversed(requests))
        else:
            self._arrived.extend(outcome)

    def _run_alone(self, request: TrialRequest) -> TrialRecord:
        """A trial and, where it crashes, its further attempts."""
        assert self._trial_fn is not None
        for attempt in range(1, self._settings.max_attempts + 1):
            with self._watched([request]):
                outcome = attempt_trial(self._trial_fn, request, attempt)
            if isinstance(outcome, TrialRecord):
                return outcome
            if outcome.final or attempt == self._settings.max_attempts:
                return failed_record(request, outcome, attempt)
        raise AssertionError("max_attempts is at least 1")

    @contextmanager
    def _watched(self, requests: Sequence[TrialRequest]) -> Iterator[None]:
        """Say what runs."""
        worker, since = f"{socket.gethostname()}:{os.getpid()}", time.monotonic()
        self._current = (Running(requests[0], worker, since, len(requests)),)
        try:
            yield
        finally:
            self._current = ()

    def running(self) -> Sequence[Running]:
        """What `next_done` runs."""
        return self._current

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
