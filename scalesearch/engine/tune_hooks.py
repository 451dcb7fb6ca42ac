"""What Ray Tune calls while an experiment runs: where requests come from, and where what happens to them goes.

Tune decides nothing here: requests are handed out first come, first served. Results pass as plain values beside
Tune's own metrics, so that neither a NaN nor a missing metric means anything to Tune.

Needs Ray; the engine imports this module when it starts.
"""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ray import cloudpickle, tune
from ray.exceptions import RayTaskError
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher, SearchGenerator

from scalesearch.engine.attempt import STOPS_THE_RUN, Crash
from scalesearch.engine.tune_faults import Crashed
from scalesearch.engine.tune_trial import Assignment
from scalesearch.trial import TrialRecord

__all__ = [
    "Ended",
    "Ends",
    "Failed",
    "Finished",
    "KeepWorkers",
    "Reporter",
    "Requests",
    "Started",
    "Submitted",
    "Wire",
    "assignment_of",
]

# seconds for which Tune sleeps while there is nothing to do; Tune itself would look once a second
_IDLE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Started:
    """A worker began with the trial."""

    key: str
    actor: Any


@dataclass(frozen=True, slots=True)
class Finished:
    """The trial gave a record, or a crash that is final."""

    key: str
    outcome: TrialRecord | Crash


@dataclass(frozen=True, slots=True)
class Failed:
    """The trial's worker died or raised; `again` says that Tune has put the trial back into its queue."""

    key: str
    cause: BaseException | None
    again: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """The experiment is over; `error` where Tune gave up by itself."""

    error: BaseException | None


class Wire:
    """What the driver's thread and Tune's share. Tune pickles and copies its parts; nobody restores them."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.requests: queue.SimpleQueue[Assignment | None] = queue.SimpleQueue()
        self.events: queue.SimpleQueue[Started | Finished | Failed | Ended] = queue.SimpleQueue()
        self.ready, self.stopping = threading.Event(), threading.Event()
        self.broken: Failed | None = None
        # warm-ups under way and over, by name; touched by Tune's thread alone
        self.warming: set[str] = set()
        self.warm: set[str] = set()

    def __deepcopy__(self, memo: object) -> Wire:
        return self

    def __reduce__(self) -> tuple[type[Wire], tuple[int]]:
        return Wire, (self.slots,)


class Submitted(Searcher):
    """Suggests what was submitted, in that order."""

    def __init__(self, wire: Wire):
        super().__init__()
        self._wire = wire
        self._live: set[str] = set()

    def suggest(self, trial_id: str) -> Any:
        try:
            # with nothing else to look after Tune can sleep until something comes
            assignment = self._wire.requests.get(timeout=_IDLE) if not self._live else self._wire.requests.get_nowait()
        except queue.Empty:
            return None
        if assignment is None:
            return str(Searcher.FINISHED)
        self._live.add(trial_id)
        request = assignment.request
        if request is None:
            return {"assignment": assignment}
        return {
            "network": request.spec.fingerprint,
            "resolution": request.spec.resolution,
            "epochs": request.recipe.epochs,
            "seed": request.seed,
            "assignment": assignment,
        }

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self._live.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: what is missing is known from the ledger alone."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""


class Requests(SearchGenerator):
    """Gives each trial its own number of failures, because one may have been tried by an experiment that ended."""

    def next_trial(self) -> Any:
        trial = super().next_trial()  # type: ignore[no-untyped-call]
        if trial is not None:
            trial.max_failures = trial.config["assignment"].attempts - 1
        return trial


class KeepWorkers(FIFOScheduler):
    """First come, first served; keeps every worker that becomes free, where Tune would end all but one."""

    def __init__(self, slots: int):
        super().__init__()  # type: ignore[no-untyped-call]
        self._more = slots

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        # no public way; a Tune without this just starts more workers
        with suppress(AttributeError):
            tune_controller._actor_cache.increase_max(trial.placement_group_factory, by=self._more)
            self._more = 0


class Ends(tune.Stopper):
    """Ends warm-ups together once all workers are up, and everything when the engine is closed."""

    def __init__(self, wire: Wire):
        self._wire = wire

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return "warm_up" in result and len(self._wire.warming) >= self._wire.slots

    def stop_all(self) -> bool:
        return self._wire.stopping.is_set()


class Reporter(tune.Callback):
    """Tells the engine what happens; called in Tune's thread."""

    def __init__(self, wire: Wire):
        self._wire = wire

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        assignment = assignment_of(trial)
        if assignment.request is None:
            self._wire.warming.add(assignment.name)
        else:
            self._wire.events.put(Started(assignment.name, trial.temporary_state.ray_actor))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        name = assignment_of(trial).name
        if "record" in result:
            self._wire.events.put(Finished(name, TrialRecord(**result["record"])))
        elif "crash" in result:
            self._wire.events.put(Finished(name, Crash(**result["crash"])))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        assignment = assignment_of(trial)
        if assignment.request is None:
            self._wire.warm.add(assignment.name)
            if len(self._wire.warm) == self._wire.slots:
                self._wire.ready.set()

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._failed(trial, again=True)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._failed(trial, again=False)

    def _failed(self, trial: Any, *, again: bool) -> None:
        assignment = assignment_of(trial)
        failed = Failed(assignment.name, _cause(trial), again)
        if assignment.request is not None:
            self._wire.events.put(failed)
        elif not again:
            self._wire.broken = failed
            self._wire.ready.set()
        self._wire.warming.discard(assignment.name)


def assignment_of(trial: Any) -> Assignment:
    assignment = trial.config["assignment"]
    assert isinstance(assignment, Assignment)
    return assignment


def _cause(trial: Any) -> BaseException | None:
    """The last error of a trial, without the layer that Ray puts around what a worker raises."""
    try:
        error = cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
    except Exception:  # no such file, or an error that cannot be read here
        return None
    if isinstance(error, RayTaskError) and isinstance(error.cause, (Crashed, *STOPS_THE_RUN)):
        return error.cause
    return error if isinstance(error, BaseException) else None
