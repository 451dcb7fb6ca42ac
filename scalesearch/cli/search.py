"""`scalesearch search`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from scalesearch.cli.app import app
from scalesearch.cli.options import AsJson, ConfigDir, Data, Name, Overrides, Progress
from scalesearch.cli.study import composed, now, run_folder, run_study
from scalesearch.units import format_count

_EPILOG = """\b
Config groups, as GROUP=CHOICE; single settings as GROUP.KEY=VALUE:
  data       fashion_mnist cifar10 cifar100 imagefolder npz_jpeg synthetic
  space      mnasnet wide small nas_bench_macro
  strategy   surrogate evolution tpe nsga2 gp policy_gradient random
  evaluator  train table          trainings, or a CSV of published results
  proxy      small medium         the small stand-in that is trained for a network
  recipe     quick long tiny      how it is trained
  engine     ray tune serial      what runs the trainings
  race       finals               seeds of the best networks before one is called best
  debug      tiny                 the whole path in about a minute

\b
Examples:
  scalesearch search --target-flops 400M --name first
  scalesearch grid --target-flops 400M --baseline runs/search/first/best.json
"""


@app.command(epilog=_EPILOG)
def search(
    overrides: Overrides = None,
    target_flops: Annotated[
        str | None,
        typer.Option(help="Budget of the baseline in multiply-adds (the paper says FLOPs). Default: 400M."),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(help="The network the space surrounds: a catalog name or a spec JSON. Default: efficientnet_b0."),
    ] = None,
    data: Data = None,
    strategy: Annotated[
        str | None,
        typer.Option(help="surrogate, evolution, tpe, nsga2, gp, policy_gradient or random. Default: surrogate."),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Describe the space and its reach, train nothing.")] = False,
    name: Name = None,
    runs_dir: Annotated[str | None, typer.Option(help="Where runs lie. Default: runs.")] = None,
    config_dir: ConfigDir = None,
    progress: Progress = None,
    as_json: AsJson = False,
) -> None:
    """Find a baseline network of about the target under the MnasNet objective ACC * (cost / T)^w."""
    from scalesearch.config import search_settings

    flags = {"target_flops": target_flops, "base": base, "runs_dir": runs_dir}
    values = composed("search", overrides, data, config_dir, strategy=strategy, **flags)
    settings = search_settings(values)
    if plan:
        from scalesearch.report.search_words import space_words
        from scalesearch.studies.baseline_plan import plan_search

        planned = plan_search(settings)
        overview = planned.overview()
        typer.echo(json.dumps(overview, indent=2) if as_json else space_words(planned.sentence(), overview))
        return
    folder = run_folder(settings.runs_dir, "search", name or f"{format_count(settings.target_macs)}-{now()}")
    run_study("search", values, folder, as_json=as_json)
