"""One Ray Tune experiment in a thread of the driver: requests go in one by one, what happens to them comes out.

In a thread Tune leaves the handlers of signals alone, and the driver can commit while Tune waits.

Needs Ray; the engine imports this module when it starts.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from ray import tune
from ray.tune.logger import CSVLoggerCallback, JsonLoggerCallback
from ray.tune.search import ConcurrencyLimiter

from scalesearch.engine.base import TrialFn
from scalesearch.engine.resources import Allotment
from scalesearch.engine.tune_hooks import (
    Ended,
    Ends,
    Failed,
    Finished,
    KeepWorkers,
    Reporter,
    Requests,
    Started,
    Submitted,
    Wire,
    assignment_of,
)
from scalesearch.engine.tune_trial import Assignment, TrialTrainable

__all__ = ["TuneExperiment"]

WARM_UP_ATTEMPTS: Final = 3
# loggers of Tune; every trial's end is in the ledger
_LOGGERS: Final = ("ray.tune", "ray.air", "ray.train")


class TuneExperiment:
    """A `ray.tune.Tuner` whose `fit` runs in a thread until `stop`; Ray must be connected.

    Args:
        trial_fn: what workers run; None is `scalesearch.trial.run_trial`.
        allotment: trials at the same time, and what each reserves.
        attempts: how often a trial may be started.
        storage: absolute folder or URI for Tune's logs.
        name: folder of this experiment in it.

    Attributes:
        error: why Tune ended by itself.
    """

    def __init__(self, trial_fn: TrialFn | None, allotment: Allotment, attempts: int, storage: str, name: str):
        self._wire = Wire(allotment.slots)
        self._trial_fn, self._allotment, self._attempts = trial_fn, allotment, attempts
        self._storage, self._name = storage, name
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._live, name="ray-tune", daemon=True)

    def start(self) -> None:
        """Begin, with a warm-up for each worker, because Tune would give every trial to the first that is up."""
        for number in range(self._allotment.slots):
            self.give(Assignment(f"worker-{number + 1}", None, WARM_UP_ATTEMPTS))
        self._thread.start()

    def wait_ready(self, timeout: float) -> bool:
        """Whether all workers are warm, or cannot be, within `timeout` seconds; see `error` and `broken`."""
        return self._wire.ready.wait(timeout)

    @property
    def broken(self) -> Failed | None:
        """The warm-up that failed as often as it may."""
        return self._wire.broken

    def give(self, assignment: Assignment) -> None:
        """Hand Tune one more trial."""
        self._wire.requests.put(assignment)

    def next_event(self, timeout: float) -> Started | Finished | Failed | Ended | None:
        """What happened next; None after `timeout` seconds."""
        with suppress(queue.Empty):
            return self._wire.events.get(timeout=timeout) if timeout > 0 else self._wire.events.get_nowait()
        return None

    def stop(self) -> None:
        """Ask Tune to end at once."""
        self._wire.stopping.set()
        self._wire.requests.put(None)

    def join(self, timeout: float) -> None:
        """Wait until Tune has ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _live(self) -> None:
        try:
            with _quiet():
                self._tuner().fit()
        except BaseException as raised:  # told to the engine, whose own thread raises it
            self.error = raised
        self._wire.events.put(Ended(self.error))
        self._wire.ready.set()

    def _tuner(self) -> tune.Tuner:
        share = {"CPU": self._allotment.cpus} | ({"GPU": self._allotment.gpus} if self._allotment.gpus else {})
        trainable = tune.with_resources(TrialTrainable, tune.PlacementGroupFactory([share]))
        trainable = tune.with_parameters(trainable, trial_fn=self._trial_fn, threads=max(1, int(self._allotment.cpus)))
        search = Requests(ConcurrencyLimiter(Submitted(self._wire), max_concurrent=self._allotment.slots))
        return tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=search,
                scheduler=KeepWorkers(self._allotment.slots),
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=_name_of,
                trial_dirname_creator=_name_of,
            ),
            run_config=tune.RunConfig(
                name=self._name,
                storage_path=self._storage,
                failure_config=tune.FailureConfig(max_failures=self._attempts - 1),
                # a trial is not resumed in its middle, so that it stays a pure function of its request
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                callbacks=[Reporter(self._wire), *_logs()],
                stop=Ends(self._wire),
                verbose=0,
                log_to_file=False,
            ),
        )


def _logs() -> list[tune.Callback]:
    """What Tune writes of every trial; its TensorBoard writer is left out, see the engine's settings of Tune."""
    return [CSVLoggerCallback(), JsonLoggerCallback()]  # type: ignore[no-untyped-call]


def _name_of(trial: Any) -> str:
    return f"{assignment_of(trial).name}-{trial.trial_id}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of Tune's on the terminal: lines about failed trials, slow callbacks, absent TensorBoard."""
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
