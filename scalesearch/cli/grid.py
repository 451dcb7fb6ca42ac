"""`scalesearch grid`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalesearch.cli.app import app
from scalesearch.cli.options import AsJson, ConfigDir, Data, Name, Overrides, Progress
from scalesearch.cli.study import composed, now, run_folder, run_study
from scalesearch.units import format_count

if TYPE_CHECKING:
    from scalesearch.store.run_folder import RunFolder
    from scalesearch.studies.grid_settings import GridSettings

_EPILOG = """\b
Config groups, as GROUP=CHOICE; single settings as GROUP.KEY=VALUE:
  data    fashion_mnist cifar10 cifar100 imagefolder npz_jpeg synthetic
  proxy   small medium      the small stand-in that is trained for a candidate
  recipe  quick long tiny   how it is trained
  engine  ray tune serial   what runs the trainings
  race    default           how many seeds, and when a winner may be named
  debug   tiny              the whole path in about a minute

\b
Examples:
  scalesearch grid --target-flops 400M --data cifar10 data.root=FOLDER --name first
  scalesearch grid --target-flops 30M --baseline mobilenet_v2 proxy=medium engine.slots=4
"""


@app.command(epilog=_EPILOG)
def grid(
    overrides: Overrides = None,
    target_flops: Annotated[
        str | None,
        typer.Option(help="Budget of the baseline in multiply-adds (the paper says FLOPs). Default: 400M."),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="A catalog name or a spec JSON file; rescaled to the target where it is more than 10 % off. "
            "Default: efficientnet_b0."
        ),
    ] = None,
    data: Data = None,
    plan: Annotated[bool, typer.Option("--plan", help="Count and list the candidates, train nothing.")] = False,
    name: Name = None,
    runs_dir: Annotated[str | None, typer.Option(help="Where runs lie. Default: runs.")] = None,
    config_dir: ConfigDir = None,
    progress: Progress = None,
    as_json: AsJson = False,
) -> None:
    """Find alpha, beta and gamma around a baseline of about the target, on realised cost."""
    from scalesearch.config import grid_settings

    flags = {"target_flops": target_flops, "baseline": baseline, "runs_dir": runs_dir}
    values = composed("grid", overrides, data, config_dir, **flags)
    settings = grid_settings(values)
    folder = run_folder(settings.runs_dir, "grid", name or f"{format_count(settings.target_macs)}-{now()}")
    if plan:
        _plan(settings, values, folder, as_json)
        return
    run_study("grid", values, folder, as_json=as_json)


def _plan(settings: GridSettings, values: dict[str, Any], folder: RunFolder, as_json: bool) -> None:
    from scalesearch.config import to_yaml
    from scalesearch.report.tables import candidate_table
    from scalesearch.studies.grid_plan import write_plan

    sentence, rows = write_plan(settings, folder, to_yaml(values))
    kept = sum(row["kept"] == "true" for row in rows)
    typer.echo(f"{sentence}\n{len(rows)} networks of the lattice and the published rules, {kept} kept", err=True)
    typer.echo(json.dumps(rows, indent=2) if as_json else candidate_table(rows))
    typer.echo(f"all of them: {folder.path / 'candidates.csv'}", err=True)
