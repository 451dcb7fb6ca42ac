"""Runs the study of a verb: folder, screen, interrupts, and what is printed at the end."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from scalesearch.cli.progress import tell
from scalesearch.errors import InterruptedRun

if TYPE_CHECKING:
    from scalesearch.store.run_folder import RunFolder

__all__ = ["STUDIES", "composed", "named_after", "now", "run_folder", "run_study", "study_summary"]

STUDIES = ("axes", "grid", "search", "train")


def run_study(verb: str, values: dict[str, Any], folder: RunFolder, *, as_json: bool) -> None:
    """Run or continue the study of a verb and print what it found."""
    from scalesearch.store.run_folder import plain_json

    summary = study_summary(verb, values, folder)
    words = _runner(verb, values)[1]
    typer.echo(json.dumps(plain_json(summary), indent=2) if as_json else words(summary, folder.path))


def study_summary(verb: str, values: dict[str, Any], folder: RunFolder) -> dict[str, Any]:
    """Run or continue the study of a verb; returns what summary.json holds.

    Raises:
        typer.Exit: interrupted; how to continue was printed.
    """
    from scalesearch.config import to_yaml
    from scalesearch.report.listeners import EventLog
    from scalesearch.report.screen import open_screen
    from scalesearch.store.run_folder import LEDGER_FILE

    run, _ = _runner(verb, values)
    screen = open_screen().listen(EventLog(folder.path, LEDGER_FILE))
    try:
        return run(folder, to_yaml(values), screen)
    except InterruptedRun as error:
        tell(_interrupted_words(folder.path))
        raise typer.Exit(error.exit_code) from error


def _runner(verb: str, values: dict[str, Any]) -> tuple[Callable[..., dict[str, Any]], Callable[..., str]]:
    """The study of a verb with its settings, and what puts its summary into words."""
    if verb == "axes":
        from scalesearch.config import axes_settings
        from scalesearch.report.axes_words import axes_words
        from scalesearch.studies.axes import run_axes

        return partial(run_axes, axes_settings(values)), axes_words
    if verb == "search":
        from scalesearch.config import search_settings
        from scalesearch.report.search_words import search_words
        from scalesearch.studies.baseline import run_search

        return partial(run_search, search_settings(values)), search_words
    if verb == "train":
        from scalesearch.config import train_settings
        from scalesearch.report.train_words import train_words
        from scalesearch.studies.train import run_train

        return partial(run_train, train_settings(values)), train_words
    from scalesearch.config import grid_settings
    from scalesearch.report.tables import grid_words
    from scalesearch.studies.grid import run_grid

    return partial(run_grid, grid_settings(values)), grid_words


def composed(
    verb: str,
    overrides: list[str] | None,
    data: str | None,
    config_dir: str | None,
    *,
    strategy: str | None = None,
    **flags: Any,
) -> dict[str, Any]:
    """The values of a verb from its files, overrides and options; a flag or choice that is None was not given."""
    from scalesearch.config import compose, data_choice

    groups, typed = data_choice(data)
    groups |= {} if strategy is None else {"strategy": strategy}
    typed |= {key: value for key, value in flags.items() if value is not None}
    return compose(verb, overrides or [], choices=groups, flags=typed, config_dir=config_dir)


def named_after(network: str) -> str:
    """A name for a run that was given none, after a network, of whose file's name it keeps what a run's may hold."""
    return f"{re.sub('[^A-Za-z0-9]+', '_', Path(network).stem).strip('_') or 'net'}-{now()}"


def run_folder(runs_dir: str | Path, verb: str, name: str) -> RunFolder:
    """The folder of a run, checked and not created."""
    from scalesearch.store.run_folder import RunFolder

    return RunFolder.plan(runs_dir, verb, name)


def now() -> str:
    """A name for a run that was given none."""
    return time.strftime("%Y%m%d-%H%M%S")


def _interrupted_words(run: Path) -> str:
    """A run that was stopped while its data were read has no folder yet."""
    from scalesearch.store.run_folder import LEDGER_FILE

    if not (run / LEDGER_FILE).exists():
        return "interrupted before anything was started"
    return f"interrupted; what was finished is kept. Continue with: scalesearch resume {shlex.quote(str(run))}"
