"""The figures of a search: for each the frame behind it, then the drawing of that frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from scalesearch.report.search_front import draw_front, front_data
from scalesearch.report.search_genes import draw_genes, genes_data
from scalesearch.report.search_progress import draw_progress, progress_data

__all__ = [
    "draw_front",
    "draw_genes",
    "draw_progress",
    "front_data",
    "genes_data",
    "progress_data",
    "search_figures",
]


def search_figures(
    trials: pd.DataFrame, finalists: pd.DataFrame, summary: Mapping[str, Any]
) -> dict[str, tuple[pd.DataFrame, Figure]]:
    """Every figure of a search by name, with the frame it was drawn from.

    Args:
        trials: one row per trained network and number of epochs, at least one, successful or not.
        finalists: one row per network that was compared over several seeds; may be empty.
        summary: `cost, target`, and where there are such `window_low, window_high, baseline`.
    """
    grown = progress_data(trials, summary)
    points = front_data(trials, finalists, summary)
    genes = genes_data(trials)
    return {
        "progress": (grown, draw_progress(grown)),
        "front": (points, draw_front(points)),
        "genes": (genes, draw_genes(genes)),
    }
