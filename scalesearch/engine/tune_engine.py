"""engine=tune: the trials of every study under Ray Tune, one Tune trial each.

Worth it for Tune's loggers and storage; a trial costs more here than under engine=ray. Tune is only the means: the
requests come from `execute`, which asks the ledger first, and what comes back is committed there. So a run that was
killed goes on with a new experiment of the trials that are missing, never with `Tuner.restore`, because that ran
finished trials again.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scalesearch.engine.attempt import STOPS_THE_RUN, Crash, failed_record, on_drivers_time
from scalesearch.engine.base import Engine, Running, TrialFn
from scalesearch.engine.data_shipping import pack
from scalesearch.engine.ray_engine import START_ATTEMPTS, WORKER_START_TIMEOUT
from scalesearch.engine.ray_session import RaySession
from scalesearch.engine.resources import Allotment
from scalesearch.engine.settings import EngineSettings
from scalesearch.engine.tune_faults import cannot_start, crash_of, reason_of_end
from scalesearch.engine.tune_storage import absolute_storage, temporary_storage
from scalesearch.errors import EngineError
from scalesearch.trial import TrialRecord, TrialRequest

if TYPE_CHECKING:
    from scalesearch.engine.tune_experiment import TuneExperiment
    from scalesearch.engine.tune_hooks import Failed

__all__ = ["TuneEngine"]

# seconds for which Tune may put its files in order at the end; its workers are dead by then
STOP_TIMEOUT: Final = 8.0

_SETTINGS_OF_TUNE: Final = {
    # nothing may start another Ray when this one is gone
    "TUNE_DISABLE_AUTO_INIT": "1",
    "RAY_ENABLE_AUTO_CONNECT": "0",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    # the newer output prints its frame even with verbose=0
    "RAY_AIR_NEW_OUTPUT": "0",
    # else Tune tries a trial on machines that are taken away again and again
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",
    # trials run where the driver runs, as under every engine
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # tensorboardX's writer dies of a wall clock that jumps, and Tune then waits for it for ever
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
}


@dataclass(slots=True)
class _Flight:
    """A submitted trial: since when it waits or, with an actor, runs; `hung` where that was ended."""

    request: TrialRequest
    since: float
    attempt: int = 1
    actor: Any = None
    hung: bool = False

    @property
    def runs(self) -> bool:
        return self.actor is not None and not self.hung


class TuneEngine(Engine):
    """Runs trials as those of a Ray Tune experiment, on this machine or on a cluster.

    Tune starts a trial again whose worker died or raised. Should Tune itself end, which it does where Ray kills a
    worker because memory ran out, the trials under way go to a new experiment, and count as tried once.

    Args:
        settings: see there.
        trial_fn: what to run; None is `scalesearch.trial.run_trial`.

    Raises:
        MissingPackageError: Ray is not installed.
        ResourceError: the slots do not fit on this machine (a cluster is checked once it answers).
        ConfigError: the storage is a folder that cannot be written.
    """

    def __init__(self, settings: EngineSettings | None = None, *, trial_fn: TrialFn | None = None):
        self._settings = settings or EngineSettings(name="tune")
        self._trial_fn = trial_fn
        self._session = RaySession(self._settings, self._begin)
        given = self._settings.storage
        self._storage = None if given is None else absolute_storage(given)
        self._folder: Path | None = None
        self._experiment: TuneExperiment | None = None
        self._experiments = 0
        self._was_ready = False
        self._flights: dict[str, _Flight] = {}
        self._ready: deque[TrialRecord] = deque()
        self._start_failures = self._ends = 0
        self._bundles: dict[str, Any] = {}

    def start(self) -> None:
        """Begin to start Ray and Tune; further calls do nothing."""
        for name, value in _SETTINGS_OF_TUNE.items():
            os.environ.setdefault(name, value)
        self._session.start()

    def wait_ready(self) -> None:
        """Return when every worker has imported what trials need.

        Raises:
            ResourceError, EngineError: see `Engine`; also where Tune cannot reach its storage.
        """
        experiment = self._running()
        if self._was_ready:  # what happened since then is for `next_done`
            return
        if not experiment.wait_ready(WORKER_START_TIMEOUT):
            within = f"within {WORKER_START_TIMEOUT:g} s"
            raise EngineError(f"no workers {within}; is the cluster busy, and can Tune reach engine.storage?")
        if experiment.error is not None:
            raise EngineError(reason_of_end(experiment.error)) from experiment.error
        self._refuse_broken()
        self._was_ready = True

    @property
    def slots(self) -> int:
        """Trials at the same time; waits until Ray has answered, unless nothing was started and they are known."""
        if (planned := self._session.slots_before_start) is not None:
            return planned
        self._running()
        assert self._session.allotment is not None
        return self._session.allotment.slots

    def submit(self, request: TrialRequest) -> None:
        """Queue the trial in Tune."""
        self._running()
        assert len(self._flights) < self.slots, "a slot must be free"
        assert request.key not in self._flights, "a trial runs once at a time"
        self._flights[request.key] = _Flight(request, time.monotonic())
        self._give(self._flights[request.key])

    def running(self) -> Sequence[Running]:
        """The trials that have a worker."""
        flights = [flight for flight in list(self._flights.values()) if flight.runs]
        return [Running(flight.request, f"actor {str(flight.actor)[:80]}", flight.since) for flight in flights]

    def next_done(self, timeout: float | None = None) -> TrialRecord | None:
        """The next finished record; ends hung trials and starts a new experiment for an ended one on the way."""
        until = None if timeout is None else time.monotonic() + timeout
        while self._flights or self._ready:
            left = 1.0 if until is None else max(0.0, min(1.0, until - time.monotonic()))
            record = self._ready.popleft() if self._ready else self._step(left)
            if record is not None:
                return record
            if until is not None and time.monotonic() >= until:
                return None
        return None

    def close(self) -> None:
        """End Tune, its workers and the session; further calls do nothing."""
        if self._experiment is not None:
            self._experiment.stop()
            for flight in self._flights.values():
                self._kill(flight)
            self._experiment.join(STOP_TIMEOUT)
        self._flights, self._ready = {}, deque()
        self._session.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _running(self) -> TuneExperiment:
        self.start()
        self._session.wait()
        assert self._experiment is not None, "it begins as soon as Ray answers"
        return self._experiment

    def _refuse_broken(self) -> None:
        broken = self._running().broken
        if broken is not None:
            raise cannot_start(broken.cause)

    def _begin(self, allotment: Allotment) -> None:
        """Begin an experiment; called first in the session's thread as soon as Ray answers."""
        from scalesearch.engine.tune_experiment import TuneExperiment

        if self._storage is None:
            self._folder = temporary_storage()
            self._storage = str(self._folder / "tune")
        self._experiments += 1
        name = time.strftime(f"tune-%Y%m%d-%H%M%S-{os.getpid()}-{self._experiments}")
        attempts = self._settings.max_attempts
        self._experiment = TuneExperiment(self._trial_fn, allotment, attempts, self._storage, name)
        self._experiment.start()

    def _give(self, flight: _Flight) -> None:
        from scalesearch.engine.tune_trial import Assignment

        assert self._experiment is not None
        left = self._settings.max_attempts - flight.attempt + 1
        self._experiment.give(Assignment(flight.request.key, flight.request, left, self._bundle(flight.request)))

    def _bundle(self, request: TrialRequest) -> tuple[Any, ...]:
        """A reference to the packed data set, put into Ray's store once; empty on this machine alone."""
        if self._settings.address is None:
            return ()
        if request.data.fingerprint not in self._bundles:
            import ray

            self._bundles[request.data.fingerprint] = ray.put(pack(request.data))
        return (self._bundles[request.data.fingerprint],)

    def _step(self, timeout: float) -> TrialRecord | None:
        """Wait for one thing to happen and deal with it."""
        from scalesearch.engine.tune_hooks import Ended, Finished, Started

        limit = self._settings.trial_timeout
        if limit is not None:  # wake up when the next trial counts as hung
            ends = [flight.since + limit for flight in self._flights.values() if flight.runs]
            timeout = max(0.0, min([timeout, *(end - time.monotonic() for end in ends)]))
        event = self._running().next_event(timeout)
        if event is None:
            self._look_at_clock(limit)
            return None
        if isinstance(event, Ended):
            self._begin_again(event.error)
            return None
        flight = self._flights.get(event.key)
        if flight is None:  # it has its record already
            return None
        if isinstance(event, Started):
            flight.actor, flight.since, self._start_failures = event.actor, time.monotonic(), 0
            return None
        if isinstance(event, Finished):
            self._ends = 0
            del self._flights[event.key]
            if isinstance(event.outcome, Crash):
                return failed_record(flight.request, event.outcome, flight.attempt)
            return on_drivers_time([replace(event.outcome, attempt=flight.attempt)])[0]
        return self._failed(flight, event)

    def _look_at_clock(self, limit: float | None) -> None:
        """End the workers of hung trials; complain of workers that do not appear."""
        self._refuse_broken()
        for flight in self._flights.values():
            age = time.monotonic() - flight.since
            if flight.actor is None and age > WORKER_START_TIMEOUT:
                raise EngineError(f"a worker did not start within {WORKER_START_TIMEOUT:g} s; is the cluster busy?")
            if flight.runs and limit is not None and age >= limit:
                flight.hung = True
                self._kill(flight)

    def _failed(self, flight: _Flight, event: Failed) -> TrialRecord | None:
        """Wait for the trial's next attempt, or give its failed record; a worker that never started is no attempt."""
        cause, limit = event.cause, self._settings.trial_timeout
        if isinstance(cause, STOPS_THE_RUN):
            raise cause from None
        started = flight.actor is not None
        crash = crash_of(cause, time.monotonic() - flight.since)
        if flight.hung:
            crash = replace(crash, error=f"hung: no result within {limit:g} s")
        if not started:
            self._start_failures += 1
            if self._start_failures >= START_ATTEMPTS:
                raise cannot_start(cause)
        return self._try_again(flight, crash, counts=started, queued=event.again)

    def _try_again(self, flight: _Flight, crash: Crash, *, counts: bool, queued: bool) -> TrialRecord | None:
        """Note one more attempt, or give the record of a trial that has had all of them."""
        if counts and flight.attempt >= self._settings.max_attempts:
            del self._flights[flight.request.key]
            return failed_record(flight.request, crash, flight.attempt)
        flight.attempt += counts
        flight.actor, flight.hung, flight.since = None, False, time.monotonic()
        if not queued:
            self._give(flight)
        return None

    def _begin_again(self, error: BaseException | None) -> None:
        """Put the trials under way into a new experiment, unless Tune ends every time."""
        self._ends += 1
        if self._ends >= START_ATTEMPTS:
            raise EngineError(reason_of_end(error)) from error
        assert self._session.allotment is not None
        for flight in self._flights.values():
            self._kill(flight)
        self._begin(self._session.allotment)
        crash = replace(crash_of(error, 0.0), error=reason_of_end(error))
        for flight in list(self._flights.values()):
            crash = replace(crash, seconds=time.monotonic() - flight.since)
            record = self._try_again(flight, crash, counts=flight.actor is not None, queued=False)
            if record is not None:
                self._ready.append(record)

    @staticmethod
    def _kill(flight: _Flight) -> None:
        import ray

        if flight.actor is not None:
            with suppress(Exception):  # it may be dead, or Ray gone
                ray.kill(flight.actor, no_restart=True)
