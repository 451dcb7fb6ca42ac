"""`scalesearch scale`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalesearch.cli.app import app
from scalesearch.cli.options import AsJson, ConfigDir, Overrides
from scalesearch.cli.progress import tell
from scalesearch.cli.study import now
from scalesearch.errors import ConfigError

if TYPE_CHECKING:
    from scalesearch.store.run import Run

_EPILOG = """\b
Examples:
  scalesearch scale --phi 0:7
  scalesearch scale --from grid/NAME --phi -2:7
  scalesearch scale --baseline mobilenet_v2 --rule fast --budgets 100M,400M,1.6G
  scalesearch scale --family efficientnet
"""


@app.command(epilog=_EPILOG)
def scale(
    overrides: Overrides = None,
    from_run: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="A finished grid (baseline and winner's coefficients) or search (its best network): a folder, or "
            "VERB/NAME below the runs folder.",
        ),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="A catalog name or a spec JSON file. Default: efficientnet_b0.")
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            help="efficientnet, fast, uniform, latency_aware, depth_only, width_only or resolution_only. "
            "Default: efficientnet."
        ),
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="Base of the depth multiplier.")] = None,
    beta: Annotated[float | None, typer.Option(help="Base of the width multiplier.")] = None,
    gamma: Annotated[float | None, typer.Option(help="Base of the resolution multiplier.")] = None,
    phi: Annotated[str | None, typer.Option(help='"0:7", "-2:3", "0:2:0.5" or "0,0.5,1". Default: 0:7.')] = None,
    budgets: Annotated[str | None, typer.Option(help='Multiply-adds instead of phi: "100M,400M,1.6G".')] = None,
    solve: Annotated[
        str | None,
        typer.Option(
            help="realised: counted MACs hit 2^phi times the baseline's, or the budget. nominal: released rounding, "
            "whatever it costs. Default: realised."
        ),
    ] = None,
    fvcore: Annotated[bool, typer.Option("--fvcore", help="Count with fvcore too and compare.")] = False,
    latency: Annotated[bool, typer.Option("--latency", help="Time one picture on one CPU thread.")] = False,
    family: Annotated[
        str | None,
        typer.Option(help="Print a published family instead: efficientnet, lite, v2 or tinynet. Writes nothing."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the result.")] = None,
    runs_dir: Annotated[str | None, typer.Option(help="Where runs lie. Default: runs.")] = None,
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """Grow a baseline into a family of networks, for every phi or every budget; trains nothing."""
    given = {"baseline": baseline, "rule": rule, "alpha": alpha, "beta": beta, "gamma": gamma, "phi": phi}
    given |= {"budgets": budgets, "solve": solve, "fvcore": fvcore or None, "latency": latency or None}
    given |= {"runs_dir": runs_dir, "from_run": from_run}
    flags: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if family is not None:
        _published(family, [f"--{key.split('_')[0]}" for key in flags] + (overrides or []), as_json)
        return
    from scalesearch.config import compose
    from scalesearch.report.family_words import family_words

    summary, path = write_family(compose("scale", overrides or [], flags=flags, config_dir=config_dir), name or now())
    typer.echo(json.dumps(summary, indent=2) if as_json else family_words(summary, path))


def write_family(values: dict[str, Any], name: str) -> tuple[dict[str, Any], Path]:
    """Solve and write a family from composed values; returns what summary.json holds, and the folder."""
    from scalesearch.config import grid_settings, scale_settings, to_yaml
    from scalesearch.store.result_folder import ResultFolder
    from scalesearch.studies.family import plan_family, run_family
    from scalesearch.studies.family_settings import identity_of

    settings = scale_settings(values)
    run = _finished(values)
    grid = grid_settings(run.config) if run is not None and run.verb == "grid" else None
    if grid is not None:
        settings = scale_settings(values, grid)
    planned = plan_family(settings, run, grid)
    folder = ResultFolder.plan(settings.runs_dir, "scale", name)
    summary = run_family(
        settings,
        planned,
        folder,
        identity=identity_of(values),
        config_yaml=to_yaml(values),
        say=tell,
    )
    return summary, folder.path


def _finished(values: dict[str, Any]) -> Run | None:
    """The run of --from, as a folder or as VERB/NAME below the runs folder; its path becomes absolute."""
    if not values["from_run"]:
        return None
    from scalesearch.store.finished import run_at
    from scalesearch.studies.family_origin import run_to_scale

    run = run_to_scale(run_at(str(values["from_run"]), str(values["runs_dir"])))
    values["from_run"] = str(run.path)
    return run


def _published(family: str, others: list[str], as_json: bool) -> None:
    from scalesearch.arch.published import published_family
    from scalesearch.report.family_words import published_rows, published_words

    others = [option for option in others if option != "--runs"]
    if others:
        raise ConfigError("--family prints a published family as it is", value=others[0], way_out="leave it out")
    members = published_family(family)
    typer.echo(json.dumps(published_rows(members), indent=2) if as_json else published_words(family, members))
