"""Accuracy against realised cost, with confidence intervals."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scalesearch.report.labels import Label, place_labels
from scalesearch.report.marks import OUTCOMES, Mark, rule_label, with_marks
from scalesearch.report.render import INK, MUTED, new_figure, style
from scalesearch.report.scales import LOG_FROM, accuracy_limits, ratio_axis, scale_counts
from scalesearch.units import format_count

__all__ = ["accuracy_data", "accuracy_title", "draw_accuracy"]

_AREA: Final = 46.0  # pt^2 of a plain point


def accuracy_data(
    standings: pd.DataFrame, *, baseline_macs: int, ratio: float | None = None, tolerance: float | None = None
) -> pd.DataFrame:
    """The frame behind the figure: one row per candidate.

    Args:
        standings: with `macs, accuracy_mean, accuracy_low, accuracy_high` beside the columns of `marks.with_marks`.
        baseline_macs: the unit of `realised_ratio`.
        ratio: cost that was asked for, over the baseline's; None draws no target.
        tolerance: relative distance from it that was allowed; None where MACs were not constrained.

    Returns:
        The columns of `marks.with_marks`, `macs`, `realised_ratio`, accuracies in percent `accuracy, low, high` (NaN
        where there is none, low and high also with a single seed), and `target_macs, target_low, target_high`.
    """
    data = with_marks(standings)
    data["macs"] = standings["macs"].to_numpy(dtype=np.int64)
    data["realised_ratio"] = data["macs"] / baseline_macs
    for name, source in (("accuracy", "accuracy_mean"), ("low", "accuracy_low"), ("high", "accuracy_high")):
        data[name] = 100 * standings[source].astype(float).to_numpy()
    target = math.nan if ratio is None else ratio * baseline_macs
    allowed = math.nan if tolerance is None else tolerance
    data["target_macs"] = target
    data["target_low"], data["target_high"] = target * (1 - allowed), target * (1 + allowed)
    return data


def draw_accuracy(data: pd.DataFrame) -> Figure:
    """Draw what `accuracy_data` returned."""
    with style():
        figure = new_figure(7.4, 5.2)
        axes = figure.add_axes((0.095, 0.165, 0.875, 0.63))
        axes.grid(axis="y")
        axes.set_ylabel("accuracy, %")
        axes.set_xlabel("multiply-adds of the full-size network, counted after rounding")
        low, high = accuracy_limits(data["accuracy"], data["low"], data["high"])
        axes.set_ylim(low, high)
        _scale_macs(axes, data)
        _draw_target(axes, data)
        ratio_axis(axes, float((data["macs"] / data["realised_ratio"]).iloc[0]))
        for mark in sorted(OUTCOMES.values(), key=lambda mark: mark.order):
            _draw_mark(axes, data[data["mark"] == mark.name], mark)
        _draw_legend(figure, data)
        figure.text(0.03, 0.945, accuracy_title(data), fontsize=12.5, fontweight="bold")
        figure.text(0.03, 0.908, _key(data), fontsize=9, color=MUTED)
        shown = data[np.isfinite(data["accuracy"])]
        named = [(row, rule_label(str(row["rule"]))) for _, row in shown.iterrows()]
        labels = [Label(row["macs"], row["accuracy"], text) for row, text in named if text]
        points = list(zip(shown["macs"], shown["accuracy"], strict=True))
        bars = shown.loc[np.isfinite(shown["low"]), ["macs", "low", "high"]].itertuples(index=False, name=None)
        place_labels(axes, labels, points, bars=list(bars), size=8, radius=4.5)
    return figure


def accuracy_title(data: pd.DataFrame) -> str:
    """The finding in words."""
    shown = data[np.isfinite(data["accuracy"])]
    if shown.empty:
        return "No candidate has an accuracy"
    low, high = shown["accuracy"].min(), shown["accuracy"].max()
    ratios = f"{shown['realised_ratio'].min():.2f}", f"{shown['realised_ratio'].max():.2f}"
    at = f"{ratios[0]}×" if ratios[0] == ratios[1] else f"{ratios[0]}–{ratios[1]}×"
    if len(shown) == 1:
        return f"1 candidate at {at} the cost reaches {high:.1f} %"
    return f"{len(shown)} candidates at {at} the cost reach {low:.1f} to {high:.1f} %"


def _scale_macs(axes: Axes, data: pd.DataFrame) -> None:
    places = data[["macs", "target_low", "target_high", "target_macs"]].to_numpy(dtype=float)
    low, high = float(np.nanmin(places)), float(np.nanmax(places))
    margin = max(1.0 + 0.12 * math.log(high / low), 1.005)
    low, high = low / margin, high * margin
    scale_counts(axes, low, high, log=high / low >= LOG_FROM)


def _draw_target(axes: Axes, data: pd.DataFrame) -> None:
    target, low, high = (float(data[name].iloc[0]) for name in ("target_macs", "target_low", "target_high"))
    if math.isnan(target):
        return
    if math.isfinite(low):
        axes.axvspan(low, high, color="#f6f6f6", linewidth=0, zorder=0, gid="tolerance")
    axes.axvline(target, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1, gid="target")


def _draw_mark(axes: Axes, part: pd.DataFrame, mark: Mark) -> None:
    """Intervals and points of one outcome; without an accuracy there is only a cross on the lower edge."""
    if part.empty:
        return
    known, unknown = part[np.isfinite(part["accuracy"])], part[~np.isfinite(part["accuracy"])]
    if not unknown.empty:
        axes.scatter(
            unknown["macs"], [0.025] * len(unknown), transform=axes.get_xaxis_transform(), s=_AREA, marker="x",
            color=INK, linewidths=1.4, zorder=mark.order, gid=mark.name,
        )  # fmt: skip
    bottom, top = axes.get_ylim()
    axes.vlines(
        known["macs"], known["low"], known["high"], color=mark.colour, linewidth=1.2, alpha=0.75, zorder=mark.order
    )
    for column, edge, marker in (("low", bottom, "v"), ("high", top, "^")):
        beyond = known[(known[column] < bottom) | (known[column] > top)]
        axes.scatter(
            beyond["macs"], [edge] * len(beyond), s=14, marker=marker, color=mark.colour, clip_on=False, zorder=9
        )
    look: dict[str, Any] = (
        {"color": mark.colour} if mark.marker == "x" else {"facecolors": mark.colour, "edgecolors": "white"}
    )
    axes.scatter(
        known["macs"], known["accuracy"], s=_AREA * mark.size, marker=mark.marker, zorder=10 + mark.order,
        gid=mark.name, linewidths=0.7, **look,
    )  # fmt: skip


def _draw_legend(figure: Figure, data: pd.DataFrame) -> None:
    handles, texts = [], []
    for mark in sorted(OUTCOMES.values(), key=lambda mark: -mark.order):
        n = int((data["mark"] == mark.name).sum())
        if n:
            size = 13 if mark.name == "best" else 7.5
            handles.append(Line2D([], [], linestyle="none", marker=mark.marker, markersize=size, color=mark.colour))
            texts.append(mark.label if mark.name == "best" else f"{mark.label} ({n})")
    figure.legend(handles, texts, loc="lower center", ncols=len(handles), bbox_to_anchor=(0.5, 0.0), columnspacing=1.5)


def _key(data: pd.DataFrame) -> str:
    """What lines, bars and band mean."""
    target, high = float(data["target_macs"].iloc[0]), float(data["target_high"].iloc[0])
    parts = []
    if math.isfinite(target):
        allowed = f" ± {100 * (high / target - 1):.3g} %" if math.isfinite(high) else ""
        parts.append(f"dashed: target {format_count(target)}{allowed}")
    if data["low"].notna().any():
        parts.append("bars: 95 % interval, spread pooled over candidates (triangle: goes on)")
    else:
        parts.append("no bars: one seed gives no interval")
    return "; ".join(parts)
