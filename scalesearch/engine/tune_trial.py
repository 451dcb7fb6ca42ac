"""What runs inside a worker of Ray Tune: the trial function that every engine calls, one step per trial.

Needs Ray; the engine imports this module when it starts.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any, Final

from ray import tune

from scalesearch.engine.base import TrialFn
from scalesearch.engine.ray_worker import TrialWorker
from scalesearch.engine.tune_faults import Crashed
from scalesearch.trial import TrialRecord, TrialRequest

__all__ = ["Assignment", "TrialTrainable"]

# seconds between two questions of a warm worker whether the others are warm too
_WARM_UP_STEP: Final = 0.1


@dataclass(frozen=True, slots=True, repr=False)
class Assignment:
    """What a worker is to do, at most `attempts` times; in Tune's logs just its name.

    Without a request it is a warm-up: the worker imports what trials need, and stays until all have.
    """

    name: str
    request: TrialRequest | None
    attempts: int
    bundle: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        return self.name

    def __deepcopy__(self, memo: object) -> Assignment:
        return self


class TrialTrainable(tune.Trainable):
    """The worker of `engine=ray` in Tune's dress: one process, one trial after the other, one step each."""

    def setup(self, config: dict[str, Any], trial_fn: TrialFn | None = None, threads: int = 1) -> None:
        self._worker = TrialWorker(trial_fn)
        self._worker.warm_up(threads)
        self._assignment: Assignment = config["assignment"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._assignment = new_config["assignment"]
        return True

    def step(self) -> dict[str, Any]:
        assignment = self._assignment
        if assignment.request is None:
            time.sleep(_WARM_UP_STEP)
            return {"warm_up": True}
        # the engine counts attempts, because this worker does not know of the others
        outcome = self._worker.run(assignment.request, 1, assignment.bundle)
        if isinstance(outcome, TrialRecord):
            return {"record": asdict(outcome), "done": True}
        if outcome.final:
            return {"crash": asdict(outcome), "done": True}
        raise Crashed(outcome)
