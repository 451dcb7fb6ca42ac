"""TensorBoard event files: the course of a run as scalars, and every training as a session of the HParams tab."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from scalesearch.errors import MissingPackageError
from scalesearch.store.export_table import ExportedTrial, Scalar, exported_trials
from scalesearch.store.run import Run

__all__ = ["write_tensorboard"]

_FILE: Final = "events.out.tfevents.{time}.scalesearch"
_METRICS: Final = ("objective", "accuracy", "cost")
_HPARAMS: Final = ("api_pb2", "metadata", "plugin_data_pb2")
_VERSION: Final = "brain.Event:2"


def write_tensorboard(run: Run, path: Path) -> None:
    """Write a new log folder for `tensorboard --logdir`.

    Its own event file has the scalars objective, accuracy, cost and best_objective over the trainings in the order in
    which they ended; trials/NUMBER_NAME/ is one training each, with its parameters.

    Raises:
        MissingPackageError: the package tensorboard is absent.
    """
    trials = exported_trials(run)
    names = sorted({name for trial in trials for name in trial.params})
    course: list[tuple[Any, int, float]] = [(_experiment(trials, names), 0, trials[0].started or 0.0)] if trials else []
    course += [(_scalar(tag, value), step, when) for tag, value, step, when in _course(trials)]
    _write_events(path, course)
    for number, trial in enumerate(trials):
        start, end = trial.started or 0.0, trial.finished or 0.0
        known = {name: value for name in _METRICS if (value := _metric(trial, name)) is not None}
        session = [(_session_start(trial, start), 0, start)]
        session += [(_scalar(name, value), trial.epochs or 0, end) for name, value in known.items()]
        session.append((_session_end(trial, end), 0, end))
        _write_events(path / "trials" / f"{number:04d}_{_file_name(trial.name)}", session)


def _course(trials: Sequence[ExportedTrial]) -> Iterator[tuple[str, float, int, float]]:
    """(tag, value, step, time) of every scalar; what is missing is left out."""
    best = float("-inf")
    for step, trial in enumerate(trials):
        when = trial.finished or 0.0
        for name in _METRICS:
            value = _metric(trial, name)
            if value is not None:
                yield name, value, step, when
        if trial.objective is not None:
            best = max(best, trial.objective)
            yield "best_objective", best, step, when


def _metric(trial: ExportedTrial, name: str) -> float | None:
    value = {"objective": trial.objective, "cost": trial.cost}.get(name, trial.attributes.get(name))
    return None if value is None or isinstance(value, str) else float(value)


def _write_events(folder: Path, summaries: Sequence[tuple[Any, int, float]]) -> None:
    """One event file of (summary, step, seconds since 1970)."""
    new_event = _part("compat.proto.event_pb2").Event
    folder.mkdir(parents=True)
    first = summaries[0][2] if summaries else 0.0
    with (folder / _FILE.format(time=f"{first:010.0f}")).open("wb") as file:
        writer = _part("summary.writer.record_writer").RecordWriter(file)
        writer.write(new_event(wall_time=first, file_version=_VERSION).SerializeToString())
        for summary, step, when in summaries:
            writer.write(new_event(wall_time=when, step=step, summary=summary).SerializeToString())


def _scalar(tag: str, value: float) -> Any:
    summary = _part("compat.proto.summary_pb2").Summary
    return summary(value=[summary.Value(tag=tag, simple_value=value)])


def _experiment(trials: Sequence[ExportedTrial], names: Sequence[str]) -> Any:
    """What the HParams tab shows: parameters with their types, and metrics."""
    api_pb2, metadata, plugin_data_pb2 = (_part(f"plugins.hparams.{name}") for name in _HPARAMS)
    kinds = {bool: "DATA_TYPE_BOOL", int: "DATA_TYPE_FLOAT64", float: "DATA_TYPE_FLOAT64", str: "DATA_TYPE_STRING"}
    first = {name: next(trial.params[name] for trial in trials if name in trial.params) for name in names}
    experiment = api_pb2.Experiment(
        hparam_infos=[
            api_pb2.HParamInfo(name=name, type=api_pb2.DataType.Value(kinds[type(value)]))
            for name, value in first.items()
        ],
        metric_infos=[api_pb2.MetricInfo(name=api_pb2.MetricName(tag=name)) for name in _METRICS],
    )
    return _tagged(metadata.EXPERIMENT_TAG, plugin_data_pb2.HParamsPluginData(experiment=experiment))


def _session_start(trial: ExportedTrial, when: float) -> Any:
    _, metadata, plugin_data_pb2 = (_part(f"plugins.hparams.{name}") for name in _HPARAMS)
    info = plugin_data_pb2.SessionStartInfo(group_name=trial.name, start_time_secs=when)
    _fill(info.hparams, trial.params)
    return _tagged(metadata.SESSION_START_INFO_TAG, plugin_data_pb2.HParamsPluginData(session_start_info=info))


def _session_end(trial: ExportedTrial, when: float) -> Any:
    api_pb2, metadata, plugin_data_pb2 = (_part(f"plugins.hparams.{name}") for name in _HPARAMS)
    status = api_pb2.STATUS_SUCCESS if trial.done else api_pb2.STATUS_FAILURE
    info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=when)
    return _tagged(metadata.SESSION_END_INFO_TAG, plugin_data_pb2.HParamsPluginData(session_end_info=info))


def _fill(hparams: Any, params: Mapping[str, Scalar]) -> None:
    for name, value in params.items():
        if isinstance(value, bool):
            hparams[name].bool_value = value
        elif isinstance(value, str):
            hparams[name].string_value = value
        else:
            hparams[name].number_value = float(value)


def _tagged(tag: str, data: Any) -> Any:
    summary = _part("compat.proto.summary_pb2").Summary
    described = _part("plugins.hparams.metadata").create_summary_metadata(data)
    return summary(value=[summary.Value(tag=tag, metadata=described)])


def _part(name: str) -> Any:
    """A module of tensorboard, which has no types."""
    try:
        return import_module(f"tensorboard.{name}")
    except ImportError as error:
        raise MissingPackageError(
            "event files need the package tensorboard", way_out="pip install tensorboard"
        ) from error


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)[:80]
