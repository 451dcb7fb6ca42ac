"""From settings to the engine they name."""

from __future__ import annotations

from scalesearch.engine.base import Engine, TrialFn
from scalesearch.engine.grouping import GroupFn
from scalesearch.engine.settings import EngineSettings

__all__ = ["create_engine"]


def create_engine(
    settings: EngineSettings, *, trial_fn: TrialFn | None = None, group_fn: GroupFn | None = None
) -> Engine:
    """The engine of `settings`, not started; `trial_fn` None is `scalesearch.trial.run_trial`.

    `group_fn` runs groups of seeds; None is `run_group` beside `run_trial`, and beside another function no groups.
    Engines whose trials run elsewhere hold the next trials already (`engine.prefetching`).

    Raises:
        MissingPackageError, ResourceError: see `RayEngine`, `TuneEngine`.
    """
    if settings.name == "serial":
        from scalesearch.engine.serial_engine import SerialEngine

        return SerialEngine(settings, trial_fn=trial_fn, group_fn=group_fn)
    from scalesearch.engine.prefetching import Prefetching

    if settings.name == "tune":
        from scalesearch.engine.tune_engine import TuneEngine

        return Prefetching(TuneEngine(settings, trial_fn=trial_fn))
    from scalesearch.engine.ray_engine import RayEngine

    return Prefetching(RayEngine(settings, trial_fn=trial_fn, group_fn=group_fn))
