"""Every rule at equal realised cost: accuracies, and what compound scaling is ahead by, paired over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scalesearch.report.axes_data import REFERENCE, trained
from scalesearch.report.axes_marks import CurveLook, looks, write_title
from scalesearch.report.render import INK, MUTED, new_figure, style
from scalesearch.report.scales import ratio_text

__all__ = ["draw_iso_cost", "iso_cost_data", "iso_cost_title"]

_JOIN: Final = " = "  # between curves that one network stands for
_NEAR: Final = 0.06  # relative distance in cost within which a point belongs to a comparison
_ROW: Final = 0.235  # inches
_WORDS: Final = {"better": "compound better", "worse": "compound worse", "not told apart": "not told apart"}


def iso_cost_data(curves: pd.DataFrame, comparisons: pd.DataFrame) -> pd.DataFrame:
    """The frame behind the figure: one row per ratio and rule, the reference first, then the others best first.

    Args:
        curves: with `curve, ratio, asked_ratio, macs, accuracy_mean, accuracy_low, accuracy_high, seeds, kept`.
        comparisons: with `ratio, reference, curve, points, low, high, effect_size, p_corrected, verdict, seeds`;
            points of accuracy, positive where the reference is better.

    Returns:
        `ratio, curve, is_reference, realised_ratio, macs`, accuracies in percent `accuracy, low, high`, the
        reference's lead `points, points_low, points_high` (missing for itself), `effect_size, p_corrected, verdict,
        seeds`.
    """
    rows = []
    for ratio in sorted(comparisons["ratio"].astype(float).unique().tolist()):
        compared = comparisons[comparisons["ratio"] == ratio]
        reference = str(compared["reference"].iloc[0]) if "reference" in compared else REFERENCE
        others = [_row(curves, str(row["curve"]), ratio, row) for _, row in compared.iterrows()]
        others.sort(key=lambda row: (math.isnan(row["accuracy"]), -row["accuracy"]))
        rows += [_row(curves, reference, ratio, None), *others]
    return pd.DataFrame(rows)


def draw_iso_cost(data: pd.DataFrame) -> Figure:
    """Draw what `iso_cost_data` returned."""
    ratios = list(dict.fromkeys(data["ratio"]))
    # a free row between two ratios
    places = np.arange(len(data)) + np.array([ratios.index(ratio) for ratio in data["ratio"]])
    found = looks([_first(str(name)) for name in data["curve"]])
    n = int(places[-1]) + 1
    with style():
        height = _ROW * (n + 1) + 1.6
        figure = new_figure(7.4, height)
        bottom, share = 0.55 / height, _ROW * (n + 1) / height
        left = figure.add_axes((0.2, bottom, 0.33, share))
        right = figure.add_axes((0.565, bottom, 0.285, share))
        for axes in (left, right):
            axes.set_ylim(n, -1)
            axes.grid(axis="x")
            axes.tick_params(axis="y", length=0, labelleft=False)
            axes.spines["left"].set_visible(False)
        _draw_accuracies(left, data, places, found)
        _draw_differences(right, data, places, found)
        for ratio in ratios:
            own = places[(data["ratio"] == ratio).to_numpy()]
            left.text(
                -0.57, own[0], ratio_text(ratio), transform=left.get_yaxis_transform(), va="center", weight="bold",
                size=10,
            )  # fmt: skip
        key = "bars: 95 % interval; differences are paired over seeds, verdicts corrected for all comparisons"
        write_title(figure, iso_cost_title(data), key)
        figure.text(0.03, 1 - 0.82 / height, "cost", fontsize=9, color=MUTED)
    return figure


def iso_cost_title(data: pd.DataFrame) -> str:
    """The finding in words."""
    others = data[~data["is_reference"]]
    counts = others["verdict"].value_counts()
    decided = {name: int(counts.get(name, 0)) for name in ("better", "worse", "not told apart")}
    n = sum(decided.values())
    if not n:
        return "Too few seeds to compare rules at equal cost"
    ahead, behind = decided["better"], decided["worse"]
    return f"At equal cost compound is ahead in {ahead} of {n} comparison{'' if n == 1 else 's'}, behind in {behind}"


def _row(curves: pd.DataFrame, name: str, ratio: float, compared: pd.Series[Any] | None) -> dict[str, Any]:
    """One rule at one ratio; without a comparison it is the reference."""
    point = _point(curves, _first(name), ratio)
    row: dict[str, Any] = {
        "ratio": ratio,
        "curve": name,
        "is_reference": compared is None,
        "realised_ratio": math.nan if point is None else float(point["ratio"]),
        "macs": math.nan if point is None else float(point["macs"]),
    }
    for column, source in (("accuracy", "accuracy_mean"), ("low", "accuracy_low"), ("high", "accuracy_high")):
        row[column] = math.nan if point is None or point[source] is None else 100 * float(point[source])
    sources = {"points": "points", "points_low": "low", "points_high": "high"}
    for column, source in {**sources, "effect_size": "effect_size", "p_corrected": "p_corrected"}.items():
        value = None if compared is None else compared[source]
        row[column] = math.nan if value is None else float(value)
    row["verdict"] = "" if compared is None else str(compared["verdict"])
    row["seeds"] = math.nan if point is None or point["seeds"] is None else float(point["seeds"])
    return row


def _point(curves: pd.DataFrame, name: str, ratio: float) -> pd.Series[Any] | None:
    """The point of a curve that was asked for this ratio, or that happens to lie there."""
    rows = trained(curves)
    rows = rows[rows["curve"] == name]
    asked = rows["asked_ratio"].astype(float) if "asked_ratio" in rows else rows["ratio"].astype(float)
    place = asked.fillna(rows["ratio"].astype(float))
    away = (place / ratio - 1).abs()
    return None if away.empty or away.min() > _NEAR else rows.iloc[int(away.to_numpy().argmin())]


def _first(name: str) -> str:
    return name.split(_JOIN)[0]


def _draw_accuracies(
    axes: Axes, data: pd.DataFrame, places: np.ndarray[Any, Any], found: Mapping[str, CurveLook]
) -> None:
    for place, (_, row) in zip(places, data.iterrows(), strict=True):
        look = found[_first(str(row["curve"]))]
        axes.hlines(place, row["low"], row["high"], color=look.colour, linewidth=1.5, zorder=3)
        axes.scatter(
            row["accuracy"], place, s=38, marker=look.marker, color=look.colour, edgecolors="white", linewidths=0.6,
            zorder=4, gid="accuracy",
        )  # fmt: skip
        axes.text(
            -0.03, place, str(row["curve"]), transform=axes.get_yaxis_transform(), ha="right", va="center", size=9,
            color=INK, weight="bold" if row["is_reference"] else "normal",
        )  # fmt: skip
    low, high = axes.get_xlim()
    middle, reach = (low + high) / 2, max(high - low, 1.0) / 2
    axes.set_xlim(middle - reach, middle + reach)
    axes.set_xlabel("accuracy, %")


def _draw_differences(
    axes: Axes, data: pd.DataFrame, places: np.ndarray[Any, Any], found: Mapping[str, CurveLook]
) -> None:
    axes.axvline(0, color=MUTED, linewidth=1.0, zorder=1)
    for place, (_, row) in zip(places, data.iterrows(), strict=True):
        if row["is_reference"]:
            continue
        look = found[_first(str(row["curve"]))]
        decided = row["verdict"] in ("better", "worse")
        axes.hlines(place, row["points_low"], row["points_high"], color=look.colour, linewidth=1.5, zorder=3)
        axes.scatter(
            row["points"], place, s=34, marker=look.marker, facecolors=look.colour if decided else "white",
            edgecolors=look.colour, linewidths=1.2, zorder=4, gid="difference",
        )  # fmt: skip
        axes.text(
            1.03, place, _WORDS.get(str(row["verdict"]), str(row["verdict"])), transform=axes.get_yaxis_transform(),
            va="center", size=8, color=INK if decided else MUTED,
        )  # fmt: skip
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -0.3), max(high, 0.3))
    axes.set_xlabel("lead of compound, points of accuracy", fontsize=9)
