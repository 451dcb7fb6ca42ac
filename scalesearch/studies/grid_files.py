"""Writes what a grid found into its run folder: tables, summary, figures with their data, and a page."""

from __future__ import annotations

from typing import Any

from scalesearch.report.drawing import Drawing
from scalesearch.report.grid_figures import grid_figures
from scalesearch.report.grid_page import grid_page
from scalesearch.store.run_folder import RunFolder
from scalesearch.studies.grid_outcome import GridOutcome

__all__ = ["write_outcome"]


def write_outcome(run: RunFolder, outcome: GridOutcome) -> dict[str, Any]:
    """Write every file of a finished grid: trials first, because they say why, even where every training failed;
    summary.json last, because it says that the run is finished.

    Returns:
        What summary.json holds.
    """
    trials = outcome.trials()
    run.write_frame("trials.csv", trials)
    run.write_frame("trials.parquet", trials)
    summary, standings = outcome.summary(), outcome.standings()
    run.write_frame("standings.csv", standings)
    config_yaml = (run.path / "config.yaml").read_text(encoding="utf-8")
    Drawing(
        grid_figures(standings, summary), lambda pictures: grid_page(summary, standings, pictures, config_yaml)
    ).write(run)
    run.write_json("summary.json", summary)
    run.finish()
    return summary
