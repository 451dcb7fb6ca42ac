"""The command line: verbs -> config -> study. Heavy parts are imported inside the verbs, so that --help is quick.

Exit codes: 0 done, 1 failed, 2 the user's input was wrong (one line, no traceback), 130 or 143 interrupted.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from scalesearch.errors import InterruptedRun, ScaleSearchError
from scalesearch.units import format_count

if TYPE_CHECKING:
    from scalesearch.store.run_folder import RunFolder
    from scalesearch.studies.grid_settings import GridSettings

__all__ = ["app", "main"]

app = typer.Typer(
    name="scalesearch",
    help="How should my network grow? Compound scaling found on realised cost, with evidence.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_GRID_EPILOG = """\b
Config groups, as GROUP=CHOICE; single settings as GROUP.KEY=VALUE:
  data    fashion_mnist cifar10 cifar100 imagefolder npz_jpeg synthetic
  proxy   small medium      the small stand-in that is trained for a candidate
  recipe  quick long tiny   how it is trained
  engine  ray serial        what runs the trainings
  race    default           how many seeds, and when a winner may be named
  debug   tiny              the whole path in about a minute

\b
Examples:
  scalesearch grid --target-flops 400M --data cifar10 data.root=FOLDER --name first
  scalesearch grid --target-flops 30M --baseline mobilenet_v2 proxy=medium engine.slots=4
"""

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Hydra overrides: data=cifar10 proxy.epochs=2 debug=tiny"),
]
ResumeOverrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Settings that change no result: engine=serial engine.slots=4 minutes=20 race.max_trainings=80 "
        "verify=false data.path=MOVED",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Name = Annotated[str | None, typer.Option(help="Of the run; repeating a name continues it.")]
RunsDir = Annotated[str, typer.Option(help="Where runs lie.")]
ConfigDir = Annotated[str | None, typer.Option(help="A folder with config groups of your own.")]


@app.command(epilog=_GRID_EPILOG)
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
    data: Annotated[
        str | None,
        typer.Option(help="A data set's name, a folder of class folders, a .npz file. Default: fashion_mnist."),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Count and list the candidates, train nothing.")] = False,
    name: Name = None,
    runs_dir: Annotated[str | None, typer.Option(help="Where runs lie. Default: runs.")] = None,
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """Find alpha, beta and gamma around a baseline of about the target, on realised cost."""
    from scalesearch.config import compose, data_choice, grid_settings

    choices, flags = data_choice(data)
    given = {"target_flops": target_flops, "baseline": baseline, "runs_dir": runs_dir}
    flags |= {key: value for key, value in given.items() if value is not None}
    values = compose("grid", overrides or [], choices=choices, flags=flags, config_dir=config_dir)
    settings = grid_settings(values)
    folder = _folder(settings.runs_dir, "grid", name or f"{format_count(settings.target_macs)}-{_now()}")
    _grid(settings, values, folder, plan_only=plan, as_json=as_json)


@app.command()
def cost(
    spec: Annotated[str, typer.Argument(help="A catalog name (efficientnet_b0) or a spec JSON file.")],
    resolution: Annotated[int | None, typer.Option(help="Input side in px instead of the network's own.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Count with fvcore too and compare.")] = False,
    latency: Annotated[bool, typer.Option("--latency", help="Time one picture on one CPU thread.")] = False,
    as_json: AsJson = False,
) -> None:
    """Multiply-adds, parameters and activations of a network, stage by stage."""
    from scalesearch.arch.catalog import load_spec
    from scalesearch.report.tables import cost_report, cost_table

    net = load_spec(spec)
    if resolution is not None:
        net = net.with_(resolution=resolution)
    report = cost_report(net)
    if verify:
        from scalesearch.measure.verify import verify as count_with_fvcore

        counts = count_with_fvcore(net)
        report |= {"fvcore_macs": counts.macs, "fvcore_total": counts.total}
    if latency:
        from scalesearch.measure.latency import latency as measure_latency

        report |= {"latency": asdict(measure_latency(net))}
    typer.echo(json.dumps(report, indent=2) if as_json else cost_table(report))


@app.command()
def resume(
    run: Annotated[str, typer.Argument(help="A run's folder, or VERB/NAME below the runs folder.")],
    overrides: ResumeOverrides = None,
    runs_dir: RunsDir = "runs",
    as_json: AsJson = False,
) -> None:
    """Continue a run where it stopped; finished work is never repeated."""
    from scalesearch.config import grid_settings, resumed_values
    from scalesearch.store.run import load_run

    path = next((path for path in (Path(run), Path(runs_dir) / run) if path.is_dir()), Path(run)).absolute()
    values = resumed_values(load_run(path).config, overrides or [])
    _grid(grid_settings(values), values, _folder(path.parent.parent, path.parent.name, path.name), as_json=as_json)


@app.command()
def runs(runs_dir: RunsDir = "runs", as_json: AsJson = False) -> None:
    """List the runs and how they stand."""
    from scalesearch.report.tables import run_table
    from scalesearch.store.run_list import list_runs

    found = list_runs(runs_dir)
    rows = [asdict(info) | {"path": str(info.path)} for info in found]
    typer.echo(json.dumps(rows, indent=2) if as_json else run_table(found, runs_dir))


def _grid(
    settings: GridSettings, values: dict[str, Any], folder: RunFolder, *, plan_only: bool = False, as_json: bool
) -> None:
    if plan_only:
        _plan(settings, values, folder, as_json)
        return
    from scalesearch.config import to_yaml
    from scalesearch.report.screen import open_screen
    from scalesearch.report.tables import grid_words
    from scalesearch.studies.grid import run_grid

    try:
        summary = run_grid(settings, folder, to_yaml(values), open_screen())
    except InterruptedRun as error:
        typer.echo(_interrupted_words(folder.path), err=True)
        raise typer.Exit(error.exit_code) from error
    typer.echo(json.dumps(summary, indent=2) if as_json else grid_words(summary, folder.path))


def _plan(settings: GridSettings, values: dict[str, Any], folder: RunFolder, as_json: bool) -> None:
    from scalesearch.config import to_yaml
    from scalesearch.report.tables import candidate_table
    from scalesearch.studies.grid_plan import write_plan

    sentence, rows = write_plan(settings, folder, to_yaml(values))
    kept = sum(row["kept"] == "true" for row in rows)
    typer.echo(f"{sentence}\n{len(rows)} networks of the lattice and the published rules, {kept} kept", err=True)
    typer.echo(json.dumps(rows, indent=2) if as_json else candidate_table(rows))
    typer.echo(f"all of them: {folder.path / 'candidates.csv'}", err=True)


def _interrupted_words(run: Path) -> str:
    """A run that was stopped while its data were read has no folder yet."""
    from scalesearch.store.run_folder import LEDGER_FILE

    if not (run / LEDGER_FILE).exists():
        return "interrupted before anything was started"
    return f"interrupted; what was finished is kept. Continue with: scalesearch resume {shlex.quote(str(run))}"


def _folder(runs_dir: str | Path, verb: str, name: str) -> RunFolder:
    from scalesearch.store.run_folder import RunFolder

    return RunFolder.plan(runs_dir, verb, name)


def _now() -> str:
    return time.strftime("%Y%m%d-%H%M%S")


def main() -> NoReturn:
    """Entry point: run the app and turn errors into one line and an exit code."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        # outside standalone mode typer returns the code of typer.Exit instead of exiting
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except ScaleSearchError as error:
        code = error.exit_code
        _complain(str(error), getattr(error, "table", ""))
    except (KeyboardInterrupt, typer.Abort):
        code = 130
        _complain("interrupted before anything was started")
    except BrokenPipeError:
        # the reader of our output went away (| head): that is no failure of ours, and nothing can be printed
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        code = 0
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        code = 2  # typer's usage errors: unknown option, missing argument
        _complain(" ".join(error.format_message().split()) + "; see scalesearch --help")
    sys.exit(code if isinstance(code, int) else 0)


def _complain(line: str, table: str = "") -> None:
    text = f"error: {line}" + (f"\n{table}" if table else "")
    # in the C locale stderr may not hold every character of a path
    encoding = sys.stderr.encoding or "ascii"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)
