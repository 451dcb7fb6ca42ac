"""`scalesearch axes`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from scalesearch.cli.app import app
from scalesearch.cli.options import AsJson, ConfigDir, Data, Name, Overrides, Progress
from scalesearch.cli.study import composed, named_after, run_folder, run_study

_EPILOG = """\b
Config groups, as GROUP=CHOICE; single settings as GROUP.KEY=VALUE:
  curves  quick paper figure4 imagenette   which networks: quick compares four curves at equal realised cost
  data    fashion_mnist cifar10 cifar100 imagefolder npz_jpeg synthetic
  proxy   small medium      the small stand-in that is trained for a network
  recipe  quick long tiny   how it is trained
  engine  ray tune serial   what runs the trainings
  debug   tiny              the whole path in about a minute

\b
Examples:
  scalesearch axes --name first
  scalesearch axes --baseline runs/search/first/best.json curves.ratios=[0.5,1,2,4]
  scalesearch axes curves=imagenette data.path=FILE.npz check.epochs=24
"""


@app.command(epilog=_EPILOG)
def axes(
    overrides: Overrides = None,
    baseline: Annotated[
        str | None, typer.Option(help="A catalog name or a spec JSON file. Default: efficientnet_b0.")
    ] = None,
    target_flops: Annotated[
        str | None,
        typer.Option(help="Multiply-adds that the baseline is brought to. Default: the baseline as it is."),
    ] = None,
    data: Data = None,
    plan: Annotated[bool, typer.Option("--plan", help="Count and list the networks, train nothing.")] = False,
    name: Name = None,
    runs_dir: Annotated[str | None, typer.Option(help="Where runs lie. Default: runs.")] = None,
    config_dir: ConfigDir = None,
    progress: Progress = None,
    as_json: AsJson = False,
) -> None:
    """Show how accuracy grows with width, depth, resolution and all three, and where each stops paying."""
    from scalesearch.config import axes_settings

    flags = {"target_flops": target_flops, "baseline": baseline, "runs_dir": runs_dir}
    values = composed("axes", overrides, data, config_dir, **flags)
    settings = axes_settings(values)
    if plan:
        from scalesearch.report.axes_words import plan_words
        from scalesearch.studies.axes_plan import plan_axes
        from scalesearch.studies.axes_proxies import candidate_rows

        planned = plan_axes(settings)
        rows = candidate_rows(planned)
        typer.echo(json.dumps(rows, indent=2) if as_json else plan_words(planned.sentence(), rows))
        return
    folder = run_folder(settings.runs_dir, "axes", name or named_after(settings.baseline))
    run_study("axes", values, folder, as_json=as_json)
