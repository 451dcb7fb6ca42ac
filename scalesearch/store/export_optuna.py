"""An Optuna study in an SQLite file, for optuna-dashboard: one trial per training."""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scalesearch.store.export_table import ExportedTrial, Scalar, exported_trials
from scalesearch.store.run import Run

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

__all__ = ["write_optuna"]

# continuous ones; all other parameters were chosen from a list
_CONTINUOUS: Final = frozenset(
    {"alpha", "beta", "gamma", "width_multiplier", "depth_multiplier", "resolution_multiplier"}
)


def write_optuna(run: Run, path: Path) -> None:
    """Write the study VERB/NAME of a finished run to a new SQLite file.

    The value of a trial is the study's objective, or the accuracy where it has none; its parameters are genes,
    coefficients or multipliers; its user attributes are everything else, among them name, cost and accuracy. A training
    without a result is in state FAIL. The one intermediate value is the objective at the number of epochs trained.
    """
    import optuna

    trials, name = exported_trials(run), "/".join(run.path.parts[-2:])
    ranges = _distributions(trials)
    metric = "objective" if any("objective" in trial.attributes for trial in trials) else "accuracy"
    # in memory first, because Optuna commits many times per trial
    storage = optuna.storages.RDBStorage("sqlite://")
    try:
        with _quiet():
            study = optuna.create_study(storage=storage, study_name=name, direction="maximize")
            study.set_metric_names([metric])
        study.set_user_attr("scalesearch", str(run.summary.get("sentence", "")))
        study.add_trials([_frozen(trial) for trial in trials])
        connection = storage.engine.raw_connection()
        with closing(sqlite3.connect(path)) as file:
            assert isinstance(connection.driver_connection, sqlite3.Connection)
            connection.driver_connection.backup(file)
            _add_details(file, trials, ranges)
    finally:
        storage.engine.dispose()


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna announces studies, and that names of metrics are a new feature."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _distributions(trials: Sequence[ExportedTrial]) -> dict[str, BaseDistribution]:
    """What each parameter was drawn from, as far as the trials show."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    values: dict[str, set[Scalar]] = {}
    for trial in trials:
        for name, value in trial.params.items():
            values.setdefault(name, set()).add(value)
    return {
        name: FloatDistribution(min(map(float, found)), max(map(float, found)))
        if name in _CONTINUOUS
        else CategoricalDistribution(sorted(found, key=lambda value: (isinstance(value, str), value)))
        for name, found in values.items()
    }


def _add_details(
    file: sqlite3.Connection, trials: Sequence[ExportedTrial], ranges: dict[str, BaseDistribution]
) -> None:
    """Parameters and attributes, row by row: through Optuna each takes several queries, 90 s for 1,000 trials."""
    from optuna.distributions import distribution_to_json

    ids = [row[0] for row in file.execute("SELECT trial_id FROM trials ORDER BY number")]
    texts = {name: distribution_to_json(found) for name, found in ranges.items()}
    params = [
        (number, name, ranges[name].to_internal_repr(value), texts[name])
        for number, trial in zip(ids, trials, strict=True)
        for name, value in trial.params.items()
    ]
    attributes = [
        (number, name, json.dumps(value))
        for number, trial in zip(ids, trials, strict=True)
        for name, value in trial.attributes.items()
    ]
    with file:
        file.executemany(
            "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES (?, ?, ?, ?)",
            params,
        )
        file.executemany("INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (?, ?, ?)", attributes)


def _frozen(trial: ExportedTrial) -> FrozenTrial:
    """State, value and times of a trial."""
    from optuna.trial import TrialState, create_trial

    at_end = {} if trial.epochs is None or trial.objective is None else {trial.epochs: trial.objective}
    made = create_trial(
        state=TrialState.COMPLETE if trial.done else TrialState.FAIL,
        value=trial.objective,
        intermediate_values=at_end,
    )
    if trial.started is not None:
        made.datetime_start = datetime.fromtimestamp(trial.started)
    if trial.finished is not None:
        made.datetime_complete = datetime.fromtimestamp(trial.finished)
    return made
