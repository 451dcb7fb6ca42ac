"""What the next doubling of cost buys: points of accuracy against cost, curve by curve."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scalesearch.report.axes_data import trained
from scalesearch.report.axes_marks import CurveLook, looks, write_title
from scalesearch.report.render import INK, MUTED, new_figure, style
from scalesearch.report.scales import ratio_axis, scale_counts

__all__ = ["draw_gain", "gain_data", "gain_title"]

_COLUMNS: Final = ("kind", "curve", "macs", "gain", "low", "high", "measured")


def gain_data(curves: pd.DataFrame, fits: pd.DataFrame, summary: Mapping[str, Any]) -> pd.DataFrame:
    """The frame behind the figure.

    Args:
        curves: with `curve, macs, gain, gain_low, gain_high, gain_measured, kept`.
        fits: with `curve, identified, a, b, c, first_cost, last_cost, trend, trend_low, trend_high`.
        summary: `points_per_doubling` and `baseline.macs`.

    Returns:
        `kind`: "gain" at a point of an identified curve, "line" between them, "average" over the measured costs (two
        rows, its ends) where the curve is not identified; `curve, macs`, points of accuracy per doubling `gain, low,
        high`, `measured` (the whole doubling was), and the constants `points_per_doubling, baseline_macs`.
    """
    rows: list[dict[str, Any]] = []
    points = trained(curves)
    for _, fit in fits.iterrows():
        curve = str(fit["curve"])
        if str(fit["identified"]).lower() == "true":
            rows += _identified(fit, points[points["curve"] == curve])
        elif fit["trend"] is not None and math.isfinite(fit["trend"]):
            ends = {"gain": fit["trend"], "low": fit["trend_low"], "high": fit["trend_high"], "measured": True}
            rows += [
                {"kind": "average", "curve": curve, "macs": fit[end], **ends} for end in ("first_cost", "last_cost")
            ]
    frame = pd.DataFrame(rows, columns=list(_COLUMNS)).astype(dict.fromkeys(("macs", "gain", "low", "high"), float))
    return frame.assign(
        points_per_doubling=float(summary["points_per_doubling"]), baseline_macs=float(summary["baseline"]["macs"])
    )


def draw_gain(data: pd.DataFrame) -> Figure:
    """Draw what `gain_data` returned."""
    names = list(dict.fromkeys(data["curve"]))
    least = float(data["points_per_doubling"].iloc[0])
    found = looks(names)
    with style():
        figure = new_figure(7.4, 0.9 + 2.35 * math.ceil(len(names) / 2) + 0.35)
        grid = _panels(figure, names, data)
        low, high = _limits(data, least)
        for axes, name in zip(grid, names, strict=True):
            axes.set_ylim(low, high)
            axes.grid(axis="y")
            axes.axhline(0, color=MUTED, linewidth=0.8, zorder=1)
            axes.axhline(least, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1, gid="least")
            _draw_curve(axes, data[data["curve"] == name], found[name])
            axes.text(
                0.97, 0.95, name, transform=axes.transAxes, va="top", ha="right", weight="bold", color=INK, size=10.5
            )
        height = figure.get_figheight()
        write_title(figure, gain_title(data), _key(data, least))
        figure.text(0.53, 0.06 / height, "multiply-adds at which the doubling starts", ha="center", size=10)
        figure.text(0.012, 0.5, "points of accuracy per doubling of cost", va="center", rotation=90, size=10)
    return figure


def gain_title(data: pd.DataFrame) -> str:
    """The finding in words: what the last measured doubling of each curve bought."""
    last = data[(data["kind"] == "gain") & data["measured"].astype(bool)]
    if last.empty:
        known = data[data["kind"] == "average"].drop_duplicates("curve")
        if known.empty:
            return "What a doubling of cost buys is not known"
        said = ", ".join(f"{row['curve']} {row['gain']:+.1f}" for _, row in known.iterrows())
        return f"A doubling of cost buys on average: {said}".replace("-", "−")
    last = last.loc[last.groupby("curve")["macs"].idxmax()].sort_values("gain", ascending=False)
    said = ", ".join(f"{row['curve']} {row['gain']:+.1f}" for _, row in last.iterrows())
    return f"The last whole doubling bought: {said} points".replace("-", "−")


def _identified(fit: pd.Series[Any], points: pd.DataFrame) -> list[dict[str, Any]]:
    """The doublings from every point, and the smooth line of 100 b x^-c (1 - 2^-c) with x = cost / first cost."""
    curve, first, last = str(fit["curve"]), float(fit["first_cost"]), float(fit["last_cost"])
    costs = np.geomspace(first, last, 33)
    line = 100 * fit["b"] * (costs / first) ** -fit["c"] * (1 - 2.0 ** -fit["c"])
    rows: list[dict[str, Any]] = [
        {"kind": "line", "curve": curve, "macs": x, "gain": y, "measured": 2 * x <= last * (1 + 1e-9)}
        for x, y in zip(costs, line, strict=True)
    ]
    for _, row in points.sort_values("macs").iterrows():
        known = {"gain": row["gain"], "low": row["gain_low"], "high": row["gain_high"]}
        flag = str(row["gain_measured"]).lower() in ("true", "1.0", "1")
        rows.append({"kind": "gain", "curve": curve, "macs": row["macs"], **known, "measured": flag})
    return rows


def _panels(figure: Figure, names: list[str], data: pd.DataFrame) -> list[Axes]:
    """Two panels a row, all with the same scales."""
    rows, height = math.ceil(len(names) / 2), figure.get_figheight()
    costs = data["macs"].dropna()
    low, high = float(costs.min()) / 1.12, float(costs.max()) * 1.12
    found = []
    for i in range(len(names)):
        row, column = divmod(i, 2)
        bottom = 0.5 + 2.35 * (rows - 1 - row)
        axes = figure.add_axes((0.085 + 0.46 * column, bottom / height, 0.435, 1.85 / height))
        scale_counts(axes, low, high, most=5)
        if row == 0:
            ratio_axis(axes, float(data["baseline_macs"].iloc[0]), title="")
        axes.tick_params(labelleft=column == 0)
        found.append(axes)
    return found


def _limits(data: pd.DataFrame, least: float) -> tuple[float, float]:
    """Limits that hold every gain; intervals may go on beyond them."""
    high = max(float(data["gain"].max()), least)
    low = min(float(data["gain"].min()), 0.0)
    bars = data.loc[data["kind"] != "line", ["low", "high"]].to_numpy(dtype=float)
    span = high - low
    if np.isfinite(bars).any():
        high = min(float(np.nanmax([np.nanmax(bars), high])), high + 0.5 * span)
        low = max(float(np.nanmin([np.nanmin(bars), low])), low - 0.5 * span)
    return low - 0.06 * span, high + 0.12 * span


def _draw_curve(axes: Axes, rows: pd.DataFrame, look: CurveLook) -> None:
    average = rows[rows["kind"] == "average"]
    if len(average):
        axes.fill_between(average["macs"], average["low"], average["high"], color=look.colour, alpha=0.13, linewidth=0)
        axes.plot(average["macs"], average["gain"], color=look.colour, linewidth=1.8, linestyle="--", gid="average")
        words = "average; curve not identified"
        axes.text(0.03, 0.05, words, transform=axes.transAxes, size=8, color=MUTED, va="bottom")
    line = rows[rows["kind"] == "line"]
    measured = line["measured"].astype(bool)
    axes.plot(line["macs"][measured], line["gain"][measured], color=look.colour, linewidth=1.8, zorder=3, gid="gain")
    axes.plot(
        line["macs"][~measured], line["gain"][~measured], color=look.colour, linewidth=1.1, linestyle=":", zorder=3
    )
    points = rows[rows["kind"] == "gain"]
    axes.vlines(points["macs"], points["low"], points["high"], color=look.colour, linewidth=1.2, alpha=0.75, zorder=4)
    whole = points["measured"].astype(bool)
    for part, face in ((points[whole], look.colour), (points[~whole], "white")):
        axes.scatter(
            part["macs"], part["gain"], s=30, marker=look.marker, facecolors=face, edgecolors=look.colour,
            linewidths=1.0, zorder=5,
        )  # fmt: skip


def _key(data: pd.DataFrame, least: float) -> str:
    parts = [f"dashed: {least:g} point{'' if least == 1 else 's'} per doubling"]
    if (data["kind"] == "gain").any():
        parts.append("bars: 95 % interval of the fit; hollow: the doubling ends beyond the last point")
    return "; ".join(parts)
