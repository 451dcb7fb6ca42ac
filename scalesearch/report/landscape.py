"""Objective over the alpha-beta-gamma plane.

At a given cost factor s = alpha * beta^2 * gamma^2 two degrees of freedom are left: how log s is shared between depth,
width and resolution (Dollar et al., arXiv 2103.06877, equation 5). The shares log(alpha) / log(s), 2 log(beta) / log(s)
and 2 log(gamma) / log(s) sum to 1, so that every candidate is a point of a triangle whose corners grow one axis only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scalesearch.report.labels import Label, place_labels
from scalesearch.report.marks import OUTCOMES, coefficients_text, finding, rule_label, with_marks
from scalesearch.report.render import COLOUR_MAP, INK, MUTED, new_figure, style

__all__ = ["draw_landscape", "landscape_data"]

_HEIGHT: Final = math.sqrt(3) / 2
_AREA: Final = 105.0  # pt^2 of a plain point
_CORNER: Final = 0.97  # a single-axis rule this far in its corner is named by the corner


def landscape_data(standings: pd.DataFrame, *, ratio: float) -> pd.DataFrame:
    """The frame behind the figure: one row per candidate.

    Args:
        standings: with `name, alpha, beta, gamma, rule, outcome` and `objective_adjusted` or `objective`.
        ratio: cost of the candidates over the baseline's, as it was asked for.

    Returns:
        The columns of `marks.with_marks`, `ratio`, the shares of log cost `depth_share, width_share,
        resolution_share` (sum 1; NaN where alpha * beta^2 * gamma^2 is 1), and the place in the triangle `x, y`:
        depth only at (0, 0), width only at (1, 0), resolution only at (1/2, sqrt(3)/2).
    """
    data = with_marks(standings)
    parts = np.log(data[["alpha", "beta", "gamma"]].to_numpy(dtype=float)) * np.array([1.0, 2.0, 2.0])
    total = parts.sum(axis=1, keepdims=True)
    shares = np.divide(parts, total, out=np.full_like(parts, math.nan), where=np.abs(total) > 1e-9)
    data["ratio"] = float(ratio)
    data[["depth_share", "width_share", "resolution_share"]] = shares
    data["x"], data["y"] = _place(shares)
    return data


def draw_landscape(data: pd.DataFrame) -> Figure:
    """Draw what `landscape_data` returned."""
    with style():
        figure = new_figure(7.4, 6.2)
        axes = figure.add_axes((0.02, 0.075, 0.83, 0.825))
        axes.set_aspect("equal")
        axes.set_xlim(-0.125, 1.125)
        axes.set_ylim(-0.14, _HEIGHT + 0.13)
        axes.set_axis_off()
        _draw_triangle(axes, ratio=float(data["ratio"].iloc[0]))
        drawn = data[np.isfinite(data["x"])]
        coloured = _draw_points(axes, drawn)
        if coloured is not None:
            _draw_colour_bar(figure, coloured)
        _draw_legend(figure, drawn)
        _draw_title(figure, data)
        named = [(row, _label(row)) for _, row in drawn.iterrows()]
        labels = [Label(row["x"], row["y"], text) for row, text in named if text]
        place_labels(axes, labels, list(zip(drawn["x"], drawn["y"], strict=True)), radius=7.5)
    return figure


def _place(shares: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[Any, Any]:
    """Barycentric to plane: columns depth, width, resolution of an (n, 3) array to x and y."""
    return shares[:, 1] + shares[:, 2] / 2, shares[:, 2] * _HEIGHT


def _draw_triangle(axes: Axes, *, ratio: float) -> None:
    """Edges, lines of equal share with their ticks, corners and edge titles."""
    axes.plot([0, 1, 0.5, 0], [0, 0, _HEIGHT, 0], color=MUTED, linewidth=1.0, zorder=1)
    for share in (0.2, 0.4, 0.6, 0.8):
        rest = 1 - share
        _draw_share(axes, share, (share, rest, 0), (share, 0, rest))
        _draw_share(axes, share, (0, share, rest), (rest, share, 0))
        _draw_share(axes, share, (rest, 0, share), (0, rest, share))
    whole, root = f"{ratio:.3g}", f"{math.sqrt(ratio):.3g}"
    for x, y, text, offset in (
        (0.0, 0.0, f"depth only\nα = {whole}", (-14, -24)),
        (1.0, 0.0, f"width only\nβ = {root}", (14, -24)),
        (0.5, _HEIGHT, f"resolution only\nγ = {root}", (0, 24)),
    ):
        _note(axes, text, (x, y), offset, size=10, color=INK, weight="bold")
    for x, y, text, rotation, offset in (
        (0.25, _HEIGHT / 2, "← depth share of log cost", 60, (-40, 18)),
        (0.5, 0.0, "width share of log cost →", 0, (0, -34)),
        (0.75, _HEIGHT / 2, "← resolution share of log cost", -60, (46, 20)),
    ):
        _note(axes, text, (x, y), offset, size=9, color=MUTED, rotation=rotation)


def _draw_share(axes: Axes, share: float, start: Sequence[float], end: Sequence[float]) -> None:
    """A line of equal share, from its far edge to the edge with its scale, where it ends in a tick and a number."""
    (x0, x1), (y0, y1) = _place(np.array([start, end], dtype=float))
    axes.plot([x0, x1], [y0, y1], color="#e0e0e0", linewidth=0.7, zorder=0)
    length = math.hypot(x1 - x0, y1 - y0)
    step = np.array([x1 - x0, y1 - y0]) / length
    axes.plot([x1, x1 + 0.022 * step[0]], [y1, y1 + 0.022 * step[1]], color=MUTED, linewidth=0.8, zorder=1)
    offset = (24.0 * step[0], 17.0 * step[1])
    _note(axes, f"{100 * share:.0f} %", (x1, y1), offset, size=8, color=MUTED)


def _note(
    axes: Axes, text: str, at: tuple[float, float], offset: tuple[float, float], *, size: float, **how: Any
) -> None:
    where: dict[str, Any] = {"xytext": offset, "textcoords": "offset points", "ha": "center", "va": "center"}
    axes.annotate(text, at, fontsize=size, annotation_clip=False, **where, **how)


def _draw_points(axes: Axes, data: pd.DataFrame) -> PathCollection | None:
    """Points by mark, coloured by objective; returns something that carries the colours, None without a result."""
    values = data.loc[data["mark"] != "failed", "objective_adjusted"]
    norm = _norm(values)
    coloured = None
    for mark in sorted(OUTCOMES.values(), key=lambda mark: mark.order):
        part = data[data["mark"] == mark.name]
        if part.empty:
            continue
        if mark.name == "failed":
            axes.scatter(part["x"], part["y"], s=_AREA * 0.6, marker="x", color=INK, linewidths=1.6, gid=mark.name)
            continue
        if mark.name == "tied":
            axes.scatter(
                part["x"],
                part["y"],
                s=_AREA * 2.3,
                facecolors="none",
                edgecolors=INK,
                linewidths=1.3,
                zorder=mark.order,
            )
        coloured = axes.scatter(
            part["x"],
            part["y"],
            s=_AREA * (3.6 if mark.name == "best" else 1.0),
            c=part["objective_adjusted"],
            cmap=COLOUR_MAP,
            norm=norm,
            marker=mark.marker,
            edgecolors=INK if mark.name == "best" else "#555555",
            linewidths=1.3 if mark.name == "best" else 0.5,
            zorder=mark.order,
            clip_on=False,
            gid=mark.name,
        )
    return coloured


def _norm(values: pd.Series[float]) -> Normalize:
    """Colours over the range of the values; a range of nothing gets a width, so that equal values look equal."""
    if values.empty:
        return Normalize(0, 1)
    low, high = float(values.min()), float(values.max())
    return Normalize(low, high) if high - low > 1e-9 else Normalize(low - 0.005, high + 0.005)


def _draw_colour_bar(figure: Figure, coloured: PathCollection) -> None:
    axes = figure.add_axes((0.875, 0.22, 0.022, 0.50))
    bar = figure.colorbar(coloured, cax=axes)
    bar.outline.set_visible(False)
    axes.set_title("objective", fontsize=9.5, fontweight="normal", loc="left", pad=8)


def _draw_legend(figure: Figure, data: pd.DataFrame) -> None:
    handles: list[Any] = []
    texts = []
    for mark in sorted(OUTCOMES.values(), key=lambda mark: -mark.order):
        n = int((data["mark"] == mark.name).sum())
        if not n:
            continue
        size = {"best": 14, "failed": 8}.get(mark.name, 9)
        look: dict[str, Any] = {"linestyle": "none", "markerfacecolor": "#d9d9d9", "markeredgecolor": INK}
        plain = Line2D([], [], marker=mark.marker, markersize=size, **look)
        ring = Line2D([], [], marker="o", markersize=14, **{**look, "markerfacecolor": "none"})
        handles.append((ring, plain) if mark.name == "tied" else plain)
        texts.append(mark.label if mark.name == "best" else f"{mark.label} ({n})")
    figure.legend(handles, texts, loc="lower center", ncols=len(handles), bbox_to_anchor=(0.5, 0.0), columnspacing=1.5)


def _draw_title(figure: Figure, data: pd.DataFrame) -> None:
    figure.text(0.03, 0.951, finding(data, ratio=float(data["ratio"].iloc[0])), fontsize=12.5, fontweight="bold")
    best = data[data["mark"] == "best"]
    if not best.empty:
        row = best.iloc[0]
        others = data["mark"].isin(["tied", "told apart", "undecided"])
        lead = "leads" if (data["mark"] == "tied").any() else "is best" if others.any() else "is the only one"
        text = f"(α, β, γ) = {coefficients_text(row)} {lead}, objective {row['objective_adjusted']:.4f}"
        figure.text(0.03, 0.915, text, fontsize=9.5, color=MUTED)


def _label(row: pd.Series[Any]) -> str:
    """The rule's name; the corners name single-axis rules that lie in them."""
    in_corner = max(row["depth_share"], row["width_share"], row["resolution_share"]) >= _CORNER
    rules = [name for name in str(row["rule"]).split("+") if name and not (in_corner and name.endswith("_only"))]
    return rule_label("+".join(rules))
