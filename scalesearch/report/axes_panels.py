"""How accuracy grows with one axis at a time: a panel each with compound thinly beside it (the paper's Figure 3)."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scalesearch.report.axes_data import AXES, REFERENCE, curve_rows, line_names, paper_rows
from scalesearch.report.axes_marks import (
    CurveLook,
    cost_limits,
    draw_fit,
    draw_points,
    looks,
    write_title,
)
from scalesearch.report.render import INK, MUTED, new_figure, style
from scalesearch.report.scales import accuracy_limits, ratio_axis, scale_counts

__all__ = ["draw_panels", "panel_names", "panels_data", "trend_words"]

_NOTE_WIDTH: Final = 34
_HEIGHT: Final = 4.5  # inches


def panel_names(fits: pd.DataFrame) -> list[str]:
    """The curves that get a panel: those of single axes."""
    return [name for name in AXES if name in line_names(fits)]


def panels_data(curves: pd.DataFrame, fits: pd.DataFrame, summary: Mapping[str, Any]) -> pd.DataFrame:
    """The frame behind the figure: the rows of `axes_data.curve_rows` that each panel shows.

    Returns:
        `panel`, the columns of `curve_rows` (the paper's networks as kind "paper", by cost alone), and the constants
        `baseline_macs` and `trend` (points of accuracy per doubling of cost, on average, of the panel's curve).
    """
    rows, paper = curve_rows(curves, fits, summary), paper_rows(summary)
    trends = dict(zip(line_names(fits), fits["trend"].astype(float), strict=True)) if "trend" in fits else {}
    parts = []
    for name in panel_names(fits):
        own = rows[rows["curve"] == name]
        beside = rows[(rows["curve"] == REFERENCE) & rows["kind"].isin(["point", "fit"])]
        found = [part for part in (own, beside, paper[paper["curve"] == name]) if len(part)]
        part = pd.concat(found, ignore_index=True)
        part.insert(0, "panel", name)
        parts.append(part.assign(trend=trends.get(name, math.nan)))
    return pd.concat(parts, ignore_index=True).assign(baseline_macs=float(summary["baseline"]["macs"]))


def draw_panels(data: pd.DataFrame) -> Figure:
    """Draw what `panels_data` returned."""
    names = list(dict.fromkeys(data["panel"]))
    look_of = looks([*names, REFERENCE])
    points = data[data["kind"] == "point"]
    costs, (low, high) = cost_limits(data), accuracy_limits(points["accuracy"], points["low"], points["high"])
    with style():
        figure = new_figure(3.05 * len(names) + 0.4 if len(names) > 1 else 5.2, _HEIGHT)
        left, right = 0.55 / figure.get_figwidth(), 0.1 / figure.get_figwidth()
        width = (1 - left - right) / len(names)
        for i, name in enumerate(names):
            axes = figure.add_axes((left + i * width, 0.13, width - 0.028, 0.635))
            axes.grid(axis="y")
            axes.set_ylim(low, high + 0.08 * (high - low))  # room for the panel's name
            scale_counts(axes, *costs, most=4)
            ratio_axis(axes, float(data["baseline_macs"].iloc[0]), title="times the baseline" if i == 0 else "")
            _draw_panel(axes, data[data["panel"] == name], name, look_of)
            if i == 0:
                axes.set_ylabel("accuracy, %")
            else:
                axes.tick_params(labelleft=False)
        figure.text(0.5, 0.012, "multiply-adds of the full-size network, counted after rounding", ha="center", size=10)
        write_title(figure, trend_words(data), _key(data), at=0.02)
    return figure


def trend_words(data: pd.DataFrame) -> str:
    """The finding in words."""
    trends = data.drop_duplicates("panel").set_index("panel")["trend"].dropna().sort_values(ascending=False)
    if trends.empty:
        return "What a doubling of cost buys is not known"
    gains = ", ".join(f"{name} {value:+.1f}" for name, value in trends.items()).replace("-", "−")
    return f"Points of accuracy per doubling of cost: {gains}"


def _draw_panel(axes: Axes, data: pd.DataFrame, name: str, look_of: Mapping[str, CurveLook]) -> None:
    own, beside = data[data["curve"] == name], data[data["curve"] == REFERENCE]
    axes.text(0.03, 0.965, f"{name} only", transform=axes.transAxes, va="top", weight="bold", color=INK, size=10.5)
    for rows, thin in ((beside, True), (own, False)):
        look = look_of[REFERENCE if thin else name]
        draw_fit(axes, rows[rows["kind"] == "fit"], look, thin=thin)
        draw_points(axes, rows[rows["kind"] == "point"], look, thin=thin)
    _draw_paper(axes, own[own["kind"] == "paper"])
    for _, row in own[own["kind"] == "knee"].iterrows():
        _draw_knee(axes, row, look_of[name])
    for _, row in own[own["kind"] == "refusal"].iterrows():
        _note(axes, f"not identified: {row['words']}")


def _draw_knee(axes: Axes, row: pd.Series[Any], look: CurveLook) -> None:
    """Where the knee lies, from the curve down to its interval above the lower edge."""
    if math.isnan(row["macs"]):
        _note(axes, str(row["words"]))
        return
    bottom, top = axes.get_ylim()
    level = bottom + 0.05 * (top - bottom)
    axes.vlines(row["macs"], level, row["accuracy"], color=look.colour, linewidth=1, linestyle=":", zorder=2)
    axes.hlines(level, row["macs_low"], row["macs_high"], color=look.colour, linewidth=1.6, zorder=8, gid="knee")
    axes.scatter(row["macs"], level, s=26, marker="o", facecolors="white", edgecolors=look.colour, zorder=9)
    _note(axes, str(row["words"]), at=0.085)


def _note(axes: Axes, words: str, at: float = 0.035) -> None:
    text = "\n".join(textwrap.wrap(words, _NOTE_WIDTH, max_lines=5, placeholder=" …"))
    axes.text(
        0.97, at, text, transform=axes.transAxes, ha="right", va="bottom", size=8, color=MUTED, zorder=10,
        linespacing=1.25, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.5},
    )  # fmt: skip


def _draw_paper(axes: Axes, paper: pd.DataFrame) -> None:
    """The paper's networks as ticks on the upper edge."""
    low, high = axes.get_xlim()
    for _, row in paper[(paper["macs"] > low) & (paper["macs"] < high)].iterrows():
        axes.plot(
            [row["macs"]] * 2, [0.975, 1.0], transform=axes.get_xaxis_transform(), color=MUTED, linewidth=1.2,
            gid="paper",
        )  # fmt: skip


def _key(data: pd.DataFrame) -> str:
    """What lines, bars and ticks mean."""
    points = data[data["kind"] == "point"]
    parts = ["bars: 95 % interval" if points["low"].notna().any() else "no bars: one seed gives no interval"]
    if ((data["kind"] == "fit") & data["low"].notna()).any():
        parts.append("curve: a − b·cost⁻ᶜ with bootstrap band")
    if (data["curve"] == REFERENCE).any():
        parts.append("thin black: compound")
    low, high = cost_limits(data)
    shown = data[(data["kind"] == "paper") & (data["macs"] > low) & (data["macs"] < high)]
    if len(shown):
        parts.append("ticks above: the paper's networks, by cost")
    return "; ".join(parts)
