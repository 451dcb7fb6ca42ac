"""`scalesearch resume` and `scalesearch runs`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from scalesearch.cli.app import app
from scalesearch.cli.options import AsJson, ResumeOverrides, RunsDir
from scalesearch.cli.study import STUDIES, run_folder, run_study
from scalesearch.errors import UnknownNameError


@app.command()
def resume(
    run: Annotated[str, typer.Argument(help="A run's folder, or VERB/NAME below the runs folder.")],
    overrides: ResumeOverrides = None,
    runs_dir: RunsDir = "runs",
    as_json: AsJson = False,
) -> None:
    """Continue a run where it stopped; finished work is never repeated."""
    from scalesearch.config import resumed_values
    from scalesearch.store.run import load_run

    path = next((path for path in (Path(run), Path(runs_dir) / run) if path.is_dir()), Path(run)).absolute()
    found = load_run(path)
    verb = found.verb
    if verb not in STUDIES:
        raise UnknownNameError.of("kind of run", verb, STUDIES)
    values = resumed_values(verb, found.config, overrides or [])
    run_study(verb, values, run_folder(path.parent.parent, path.parent.name, path.name), as_json=as_json)


@app.command()
def runs(runs_dir: RunsDir = "runs", as_json: AsJson = False) -> None:
    """List the runs and how they stand."""
    from scalesearch.report.tables import run_table
    from scalesearch.store.run_list import list_runs

    found = list_runs(runs_dir)
    rows = [asdict(info) | {"path": str(info.path)} for info in found]
    typer.echo(json.dumps(rows, indent=2) if as_json else run_table(found, runs_dir))
