"""`scalesearch resume`, `scalesearch runs` and `scalesearch runs export`."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from typing import Annotated

import typer

from scalesearch.cli.app import app
from scalesearch.cli.options import AsJson, Progress, ResumeOverrides, RunsDir
from scalesearch.cli.study import STUDIES, run_folder, run_study
from scalesearch.errors import UnknownNameError


@app.command()
def resume(
    run: Annotated[str, typer.Argument(help="A run's folder, or VERB/NAME below the runs folder.")],
    overrides: ResumeOverrides = None,
    runs_dir: RunsDir = "runs",
    progress: Progress = None,
    as_json: AsJson = False,
) -> None:
    """Continue a run where it stopped; finished work is never repeated."""
    from scalesearch.config import resumed_values
    from scalesearch.store.finished import run_at
    from scalesearch.store.run import load_run

    path = run_at(run, runs_dir)
    found = load_run(path)
    verb = found.verb
    if verb not in STUDIES:
        raise UnknownNameError.of("kind of run", verb, STUDIES)
    values = resumed_values(verb, found.config, overrides or [])
    run_study(verb, values, run_folder(path.parent.parent, path.parent.name, path.name), as_json=as_json)


_runs = typer.Typer(invoke_without_command=True, rich_markup_mode=None, add_completion=False)
app.add_typer(_runs, name="runs")


@_runs.callback()
def runs(context: typer.Context, runs_dir: RunsDir = "runs", as_json: AsJson = False) -> None:
    """List the runs and how they stand; `runs export` writes one for other viewers."""
    if context.invoked_subcommand is not None:
        return
    from scalesearch.report.tables import run_table
    from scalesearch.store.run_list import list_runs

    found = list_runs(runs_dir)
    rows = [asdict(info) | {"path": str(info.path)} for info in found]
    typer.echo(json.dumps(rows, indent=2) if as_json else run_table(found, runs_dir))


@_runs.command()
def export(
    run: Annotated[str, typer.Argument(help="A run's folder, or VERB/NAME below the runs folder.")],
    to: Annotated[
        str, typer.Option(help="optuna (for optuna-dashboard), tensorboard, csv, parquet, or folder (all of it).")
    ],
    out: Annotated[
        str, typer.Option(help="The new file; a new folder for tensorboard and folder, or s3://BUCKET/PATH.")
    ],
    runs_dir: RunsDir = "runs",
    as_json: AsJson = False,
) -> None:
    """Write the trainings of a finished run for another tool; nothing that exists is replaced."""
    from scalesearch.store.export import export_run
    from scalesearch.store.finished import finished_run, run_at

    path = export_run(finished_run(run_at(run, runs_dir)), to, out)
    opened = {
        "optuna": f"optuna-dashboard sqlite:///{path}",
        "tensorboard": f"tensorboard --logdir {shlex.quote(str(path))}",
    }.get(to)
    values = {"path": str(path), "to": to, "open_with": opened}
    words = f"{path}\nopen it with: {opened}" if opened else str(path)
    typer.echo(json.dumps(values, indent=2) if as_json else words)
