"""Writes what a study of axes found into its run folder: tables, summary, figures with their data, and a page."""

from __future__ import annotations

from typing import Any

from scalesearch.report.axes_figures import axes_figures
from scalesearch.report.axes_page import axes_page
from scalesearch.report.drawing import Drawing
from scalesearch.store.run_folder import RunFolder
from scalesearch.studies.axes_fidelity import fidelity_scores
from scalesearch.studies.axes_outcome import AxesOutcome

__all__ = ["write_outcome"]


def write_outcome(run: RunFolder, outcome: AxesOutcome) -> dict[str, Any]:
    """Write every file of a finished study: trials first, because they say why, even where every training failed;
    summary.json last, because it says that the run is finished.

    Returns:
        What summary.json holds.
    """
    trials = outcome.trials()
    run.write_frame("trials.csv", trials)
    run.write_frame("trials.parquet", trials)
    curves, fits, comparisons = outcome.curves(), outcome.fits_frame(), outcome.comparisons()
    summary = outcome.summary()
    run.write_frame("curves.csv", curves)
    run.write_frame("fits.csv", fits)
    run.write_frame("comparisons.csv", comparisons)
    if outcome.records.check:
        run.write_frame("fidelity.csv", fidelity_scores(outcome.work, outcome.records))
    config_yaml = (run.path / "config.yaml").read_text(encoding="utf-8")
    Drawing(
        axes_figures(curves, fits, comparisons, summary),
        lambda pictures: axes_page(summary, curves, comparisons, pictures, config_yaml),
    ).write(run)
    run.write_json("summary.json", summary)
    run.finish()
    return summary
