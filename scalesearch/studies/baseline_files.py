"""Writes what a search found into its run folder: tables, specs, summary, figures with their data, and a page."""

from __future__ import annotations

from typing import Any

from scalesearch.report.drawing import Drawing
from scalesearch.report.search_figures import search_figures
from scalesearch.report.search_page import search_page
from scalesearch.store.run_folder import RunFolder
from scalesearch.studies.baseline_outcome import BaselineOutcome

__all__ = ["write_outcome"]


def write_outcome(run: RunFolder, outcome: BaselineOutcome) -> dict[str, Any]:
    """Write every file of a finished search: trials first, because they say why, even where every training failed;
    summary.json last, because it says that the run is finished.

    Returns:
        What summary.json holds.
    """
    trials = outcome.trials()
    run.write_frame("trials.csv", trials)
    run.write_frame("trials.parquet", trials)
    run.write_frame("candidates.csv", outcome.candidates())
    summary, finalists = outcome.summary(), outcome.finalists()
    run.write_frame("front.csv", outcome.front())
    run.write_frame("finalists.csv", finalists)
    run.write_text("best.json", outcome.best.to_json())
    config_yaml = (run.path / "config.yaml").read_text(encoding="utf-8")
    Drawing(
        search_figures(trials, finalists, summary),
        lambda pictures: search_page(summary, finalists, trials, pictures, config_yaml),
    ).write(run)
    run.write_json("summary.json", summary)
    run.finish()
    return summary
