"""All curves in one picture: accuracy against cost, each named beside its last point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scalesearch.report.axes_data import curve_rows
from scalesearch.report.axes_marks import (
    CurveLook,
    cost_limits,
    draw_fit,
    draw_points,
    looks,
    write_title,
)
from scalesearch.report.render import INK, new_figure, style
from scalesearch.report.scales import accuracy_limits, ratio_axis, ratio_text, scale_counts

__all__ = ["draw_curves", "draw_together", "together_data", "together_title"]

_LINE: Final = 12.0  # pt from one name to the next

Floats = NDArray[np.float64]


def together_data(curves: pd.DataFrame, fits: pd.DataFrame, summary: Mapping[str, Any]) -> pd.DataFrame:
    """The frame behind the figure: the rows of `axes_data.curve_rows`, and the constant `baseline_macs`."""
    return curve_rows(curves, fits, summary).assign(baseline_macs=float(summary["baseline"]["macs"]))


def draw_together(data: pd.DataFrame) -> Figure:
    """Draw what `together_data` returned."""
    names = list(dict.fromkeys(data["curve"]))
    with style():
        figure = new_figure(7.4, 5.2)
        axes = draw_curves(figure, data, {name: name for name in names})
        write_title(figure, together_title(data), _key(data))
        for _, row in data[(data["kind"] == "knee") & data["macs"].notna()].iterrows():
            axes.scatter(
                row["macs"], row["accuracy"], s=90, marker="o", facecolors="none", linewidths=1.4,
                edgecolors=looks(names)[str(row["curve"])].colour, zorder=9, gid="knee",
            )  # fmt: skip
    return figure


def draw_curves(figure: Figure, data: pd.DataFrame, texts: Mapping[str, str]) -> Axes:
    """Points, fits and names of all curves of `data`, on axes below two lines of text."""
    names = list(dict.fromkeys(data["curve"]))
    axes = figure.add_axes((0.095, 0.105, 0.875, 0.69))
    axes.grid(axis="y")
    axes.set_ylabel("accuracy, %")
    axes.set_xlabel("multiply-adds of the full-size network, counted after rounding")
    low, high = cost_limits(data)
    points = data[data["kind"] == "point"]
    axes.set_ylim(*accuracy_limits(points["accuracy"], points["low"], points["high"]))
    room = _room(figure, [texts[name] for name in names])
    share = room / (axes.bbox.width * 72 / figure.dpi)
    scale_counts(axes, low, low * (high / low) ** (1 / (1 - min(share, 0.6))), most=7)
    ratio_axis(axes, float(data["baseline_macs"].iloc[0]))
    found = looks(names)
    for name in reversed(names):
        own = data[data["curve"] == name]
        draw_fit(axes, own[own["kind"] == "fit"], found[name])
        draw_points(axes, own[own["kind"] == "point"], found[name])
    _name_curves(axes, data, found, texts, room)
    return axes


def together_title(data: pd.DataFrame) -> str:
    """The finding in words: which curve is highest at the largest cost that all of them reach."""
    points = data[(data["kind"] == "point") & data["accuracy"].notna()]
    if points.empty:
        return "No point has an accuracy"
    last = points.loc[points.groupby("curve")["macs"].idxmax()]
    shared = float(last["ratio"].min())
    near = points[(points["ratio"] / shared - 1).abs() <= 0.1]
    if near["curve"].nunique() < points["curve"].nunique() or len(last) < 2:
        best = points.sort_values("accuracy").iloc[-1]
        return f"The best point is {best['accuracy']:.1f} %, of {best['curve']} at {ratio_text(best['ratio'])} the cost"
    order = near.groupby("curve")["accuracy"].max().sort_values(ascending=False)
    ends = f"{order.index[0]} {order.iloc[0]:.1f} %, {order.index[-1]} {order.iloc[-1]:.1f} %"
    return f"At {ratio_text(float(f'{shared:.2g}'))} the cost: {ends}"


def _name_curves(
    axes: Axes, data: pd.DataFrame, found: Mapping[str, CurveLook], texts: Mapping[str, str], room: float
) -> None:
    """Names beyond the last point of each curve, so far apart that none covers another, with a line to the point."""
    points = data[(data["kind"] == "point") & data["accuracy"].notna()]
    if points.empty:
        return
    last = points.loc[points.groupby("curve", sort=False)["macs"].idxmax()].sort_values("accuracy")
    pt = 72 / axes.figure.dpi
    spots = axes.transData.transform(last[["macs", "accuracy"]].to_numpy(dtype=float)) * pt
    bottom, top = axes.bbox.y0 * pt, axes.bbox.y1 * pt
    heights = _spread(spots[:, 1], _LINE, bottom, top)
    column = axes.bbox.x1 * pt - room + 8
    for (x, y), height, name in zip(spots, heights, last["curve"].astype(str), strict=True):
        look = found[name]
        axes.annotate(
            texts[name], (x, y), (column, height), xycoords="figure points", textcoords="figure points", fontsize=9,
            fontweight="bold", color=INK, va="center", annotation_clip=False, zorder=20,
            arrowprops={"arrowstyle": "-", "color": look.colour, "linewidth": 1.2, "shrinkA": 1, "shrinkB": 5},
        )  # fmt: skip


def _spread(heights: Floats, apart: float, low: float, high: float) -> Floats:
    """The same ascending heights, moved as little as needed to be `apart` from each other within low..high."""
    places = np.array(heights, dtype=np.float64)
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + apart)
    # half of what the texts were pushed up is taken back
    places -= (places - heights).mean()
    places += max(0.0, low - places[0])
    return np.asarray(places - max(0.0, places[-1] - high), dtype=np.float64)


def _room(figure: Figure, texts: Sequence[str]) -> float:
    """Width in pt that the longest of the texts takes, with a gap before it."""
    longest = figure.text(0, 0, max(texts, key=len), fontsize=9, fontweight="bold")
    wide = float(longest.get_window_extent().width) * 72 / figure.dpi
    longest.remove()
    return wide + 24


def _key(data: pd.DataFrame) -> str:
    """What lines, bars, bands and circles mean."""
    points, knees = data[data["kind"] == "point"], data[data["kind"] == "knee"]
    parts = ["bars: 95 % interval" if points["low"].notna().any() else "no bars: one seed gives no interval"]
    if (data["kind"] == "fit").any():
        parts.append("line: fitted curve with bootstrap band")
    if knees["macs"].notna().any():
        parts.append("circle: knee")
    refused = list(data.loc[data["kind"] == "refusal", "curve"])
    if refused:
        parts.append(f"no line, not identified: {', '.join(refused)}")
    return "; ".join(parts)
