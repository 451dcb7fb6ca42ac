"""Objective and hypervolume of a search, trial by trial: was it still getting better?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from scalesearch.analysis.pareto import progress
from scalesearch.report.marks import OUTCOMES, rule_label
from scalesearch.report.render import INK, MUTED, new_figure, style
from scalesearch.report.search_marks import epochs_words, legend_height, robust_limits, searched, shades

__all__ = ["draw_progress", "progress_data", "progress_title"]

_FEW: Final = 300  # trials up to which points are large
_COLUMNS: Final = 4  # of the legend


def progress_data(trials: pd.DataFrame, summary: Mapping[str, Any]) -> pd.DataFrame:
    """The frame behind the figure: one row per training of the search, by number.

    Args:
        trials: with `number, name, epochs, objective, accuracy, cost`, and `phase` where finals are among them.
        summary: `window_high`, where there is one, bounds the hypervolume; `baseline.name` and `baseline.objective`,
            where there are such, are drawn as a line.

    Returns:
        `number, name, epochs, objective`; `best, hypervolume` so far among trainings of as many epochs (NaN for a
        failed one); and the constants `baseline, baseline_objective`.
    """
    rows = searched(trials)
    data = rows[["number", "name"]].copy()
    data["name"] = data["name"].fillna("").astype(str)
    data["epochs"] = rows["epochs"].astype(float)
    accuracy, cost = rows["accuracy"].astype(float), rows["cost"].astype(float)
    finished = np.isfinite(accuracy) & np.isfinite(cost) & np.isfinite(rows["objective"].astype(float))
    data["objective"] = rows["objective"].astype(float).where(finished)
    found = progress(rows[finished], reference_cost=_window_high(summary))
    for column in ("best", "hypervolume"):
        data[column] = math.nan
        data.loc[finished, column] = found[column].to_numpy()
    baseline = summary.get("baseline") or {}
    value = baseline.get("objective_adjusted", baseline.get("objective"))
    data["baseline"] = str(baseline.get("name") or "")
    data["baseline_objective"] = math.nan if value is None else float(value)
    return data


def draw_progress(data: pd.DataFrame) -> Figure:
    """Draw what `progress_data` returned."""
    with style():
        figure = new_figure(7.4, 5.6)
        colours = shades(data.loc[data["objective"].notna(), "epochs"].tolist())
        below = 0.08 + _draw_legend(figure, data, colours)
        share = 0.86 - below
        upper = figure.add_axes((0.095, below + 0.38 * share, 0.875, 0.62 * share))
        lower = figure.add_axes((0.095, below, 0.875, 0.31 * share), sharex=upper)
        last = int(data["number"].max()) if len(data) else 1
        upper.set_xlim(0.5 - 0.02 * last, last + 0.5 + 0.02 * last)
        upper.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        upper.tick_params(labelbottom=False)
        upper.set_ylabel("objective")
        lower.set_ylabel("hypervolume")
        lower.set_xlabel("trial")
        for axes in (upper, lower):
            axes.grid(axis="y")
            axes.yaxis.set_major_locator(MaxNLocator(5 if axes is upper else 3, steps=[1, 2, 5, 10]))
        _draw_objective(upper, data, colours)
        _draw_area(lower, data, colours)
        if not colours:
            lower.set_yticks([])
        figure.text(0.03, 0.945, progress_title(data), fontsize=12.5, fontweight="bold")
        figure.text(0.03, 0.908, _key(data, colours), fontsize=9, color=MUTED)
    return figure


def progress_title(data: pd.DataFrame) -> str:
    """The finding in words."""
    finished = data[data["objective"].notna()]
    if finished.empty:
        return f"No result from {len(data)} training{'' if len(data) == 1 else 's'}"
    number, value = _top(finished)
    if len(data) == 1:
        return f"One training, objective {value:.4f}"
    return f"Best objective {value:.4f}, at trial {number} of {int(data['number'].max())}"


def _top(finished: pd.DataFrame) -> tuple[int, float]:
    """Number and objective of the best of the longest trainings."""
    longest = finished[finished["epochs"] == finished["epochs"].max()]
    at = int(longest["objective"].argmax())
    return int(longest["number"].iloc[at]), float(longest["objective"].iloc[at])


def _window_high(summary: Mapping[str, Any]) -> float | None:
    """The upper end of the hard budget, where that bounds the cost which is drawn."""
    high = summary.get("window_high")
    same = summary.get("window_measure", summary.get("cost")) == summary.get("cost")
    return float(high) if high is not None and same and math.isfinite(high) else None


def _draw_objective(axes: Axes, data: pd.DataFrame, colours: Mapping[float, str]) -> None:
    finished, failed = data[data["objective"].notna()], data[data["objective"].isna()]
    reference = float(data["baseline_objective"].iloc[0]) if len(data) else math.nan
    shown = pd.concat([finished[["objective", "epochs"]], pd.DataFrame({"objective": [reference], "epochs": [-1.0]})])
    shown = shown.reset_index(drop=True)
    low, high = robust_limits(shown["objective"], shown["epochs"], least=0.01)
    axes.set_ylim(low, high)
    size = 22.0 if len(data) <= _FEW else 7.0
    for epochs, colour in reversed(list(colours.items())):
        part = finished[finished["epochs"] == epochs]
        inside, below = part[part["objective"] >= low], part[part["objective"] < low]
        axes.scatter(inside["number"], inside["objective"], s=size, color=colour, linewidths=0, alpha=0.75, zorder=3)
        axes.scatter(below["number"], [low] * len(below), s=16, marker="v", color=colour, clip_on=False, zorder=4)
        _draw_steps(axes, part, "best", colour, data["number"].max())
    if not failed.empty:
        axes.scatter(
            failed["number"], [0.03] * len(failed), transform=axes.get_xaxis_transform(), s=22, marker="x",
            color=INK, linewidths=1.2, zorder=5, gid="failed",
        )  # fmt: skip
    if math.isfinite(reference):
        axes.axhline(reference, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), zorder=2, gid="baseline")
    if not finished.empty:
        best = OUTCOMES["best"]
        axes.scatter(
            *_top(finished), s=150, marker=best.marker, color=best.colour, edgecolors="white",
            linewidths=0.7, zorder=8, gid="best",
        )  # fmt: skip


def _draw_area(axes: Axes, data: pd.DataFrame, colours: Mapping[float, str]) -> None:
    for epochs, colour in reversed(list(colours.items())):
        _draw_steps(axes, data[data["epochs"] == epochs], "hypervolume", colour, data["number"].max())
    axes.set_ylim(*robust_limits(data["hypervolume"], data["epochs"], least=0.01))


def _draw_steps(axes: Axes, part: pd.DataFrame, column: str, colour: str, last: float) -> None:
    """What was reached up to each trial, held until the last one."""
    known = part[part[column].notna()]
    if known.empty:
        return
    x, y = [*known["number"], last], [*known[column], known[column].iloc[-1]]
    axes.plot(x, y, drawstyle="steps-post", color=colour, linewidth=1.7, zorder=6, gid=column)


def _draw_legend(figure: Figure, data: pd.DataFrame, colours: Mapping[float, str]) -> float:
    """The legend at the lower edge; returns its share of the figure's height."""
    handles = [Line2D([], [], color=colour, marker="o", markersize=4.5, linewidth=1.7) for colour in colours.values()]
    texts = [epochs_words("", epochs, ", best so far") for epochs in colours]
    best = OUTCOMES["best"]
    if data["objective"].notna().any():
        handles.append(Line2D([], [], linestyle="none", marker=best.marker, markersize=11, color=best.colour))
        texts.append("best of the search")
    if len(data) and math.isfinite(data["baseline_objective"].iloc[0]):
        handles.append(Line2D([], [], color=MUTED, linewidth=1.0, linestyle=(0, (4, 3))))
        texts.append(rule_label(str(data["baseline"].iloc[0]) or "base network", lines=1))
    n_failed = int(data["objective"].isna().sum())
    if n_failed:
        handles.append(Line2D([], [], linestyle="none", marker="x", markersize=6, color=INK))
        texts.append(f"no result ({n_failed})")
    if handles:
        figure.legend(
            handles, texts, loc="lower center", ncols=min(len(handles), _COLUMNS), bbox_to_anchor=(0.5, -0.005),
            columnspacing=1.5,
        )  # fmt: skip
    return legend_height(len(handles), _COLUMNS, figure.get_figheight())


def _key(data: pd.DataFrame, colours: Mapping[float, str]) -> str:
    """What points and areas mean."""
    parts = ["a point is one training with one seed"]
    if len(colours) > 1:
        parts.append("epochs are kept apart")
    parts.append("hypervolume: accuracy × doublings of cost")
    return "; ".join(parts)
