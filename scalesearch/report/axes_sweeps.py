"""Width sweeps of baselines of other depth and resolution (the paper's Figure 4): width alone saturates sooner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd
from matplotlib.figure import Figure

from scalesearch.report.axes_data import curve_rows, trained
from scalesearch.report.axes_marks import write_title
from scalesearch.report.axes_together import draw_curves
from scalesearch.report.render import new_figure, style
from scalesearch.report.scales import ratio_text

__all__ = ["draw_sweeps", "sweep_names", "sweeps_data"]

_SAME: Final = 0.02  # relative spread of a multiplier that counts as none


def sweep_names(curves: pd.DataFrame, fits: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """(depth, resolution) multipliers of the curves along which only the width varies; empty unless they differ."""
    rows = trained(curves)
    found = {}
    for name in fits["curve"] if len(fits) else ():
        own = rows[rows["curve"] == name]
        depth, resolution = (own[f"{axis}_multiplier"].astype(float) for axis in ("depth", "resolution"))
        widths = own["width_multiplier"].astype(float)
        still = all(len(own) and values.max() / values.min() - 1 <= _SAME for values in (depth, resolution))
        if still and widths.max() / widths.min() - 1 > _SAME:
            found[str(name)] = (float(depth.mean()), float(resolution.mean()))
    pairs = {(round(depth, 1), round(resolution, 1)) for depth, resolution in found.values()}
    return found if len(pairs) > 1 else {}


def sweeps_data(curves: pd.DataFrame, fits: pd.DataFrame, summary: Mapping[str, Any]) -> pd.DataFrame:
    """The frame behind the figure.

    Returns:
        The rows of `axes_data.curve_rows` of the sweeps with `depth_multiplier`, `resolution_multiplier` and the
        constant `baseline_macs`.
    """
    names = sweep_names(curves, fits)
    rows = curve_rows(curves, fits[fits["curve"].isin(list(names))], summary)
    rows["depth_multiplier"] = [names[str(name)][0] for name in rows["curve"]]
    rows["resolution_multiplier"] = [names[str(name)][1] for name in rows["curve"]]
    return rows.assign(baseline_macs=float(summary["baseline"]["macs"]))


def draw_sweeps(data: pd.DataFrame) -> Figure:
    """Draw what `sweeps_data` returned."""
    one = data.drop_duplicates("curve").set_index("curve")
    texts = {
        str(name): f"depth {ratio_text(row['depth_multiplier'])}, resolution {ratio_text(row['resolution_multiplier'])}"
        for name, row in one.iterrows()
    }
    with style():
        figure = new_figure(7.4, 5.2)
        draw_curves(figure, data, texts)
        bars = data.loc[data["kind"] == "point", "low"].notna().any()
        key = "each curve grows in width only; " + ("bars: 95 % interval" if bars else "no bars: one seed")
        write_title(figure, _title(data, texts), key)
    return figure


def _title(data: pd.DataFrame, texts: Mapping[str, str]) -> str:
    points = data[(data["kind"] == "point") & data["accuracy"].notna()]
    if points.empty:
        return "No point has an accuracy"
    best = points.sort_values("accuracy").iloc[-1]
    return f"Growing in width reaches most, {best['accuracy']:.1f} %, at {texts[str(best['curve'])]}"
