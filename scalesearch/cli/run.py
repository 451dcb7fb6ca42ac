"""`scalesearch run`: search, grid, axes, family and emitted files, each a run that can be continued by itself."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalesearch.cli.app import app
from scalesearch.cli.options import AsJson, Data, Name, Overrides, Progress
from scalesearch.cli.progress import tell
from scalesearch.cli.study import now, run_folder, study_summary
from scalesearch.errors import SpecError
from scalesearch.units import format_count, format_seconds, parse_count

if TYPE_CHECKING:
    from scalesearch.config.pipeline import Step
    from scalesearch.config.pipeline_shape import PipelineConfig
    from scalesearch.studies.pace import Pace

_GROUPS = ("data", "data.", "proxy", "proxy.", "recipe", "recipe.", "engine", "engine.")
_STEPS = ("search", "grid", "axes")
_EPILOG = """\b
Overrides of data, proxy, recipe and engine go to every step, STEP.KEY=VALUE to one of them:
  scalesearch run --target-flops 400M data=cifar10 data.root=FOLDER grid.max_candidates=16
  scalesearch run --target-flops 400M --budget-minutes 20 --name first
Repeating a name continues every step where it stopped.
"""


@app.command(epilog=_EPILOG)
def run(
    overrides: Overrides = None,
    target_flops: Annotated[str | None, typer.Option(help="Budget in multiply-adds. Default: 400M.")] = None,
    baseline: Annotated[
        str | None, typer.Option(help="A catalog name or spec JSON file instead of a searched baseline.")
    ] = None,
    budget_minutes: Annotated[float | None, typer.Option(help="For all of it. Default: 45.")] = None,
    data: Data = None,
    name: Name = None,
    runs_dir: Annotated[str | None, typer.Option(help="Where runs lie. Default: runs.")] = None,
    progress: Progress = None,
    as_json: AsJson = False,
) -> None:
    """All of it: baseline, grid, axes, family, emitted files and one report, within a budget of minutes."""
    from scalesearch.config import compose, data_choice
    from scalesearch.config.pipeline import pipeline_of, steps_of

    choices, flags = data_choice(data)
    own, shared, of_step, tiny = _sorted_out(overrides or [])
    given = {"target_flops": target_flops, "baseline": baseline, "budget_minutes": budget_minutes}
    given["runs_dir"] = runs_dir
    values = compose("run", own, flags={key: value for key, value in given.items() if value is not None})
    config = pipeline_of(values)
    name = name or f"{format_count(parse_count(config.target_flops))}-{now()}"
    steps = steps_of(config, shared, of_step, tiny=tiny)
    pace = _pace(config, name, steps)
    planned = pace.plan()
    for step in steps:  # everything that can be refused is refused before the first training
        run_folder(config.runs_dir, step.verb, name)
        step.values(config, choices, flags, minutes=planned.get(step.verb))
    tell(
        "steps: "
        + ", ".join(f"{step.verb} {planned[step.verb]:g} min" if planned else step.verb for step in steps)
        + f", scale --phi {config.phi}, emit {','.join(config.formats)}, report"
    )
    parts, base = dict[str, Any](), config.baseline
    for step in steps:
        from_base = {} if base is None or step.verb == "search" else {"baseline": base}
        minutes = pace.give(step.verb) if planned else None
        composed = step.values(config, choices, {**flags, **from_base}, minutes=minutes)
        tell(f"== {step.verb}" + (f", {minutes:g} min of training" if minutes else ""))
        parts[step.verb] = _timed(step.verb, composed, config.runs_dir, name, pace)
        if step.verb == "search":
            base = str((Path(config.runs_dir) / "search" / name / "best.json").absolute())
    summary = _deliver(config, name, parts, pace)
    typer.echo(json.dumps(summary, indent=2) if as_json else _words(summary))


def _sorted_out(overrides: list[str]) -> tuple[list[str], list[str], dict[str, list[str]], bool]:
    """Overrides of `run` itself, of every step, of single steps by verb; and whether all of it shall be tiny."""
    shared = [text for text in overrides if text.split("=")[0].startswith(_GROUPS)]
    of_step = {verb: [text[len(verb) + 1 :] for text in overrides if text.startswith(f"{verb}.")] for verb in _STEPS}
    single = tuple(f"{verb}." for verb in _STEPS)
    own = [text for text in overrides if not (text in shared or text == "debug=tiny" or text.startswith(single))]
    return own, shared, of_step, "debug=tiny" in overrides


def _timed(verb: str, values: dict[str, Any], runs_dir: str, name: str, pace: Pace) -> dict[str, Any]:
    """The summary of a step, whose time the pace hears of."""
    started = time.monotonic()
    try:
        summary = study_summary(verb, values, run_folder(runs_dir, verb, name))
    except typer.Exit:  # interrupted; what is refused leaves nothing behind
        pace.took(verb, time.monotonic() - started)
        tell(f"then repeat `scalesearch run` as it was, with --name {name}, for the steps that follow")
        raise
    pace.took(verb, time.monotonic() - started)
    return summary


def _pace(config: PipelineConfig, name: str, steps: list[Step]) -> Pace:
    """Minutes for every step with a share, after a look at the folders that are written last."""
    from scalesearch.store.result_folder import ResultFolder
    from scalesearch.store.results import PACE_FILE
    from scalesearch.store.run_paths import run_path
    from scalesearch.studies.pace import Pace

    ResultFolder.plan(config.runs_dir, "scale", name)
    shares = {step.verb: step.share for step in steps if step.share is not None}
    home = run_path(config.runs_dir, "run", name)
    return Pace(home / PACE_FILE, config.budget_minutes, config.overhead_minutes, shares)


def _deliver(config: PipelineConfig, name: str, parts: dict[str, Any], pace: Pace) -> dict[str, Any]:
    """The family, its files and the report, all below runs/run/NAME."""
    from scalesearch.cli.scale import write_family
    from scalesearch.config import compose
    from scalesearch.report.comparison_page import comparison_page
    from scalesearch.store.atomic import write_atomic
    from scalesearch.store.run import load_run
    from scalesearch.store.run_folder import plain_json
    from scalesearch.studies.delivery import deliver, gather

    started, runs = time.monotonic(), Path(config.runs_dir)
    grid = runs / "grid" / name
    tell("== scale, emit, report")
    values = compose("scale", flags={"from_run": str(grid), "phi": config.phi, "runs_dir": config.runs_dir})
    family, _ = write_family(values, name)
    home = runs / "run" / name
    home.mkdir(parents=True, exist_ok=True)
    emitted, notes = [], []
    networks = gather([str(runs / "scale" / name)], runs)
    for format in config.formats:
        try:
            emitted += deliver(networks, home / "emitted" / format, [format])
        except SpecError as error:  # a searched network may have blocks that a library does not know
            notes.append(str(error))
    write_atomic(home / "report.html", comparison_page([load_run(runs / verb / name) for verb in parts]).encode())
    seconds = {**pace.seconds, "delivery": time.monotonic() - started}
    summary = {
        "verb": "run",
        "name": name,
        "target_flops": config.target_flops,
        "budget_minutes": config.budget_minutes,
        "steps": {verb: {"run": f"{verb}/{name}", "sentence": part["sentence"]} for verb, part in parts.items()},
        "family": family["sentence"],
        "notes": notes,
        "emitted": sorted({str(row.path) for row in emitted}),
        "report": str(home / "report.html"),
        "seconds": seconds,
        "wall_seconds": sum(seconds.values()),
    }
    write_atomic(home / "summary.json", (json.dumps(plain_json(summary), indent=2) + "\n").encode())
    return summary


def _words(summary: dict[str, Any]) -> str:
    lines = [f"{verb}: {step['sentence']}" for verb, step in summary["steps"].items()]
    lines += [f"family: {summary['family']} ({len(summary['emitted'])} files)"]
    lines += [f"note: {note}" for note in summary["notes"]]
    each = ", ".join(f"{step} {format_seconds(seconds)}" for step, seconds in summary["seconds"].items())
    lines += [f"{format_seconds(summary['wall_seconds'])} in all: {each}"]
    return "\n".join([*lines, f"report: {summary['report']}"])
