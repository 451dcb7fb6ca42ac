"""Candidates by objective with their intervals: is the winner noise?"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from scalesearch.report.marks import OUTCOMES, coefficients_text, mark_of, rule_label, with_marks
from scalesearch.report.render import INK, MUTED, new_figure, style

__all__ = ["draw_ranking", "ranking_data", "ranking_title"]

_ROW: Final = 0.245  # inches
_ABOVE: Final = 1.0  # inches for title and column heads
_BELOW: Final = 0.78  # inches for the axis and the note


def ranking_data(standings: pd.DataFrame) -> pd.DataFrame:
    """The frame behind the figure: one row per candidate, best first, those without a result last.

    Args:
        standings: with `objective_low, objective_high, p_best, seeds` beside the columns of `marks.with_marks`.

    Returns:
        The columns of `marks.with_marks`, `low, high` (95 %, NaN where one seed gives none), `p_best`, `seeds`, and
        `gap`, the objective's distance to the best one.
    """
    data = with_marks(standings)
    for name, source in (("low", "objective_low"), ("high", "objective_high"), ("p_best", "p_best")):
        data[name] = standings[source].astype(float).to_numpy()
    data["seeds"] = standings["seeds"].to_numpy(dtype=np.int64)
    data["gap"] = data["objective_adjusted"].max() - data["objective_adjusted"]
    return data.sort_values("objective_adjusted", ascending=False, na_position="last", kind="stable", ignore_index=True)


def draw_ranking(data: pd.DataFrame) -> Figure:
    """Draw what `ranking_data` returned; the figure is as tall as it has rows."""
    n = len(data)
    height = _ABOVE + _BELOW + _ROW * n
    with style():
        figure = new_figure(7.4, height)
        axes = figure.add_axes((0.385, _BELOW / height, 0.41, _ROW * n / height))
        axes.set_ylim(n - 0.5, -0.5)
        axes.set_xlim(*_limits(data))
        axes.set_yticks([])
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.set_xlabel("objective, seed effects removed, with 95 % interval", fontsize=9)
        best = data["objective_adjusted"].max()
        if math.isfinite(best):
            axes.axvline(best, color=OUTCOMES["best"].colour, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        for position, (_, row) in enumerate(data.iterrows()):
            _draw_row(axes, position, row)
        _draw_heads(figure, axes, height)
        figure.text(0.03, 1 - 0.33 / height, ranking_title(data), fontsize=12.5, fontweight="bold")
        note = "Who is told apart is decided on differences, not by whether bars overlap."
        figure.text(0.03, 0.12 / height, note, fontsize=8, color=MUTED)
    return figure


def ranking_title(data: pd.DataFrame) -> str:
    """The finding in words."""
    ranked = data[data["mark"] != "failed"]
    others = len(ranked) - 1
    n_ties = int((ranked["mark"] == "tied").sum())
    n_open = int((ranked["mark"] == "undecided").sum())
    if others < 0:
        return "No candidate has a result"
    if others == 0:
        return "One candidate with a result: nothing to compare with"
    if n_open:
        return f"{n_open} of {others} others are not decided yet"
    if n_ties == 0:
        return f"The winner is told apart from {'the other' if others == 1 else f'all {others} others'}"
    if n_ties == others:
        return "No candidate can be told from the leader"
    return f"{n_ties} of {others} others cannot be told from the leader"


def _limits(data: pd.DataFrame) -> tuple[float, float]:
    """Limits that hold every estimate, and intervals unless they would flatten the differences."""
    values = data["objective_adjusted"].dropna()
    if values.empty:
        return 0.0, 1.0
    halves = ((data["high"] - data["low"]) / 2).dropna()
    usual = 0.0 if halves.empty else float(halves.median())
    span = max(float(values.max() - values.min()), 2 * usual, 1e-3)
    low = max(float(np.nanmin([data["low"].min(), values.min()])), float(values.min()) - span)
    high = min(float(np.nanmax([data["high"].max(), values.max()])), float(values.max()) + span)
    margin = max(0.05 * (high - low), 1e-3)
    return low - margin, high + margin


def _draw_row(axes: Axes, position: int, row: pd.Series[Any]) -> None:
    mark = mark_of(str(row["outcome"]), float(row["objective_adjusted"]))
    strong = mark.name in ("best", "tied")
    _cell(axes, position, -0.455, rule_label(str(row["rule"]), width=20, lines=1), "right", strong=False)
    _cell(axes, position, -0.02, coefficients_text(row), "right", strong=strong)
    if position % 2:
        axes.axhspan(position - 0.5, position + 0.5, -0.88, 1.4, color="#f6f6f6", linewidth=0, zorder=0, clip_on=False)
    if math.isnan(row["objective_adjusted"]):
        _cell(axes, position, 0.02, "× no result", "left", strong=False)
    else:
        if math.isfinite(row["low"]):
            axes.hlines(position, row["low"], row["high"], color=mark.colour, linewidth=1.6, zorder=3)
        look: dict[str, Any] = (
            {"color": mark.colour} if mark.marker == "x" else {"facecolors": mark.colour, "edgecolors": "white"}
        )
        axes.scatter(
            row["objective_adjusted"], position, s=46 * mark.size, marker=mark.marker, linewidths=0.7, zorder=5,
            gid=mark.name, **look,
        )  # fmt: skip
    _cell(axes, position, 1.16, _probability(float(row["p_best"])), "right", strong=strong)
    _cell(axes, position, 1.36, str(row["seeds"]), "right", strong=strong)


def _cell(axes: Axes, position: int, x: float, text: str, side: str, *, strong: bool) -> None:
    axes.text(
        x, position, text, transform=axes.get_yaxis_transform(), ha=side, va="center", fontsize=8.5,
        color=INK if strong else MUTED, fontweight="bold" if strong else "normal", clip_on=False,
    )  # fmt: skip


def _probability(p: float) -> str:
    if math.isnan(p):
        return "–"
    return "< 0.01" if p < 0.01 else f"{p:.2f}"


def _draw_heads(figure: Figure, axes: Axes, height: float) -> None:
    box = axes.get_position()
    y = 1 - 0.83 / height
    for x, text in ((-0.455, "rule"), (-0.02, "(α, β, γ)"), (1.16, "P(best)"), (1.36, "seeds")):
        figure.text(box.x0 + x * box.width, y, text, ha="right", fontsize=8.5, color=MUTED)
    gids = {collection.get_gid() for collection in axes.collections}
    shown = [mark for mark in sorted(OUTCOMES.values(), key=lambda mark: -mark.order) if mark.name in gids]
    handles = [
        Line2D([], [], linestyle="none", marker=mark.marker, color=mark.colour, markersize=11 if i == 0 else 7)
        for i, mark in enumerate(shown)
    ]
    figure.legend(
        handles, [mark.label for mark in shown], loc="center left", ncols=max(1, len(shown)), borderpad=0,
        bbox_to_anchor=(0.02, 1 - 0.57 / height), handletextpad=0.2, columnspacing=1.6,
    )  # fmt: skip
