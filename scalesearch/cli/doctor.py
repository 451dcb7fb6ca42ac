"""`scalesearch doctor`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from scalesearch.cli.app import app
from scalesearch.cli.options import AsJson, Data, Overrides, RunsDir

_MARKS = {"fine": "ok", "note": "note", "failed": "FAILED"}


@app.command()
def doctor(
    overrides: Overrides = None,
    data: Data = None,
    runs_dir: RunsDir = "runs",
    quick: Annotated[bool, typer.Option("--quick", help="Without importing packages and starting Ray.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look for what stands in the way of a run here, with the way out for each finding. Exit 1 where something does."""
    from scalesearch.config import compose, data_choice, grid_settings
    from scalesearch.studies.doctor import Finding, examine

    choices, flags = data_choice(data)
    settings = grid_settings(compose("grid", overrides or [], choices=choices, flags=flags))
    found: list[Finding] = []
    for finding in examine(settings.data, runs_dir, quick=quick):
        found.append(finding)
        if not as_json:
            way_out = f"  -> {finding.way_out}" if finding.way_out else ""
            typer.echo(f"{_MARKS[finding.state]:6}  {finding.about}: {finding.what}{way_out}")
    failed = sum(finding.state == "failed" for finding in found)
    if as_json:
        typer.echo(json.dumps({"fine": not failed, "findings": [asdict(finding) for finding in found]}, indent=2))
    else:
        typer.echo(f"{failed} failed" if failed else "nothing stands in the way")
    if failed:
        raise typer.Exit(1)
