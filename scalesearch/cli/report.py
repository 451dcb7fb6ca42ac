"""`scalesearch report`: draws finished runs again, or puts several side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalesearch.cli.app import app
from scalesearch.cli.options import AsJson, RunsDir
from scalesearch.errors import RunFolderError

if TYPE_CHECKING:
    from scalesearch.store.run import Run

_COMPARISON = "comparison.html"


@app.command()
def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Folders, or VERB/NAME below the runs folder.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The page. Default: the run's own figures and report.html are drawn again; of several runs, "
            f"./{_COMPARISON}."
        ),
    ] = None,
    runs_dir: RunsDir = "runs",
    as_json: AsJson = False,
) -> None:
    """Draw figures and report.html of a finished run again, or compare several runs on one page."""
    from scalesearch.store.finished import finished_run, run_at

    found = [finished_run(run_at(run, runs_dir)) for run in runs]
    if len(found) == 1 and found[0].summary.get("verb") == "run":
        from scalesearch.report.comparison_page import comparison_page

        page = _written(out or found[0].path / "report.html", comparison_page(_parts(found[0])))
    elif len(found) == 1 and out is None:
        from scalesearch.report.redraw import redraw

        page = redraw(found[0])
    elif len(found) == 1:
        from scalesearch.report.redraw import page_of

        page = _written(out or Path(), page_of(found[0]))
    else:
        from scalesearch.report.comparison_page import comparison_page

        page = _written(out or Path(_COMPARISON), comparison_page(found))
    values = {"report": str(page), "runs": [str(run.path) for run in found]}
    typer.echo(json.dumps(values, indent=2) if as_json else f"report: {page}")


def _parts(run: Run) -> list[Run]:
    """The studies that `scalesearch run` went through, in their order."""
    from scalesearch.store.finished import finished_run

    steps = run.summary.get("steps")
    return [
        finished_run(run.path.parent.parent / verb / run.name) for verb in (steps if isinstance(steps, dict) else ())
    ]


def _written(path: Path, page: str) -> Path:
    """Write the page in one step, replacing an older one."""
    from scalesearch.store.atomic import write_atomic

    try:
        write_atomic(path, page.encode())
    except OSError as error:
        raise RunFolderError(
            f"the page must be writable ({error.strerror})", value=str(path), way_out="choose another --out"
        ) from error
    return path
