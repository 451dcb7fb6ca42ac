"""The figures of a grid: for each the frame behind it, then the drawing of that frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from scalesearch.report.accuracy import accuracy_data, draw_accuracy
from scalesearch.report.landscape import draw_landscape, landscape_data
from scalesearch.report.ranking import draw_ranking, ranking_data

__all__ = [
    "accuracy_data",
    "draw_accuracy",
    "draw_landscape",
    "draw_ranking",
    "grid_figures",
    "landscape_data",
    "ranking_data",
]


def grid_figures(standings: pd.DataFrame, summary: Mapping[str, Any]) -> dict[str, tuple[pd.DataFrame, Figure]]:
    """Every figure of a grid by name, with the frame it was drawn from.

    Args:
        standings: one row per trained candidate, at least one.
        summary: `ratio` and `baseline.macs`; where it has a `tolerance` and the constraint is on counted MACs, the
            accuracy figure shows it.
    """
    ratio = float(summary["ratio"])
    tolerance = summary.get("tolerance") if summary.get("constraint") == "realised" else None
    landscape = landscape_data(standings, ratio=ratio)
    accuracy = accuracy_data(
        standings, baseline_macs=int(summary["baseline"]["macs"]), ratio=ratio, tolerance=tolerance
    )
    ranking = ranking_data(standings)
    return {
        "landscape": (landscape, draw_landscape(landscape)),
        "ranking": (ranking, draw_ranking(ranking)),
        "accuracy_macs": (accuracy, draw_accuracy(accuracy)),
    }
