"""The figures of a study of axes: for each the frame behind it, then the drawing of that frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from scalesearch.report.axes_gain import draw_gain, gain_data
from scalesearch.report.axes_iso_cost import draw_iso_cost, iso_cost_data
from scalesearch.report.axes_panels import draw_panels, panel_names, panels_data
from scalesearch.report.axes_sweeps import draw_sweeps, sweep_names, sweeps_data
from scalesearch.report.axes_together import draw_together, together_data

__all__ = [
    "axes_figures",
    "draw_gain",
    "draw_iso_cost",
    "draw_panels",
    "draw_sweeps",
    "draw_together",
    "gain_data",
    "iso_cost_data",
    "panels_data",
    "sweeps_data",
    "together_data",
]


def axes_figures(
    curves: pd.DataFrame, fits: pd.DataFrame, comparisons: pd.DataFrame, summary: Mapping[str, Any]
) -> dict[str, tuple[pd.DataFrame, Figure]]:
    """Every figure of a study of axes by name, with the frame it was drawn from; one without any data is left out.

    Args:
        curves: one row per point of a curve, trained or not.
        fits: one row per curve, at least one.
        comparisons: one row per ratio and rule that compound scaling was compared with; may be empty.
        summary: `baseline`, `points_per_doubling`, and the fits' bands under `fits`.

    Returns:
        "axes" (width, depth and resolution alone, a panel each), "together" (all curves), "sweeps" (width at several
        depths and resolutions), "iso_cost" (rules at equal cost) and "gain" (points of accuracy per doubling).
    """
    found: dict[str, tuple[pd.DataFrame, Figure]] = {}
    if panel_names(fits):
        panels = panels_data(curves, fits, summary)
        found["axes"] = (panels, draw_panels(panels))
    sweeps = sweep_names(curves, fits)
    if set(fits["curve"]) - set(sweeps):
        together = together_data(curves, fits, summary)
        found["together"] = (together, draw_together(together))
    if sweeps:
        widths = sweeps_data(curves, fits, summary)
        found["sweeps"] = (widths, draw_sweeps(widths))
    if len(comparisons):
        rules = iso_cost_data(curves, comparisons)
        found["iso_cost"] = (rules, draw_iso_cost(rules))
    gains = gain_data(curves, fits, summary)
    if len(gains):
        found["gain"] = (gains, draw_gain(gains))
    return found
