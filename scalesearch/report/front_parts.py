"""The parts of the figure of accuracy against cost; see `search_front`."""

from __future__ import annotations

import itertools
import math
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scalesearch.report.labels import Label, place_labels
from scalesearch.report.marks import OUTCOMES, Mark, rule_label
from scalesearch.report.render import COLOURS, INK, MUTED
from scalesearch.report.scales import scale_counts
from scalesearch.report.search_marks import epochs_words, legend_height, robust_limits, shades

__all__ = [
    "draw_catalog",
    "draw_finalists",
    "draw_labels",
    "draw_legend",
    "draw_staircase",
    "draw_target",
    "draw_trained",
    "scale_axes",
]

_AREA: Final = 20.0  # pt^2 of a trained network
_MOST_LABELS: Final = 6  # of networks on the front
_RUG_ROWS: Final = 3
_RUG_ROW: Final = 10.0  # pt
_COLUMNS: Final = 4  # of the legend
_BASE: Final = COLOURS["purple"]


def scale_axes(axes: Axes, data: pd.DataFrame) -> None:
    """Logarithmic cost around everything but the catalog; accuracies without those far below."""
    drawn = data[data["kind"] != "catalog"]
    places = drawn[["cost", "target", "window_low", "window_high"]].to_numpy(dtype=float)
    places = places[np.isfinite(places) & (places > 0)]
    low, high = (float(places.min()), float(places.max())) if len(places) else (1.0, 10.0)
    margin = max(1.0 + 0.08 * math.log(high / low), 1.02)
    low, high = low / margin, high * margin
    scale_counts(axes, low, high)
    axes.set_ylim(*robust_limits(drawn["accuracy"], drawn["epochs"], least=1.0))
    if drawn["accuracy"].isna().all():
        axes.set_yticks([])


def draw_target(axes: Axes, data: pd.DataFrame) -> None:
    """The target as a line and the hard budget as a band."""
    target, low, high = (float(data[name].iloc[0]) for name in ("target", "window_low", "window_high"))
    left, right = axes.get_xlim()
    if low > 0 or math.isfinite(high):
        start, end = low if low > 0 else left, high if math.isfinite(high) else right
        axes.axvspan(start, end, color="#f4f4f4", linewidth=0, zorder=0, gid="budget")
    if math.isfinite(target):
        axes.axvline(target, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1, gid="target")


def draw_trained(axes: Axes, trained: pd.DataFrame) -> None:
    """A point per training, darker the longer it was; what lies below the axis stands on it, what failed is a cross."""
    low, _ = axes.get_ylim()
    for epochs, colour in reversed(list(shades(trained.loc[trained["accuracy"].notna(), "epochs"].tolist()).items())):
        part = trained[(trained["epochs"] == epochs) & (trained["label"] == "")]
        inside, below = part[part["accuracy"] >= low], part[part["accuracy"] < low]
        axes.scatter(inside["cost"], inside["accuracy"], s=_AREA, color=colour, linewidths=0, alpha=0.75, zorder=3)
        axes.scatter(below["cost"], [low] * len(below), s=16, marker="v", color=colour, clip_on=False, zorder=3)
    _draw_failed(axes, trained)
    for at_base, colour in ((False, INK), (True, _BASE)):
        part = trained[(trained["label"] != "") & (trained["is_baseline"] == at_base) & trained["accuracy"].notna()]
        axes.scatter(
            part["cost"], part["accuracy"], s=44, marker="D", color=colour, edgecolors="white", linewidths=0.7,
            zorder=7, gid="reference",
        )  # fmt: skip


def _draw_failed(axes: Axes, rows: pd.DataFrame) -> None:
    failed = rows[rows["accuracy"].isna()]
    axes.scatter(
        failed["cost"], [0.025] * len(failed), transform=axes.get_xaxis_transform(), s=24, marker="x", color=INK,
        linewidths=1.2, zorder=3, gid="failed",
    )  # fmt: skip


def draw_staircase(axes: Axes, trained: pd.DataFrame) -> None:
    """The front: from the lower edge up its cheapest network, and level from its dearest one to the right."""
    points = trained[trained["on_front"]].sort_values("cost")
    if points.empty:
        return
    x, y = zip(*_corners(axes, points), strict=True)
    axes.plot(x, y, color=INK, linewidth=1.2, zorder=4, gid="front")
    plain = points[points["label"] == ""]
    axes.scatter(
        plain["cost"], plain["accuracy"], s=_AREA * 1.3, facecolors="white", edgecolors=INK, linewidths=1.3, zorder=5
    )


def _corners(axes: Axes, points: pd.DataFrame) -> list[tuple[float, float]]:
    """The stairs' corners, from the lower to the right edge."""
    level, corners = axes.get_ylim()[0], []
    for cost, accuracy in zip(points["cost"], points["accuracy"], strict=True):
        corners += [(float(cost), level), (float(cost), float(accuracy))]
        level = float(accuracy)
    return [*corners, (axes.get_xlim()[1], level)]


def _along_stairs(axes: Axes, points: pd.DataFrame) -> list[tuple[float, float]]:
    """Places on the stairs, so close to each other that no label fits between them."""
    corners = np.array(_corners(axes, points)).reshape(-1, 2)
    t = np.linspace(0, 1, 60)[:, None]
    between = [start + t * (end - start) for start, end in itertools.pairwise(corners)]
    return [(float(x), float(y)) for x, y in np.vstack(between)]


def draw_finalists(axes: Axes, finalists: pd.DataFrame) -> None:
    """Means over seeds with their intervals, in the colours of their outcomes; the base network as a diamond."""
    bottom, top = axes.get_ylim()
    _draw_failed(axes, finalists)
    for _, row in finalists[finalists["accuracy"].notna()].iterrows():
        mark = OUTCOMES[str(row["mark"])]
        base = bool(row["is_baseline"])
        colour = _BASE if base else mark.colour
        if math.isfinite(row["low"]):
            axes.vlines(row["cost"], row["low"], row["high"], color=colour, linewidth=1.5, zorder=8)
        for beyond, edge, marker in ((row["low"] < bottom, bottom, "v"), (row["high"] > top, top, "^")):
            if beyond:
                axes.scatter(row["cost"], edge, s=16, marker=marker, color=colour, clip_on=False, zorder=9)
        axes.scatter(
            row["cost"], row["accuracy"], s=52 if base else 54 * mark.size, marker="D" if base else mark.marker,
            facecolors=colour, edgecolors="white", linewidths=0.8, zorder=10 + mark.order, gid="finalist",
        )  # fmt: skip


def draw_catalog(axes: Axes, catalog: pd.DataFrame) -> None:
    """Published networks by cost alone: ticks above the plot, named where there is room in a few rows."""
    low, high = axes.get_xlim()
    shown = catalog[(catalog["cost"] >= low) & (catalog["cost"] <= high)]
    if shown.empty:
        return
    canvas = axes.figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    scale = axes.figure.dpi / 72
    ends = [-math.inf] * _RUG_ROWS
    note: dict[str, Any] = {
        "xycoords": axes.get_xaxis_transform(), "textcoords": "offset points", "fontsize": 7.5, "color": MUTED,
        "annotation_clip": False, "va": "bottom", "ha": "center",
    }  # fmt: skip
    for _, row in shown.iterrows():
        axes.plot(
            [row["cost"]] * 2, [1.0, 1.012], transform=axes.get_xaxis_transform(), color=MUTED, linewidth=1.1,
            clip_on=False, gid="catalog",
        )  # fmt: skip
        x = float(axes.transData.transform((row["cost"], 1))[0])
        text = axes.annotate(str(row["name"]).replace("_", " "), (row["cost"], 1.0), xytext=(0, 6), **note)
        half = text.get_window_extent().width / 2
        free = [i for i, end in enumerate(ends) if x - half > end + 6 * scale]
        if not free or x - half < axes.bbox.x0 - 40 * scale or x + half > axes.bbox.x1 + 12 * scale:
            text.remove()
            continue
        ends[free[0]] = x + half
        text.set_position((0, 6 + _RUG_ROW * free[0]))
        for above in range(free[0]):
            # the row below must leave room for the eye to drop to the tick
            ends[above] = max(ends[above], x)
    used = max(1, sum(math.isfinite(end) for end in ends))
    head = {**note, "xycoords": axes.transAxes, "xytext": (-30, 9 + _RUG_ROW * used), "ha": "left"}
    axes.annotate("catalog networks by cost (not trained here)", (0, 1.0), **head)


def draw_labels(axes: Axes, data: pd.DataFrame) -> None:
    """Names beside the best and the base network, trained references, and some networks of the front."""
    shown = data[data["accuracy"].notna() & data["cost"].notna()]
    finalists = shown[(shown["kind"] == "finalist") & (shown["is_baseline"] | (shown["mark"] == "best"))]
    named = set(finalists["name"])
    references = shown[(shown["label"] != "") & ~shown["label"].isin(named)]
    points = shown[shown["on_front"] & (shown["label"] == "") & ~shown["name"].isin(named)].sort_values("cost")
    picked = np.unique(np.linspace(0, len(points) - 1, min(len(points), _MOST_LABELS)).round().astype(int))
    rows = pd.concat([finalists, references, points.iloc[picked]])
    labels = [
        Label(row["cost"], row["accuracy"], rule_label(str(row["label"] or row["name"]), width=24, lines=1))
        for _, row in rows.iterrows()
    ]
    places = list(zip(shown["cost"], shown["accuracy"], strict=True))
    on_front = shown[shown["on_front"]].sort_values("cost")
    if len(on_front):
        places += _along_stairs(axes, on_front)
    bars = shown.loc[shown["low"].notna(), ["cost", "low", "high"]].itertuples(index=False, name=None)
    place_labels(axes, labels, places, bars=list(bars), size=8, radius=3.5)


def draw_legend(figure: Figure, data: pd.DataFrame) -> float:
    """What the points are, the finalists first, at the lower edge; returns its share of the figure's height."""
    plain: dict[str, Any] = {"linestyle": "none"}
    handles, texts = [], []
    finalists, trained = data[data["kind"] == "finalist"], data[data["kind"] == "trained"]
    for mark in sorted(OUTCOMES.values(), key=lambda mark: -mark.order):
        n = int(((finalists["mark"] == mark.name) & ~finalists["is_baseline"].astype(bool)).sum())
        if n and mark.name != "failed":
            handles.append(_handle(mark))
            texts.append(f"finalist: {mark.label}" + ("" if mark.name == "best" else f" ({n})"))
    if data["is_baseline"].astype(bool).any():
        handles.append(Line2D([], [], marker="D", markersize=6.5, color=_BASE, **plain))
        texts.append("base network")
    if ((trained["label"] != "") & ~trained["is_baseline"].astype(bool)).any():
        handles.append(Line2D([], [], marker="D", markersize=6.5, color=INK, **plain))
        texts.append("reference")
    for epochs, colour in shades(trained.loc[trained["accuracy"].notna(), "epochs"].tolist()).items():
        handles.append(Line2D([], [], marker="o", markersize=5, color=colour, **plain))
        texts.append(epochs_words("trained for", epochs))
    n_failed = int(data.loc[data["kind"] != "catalog", "accuracy"].isna().sum())
    if n_failed:
        handles.append(Line2D([], [], marker="x", markersize=6, color=INK, **plain))
        texts.append(f"no result ({n_failed})")
    if handles:
        figure.legend(
            handles, texts, loc="lower center", ncols=min(_COLUMNS, len(handles)), bbox_to_anchor=(0.5, -0.005),
            columnspacing=1.4, handletextpad=0.3, fontsize=8.5,
        )  # fmt: skip
    return legend_height(len(handles), _COLUMNS, figure.get_figheight())


def _handle(mark: Mark) -> Line2D:
    size = 12 if mark.name == "best" else 7.5
    return Line2D([], [], linestyle="none", marker=mark.marker, markersize=size, color=mark.colour)
