"""Draws a finished run again from the files in its folder: figures and page, for every kind of study."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pandas as pd

from scalesearch.errors import InputError, RunFolderError
from scalesearch.report.axes_figures import axes_figures
from scalesearch.report.axes_page import axes_page
from scalesearch.report.drawing import Drawing
from scalesearch.report.grid_figures import grid_figures
from scalesearch.report.grid_page import grid_page
from scalesearch.report.search_figures import search_figures
from scalesearch.report.search_page import search_page
from scalesearch.store.run import Run
from scalesearch.store.run_folder import CONFIG_FILE, RunFolder

__all__ = ["FIGURES", "config_text", "draw", "page_of", "pictures_of", "redraw"]

#: the figures of each kind of study, in the order of its page
FIGURES: Final[Mapping[str, tuple[str, ...]]] = {
    "grid": ("landscape", "ranking", "accuracy_macs"),
    "search": ("progress", "front", "genes"),
    "axes": ("axes", "together", "sweeps", "iso_cost", "gain"),
}
#: what to look at where there is nothing to draw
_INSTEAD: Final = {
    "scale": "its table is family.csv",
    "train": "its curves are in metrics.csv, and in tensorboard/ with tensorboard=true",
    "emit": "its model card is README.md",
    "run": "report it by itself",
}
# a fingerprint of digits only is no number
_TEXTS: Final = dict.fromkeys(("fingerprint", "name", "curve", "rule", "outcome", "why", "reason", "verdict"), str)


def redraw(run: Run) -> Path:
    """Write figures/ and report.html of a finished run anew; nothing else in its folder is touched.

    Returns:
        The page.

    Raises:
        RunFolderError: a file is missing or of another version, or the folder cannot be written.
    """
    folder = RunFolder(run.path, run.path.parent.name, run.path.name)
    with _readable(run):
        return draw(run).write(folder)


def page_of(run: Run) -> str:
    """The page of a finished run, drawn anew; nothing is written.

    Raises:
        RunFolderError: a file is missing or of another version.
    """
    with _readable(run):
        return draw(run).html()


def pictures_of(run: Run) -> dict[str, bytes]:
    """PNG bytes of a run's figures by name, in the order of its page: as they lie in its folder, or drawn anew.

    Raises:
        RunFolderError: a file is missing or of another version.
    """
    known = FIGURES.get(str(run.summary.get("verb")), ())
    files = [run.path / "figures" / f"{name}.png" for name in known]
    if any(file.is_file() for file in files):
        return {file.stem: file.read_bytes() for file in files if file.is_file()}
    with _readable(run):
        return draw(run).pictures()


def draw(run: Run) -> Drawing:
    """The figures of a finished run.

    Raises:
        RunFolderError: a kind of run that has no report, or a file that is missing or of another version.
    """
    summary = run.summary
    verb = str(summary.get("verb"))
    if verb not in _STUDIES:
        known = ", ".join((*_STUDIES, "run"))
        raise RunFolderError(
            f"there are reports of {known}", value=verb, way_out=_INSTEAD.get(verb, "update scalesearch if it is newer")
        )
    with _readable(run):
        return _STUDIES[verb](run, summary)


def _grid(run: Run, summary: Mapping[str, Any]) -> Drawing:
    standings, config = _table(run, "standings.csv"), config_text(run)
    return Drawing(grid_figures(standings, summary), lambda pictures: grid_page(summary, standings, pictures, config))


def _search(run: Run, summary: Mapping[str, Any]) -> Drawing:
    trials, finalists, config = run.frame("trials.parquet"), _table(run, "finalists.csv"), config_text(run)
    return Drawing(
        search_figures(trials, finalists, summary),
        lambda pictures: search_page(summary, finalists, trials, pictures, config),
    )


def _axes(run: Run, summary: Mapping[str, Any]) -> Drawing:
    curves, fits, comparisons = (_table(run, name) for name in ("curves.csv", "fits.csv", "comparisons.csv"))
    config = config_text(run)
    return Drawing(
        axes_figures(curves, fits, comparisons, summary),
        lambda pictures: axes_page(summary, curves, comparisons, pictures, config),
    )


_STUDIES: Final[Mapping[str, Callable[[Run, Mapping[str, Any]], Drawing]]] = {
    "grid": _grid,
    "search": _search,
    "axes": _axes,
}


def _table(run: Run, name: str) -> pd.DataFrame:
    """A table of the run; one that was written without any column is empty."""
    path = run.path / name
    if not path.is_file():
        return run.frame(name)  # which says what is missing
    try:
        return pd.read_csv(path, dtype=_TEXTS)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()


def config_text(run: Run) -> str:
    """The run's config.yaml; empty where it has none, because results can be shown without their settings."""
    try:
        return (run.path / CONFIG_FILE).read_text(encoding="utf-8")
    except OSError:
        return ""


@contextmanager
def _readable(run: Run) -> Iterator[None]:
    """Say in one line that a run's files are not those of this version."""
    try:
        yield
    except InputError:
        raise
    except (AttributeError, ArithmeticError, LookupError, OSError, TypeError, ValueError) as error:
        raise RunFolderError(
            f"a run's summary.json and tables must be those of this scalesearch ({type(error).__name__}: {error})",
            value=str(run.path),
            way_out="repeat the run, or report it with the version that made it",
        ) from error
