"""What curves look like in every figure of a study of axes, and the axes that these figures share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scalesearch.report.render import COLOURS, INK, MUTED

__all__ = [
    "CurveLook",
    "cost_limits",
    "draw_fit",
    "draw_points",
    "looks",
    "write_title",
]

_AREA: Final = 36.0  # pt^2 of a point


@dataclass(frozen=True, slots=True)
class CurveLook:
    """How one curve is drawn."""

    name: str
    colour: str
    marker: str


_KNOWN: Final[Mapping[str, CurveLook]] = {
    look.name: look
    for look in (
        CurveLook("width", COLOURS["blue"], "s"),
        CurveLook("depth", COLOURS["vermillion"], "^"),
        CurveLook("resolution", COLOURS["green"], "D"),
        CurveLook("compound", INK, "o"),
        CurveLook("fast", COLOURS["purple"], "v"),
        CurveLook("uniform", COLOURS["sky_blue"], "P"),
        CurveLook("latency_aware", COLOURS["orange"], "X"),
    )
}
_OTHERS: Final = ("blue", "vermillion", "green", "purple", "sky_blue", "orange")
_MARKERS: Final = ("s", "^", "D", "v", "P", "X", "o")


def looks(names: Sequence[str]) -> dict[str, CurveLook]:
    """A look for each curve: its own where it is a known one, otherwise the next that is free."""
    taken = {_KNOWN[name].colour for name in names if name in _KNOWN}
    free = [COLOURS[name] for name in _OTHERS if COLOURS[name] not in taken] or [MUTED]
    strange = [name for name in dict.fromkeys(names) if name not in _KNOWN]
    found = {name: _KNOWN[name] for name in names if name in _KNOWN}
    for i, name in enumerate(strange):
        # colours may come twice among many curves, colour and marker together do not
        found[name] = CurveLook(name, free[i % len(free)], _MARKERS[(i + i // len(free)) % len(_MARKERS)])
    return found


def cost_limits(data: pd.DataFrame) -> tuple[float, float]:
    """Limits around every point and fitted curve."""
    costs = data.loc[data["kind"].isin(["point", "fit"]), "macs"].dropna()
    if costs.empty:
        return 1.0, 10.0
    low, high = float(costs.min()), float(costs.max())
    margin = max(1.0 + 0.09 * math.log(high / low), 1.05)
    return low / margin, high * margin


def draw_fit(axes: Axes, fit: pd.DataFrame, look: CurveLook, *, thin: bool = False) -> None:
    """A fitted curve with its band; thin ones are there to compare with."""
    if fit.empty:
        return
    if not thin and fit["low"].notna().any():
        axes.fill_between(
            fit["macs"], fit["low"], fit["high"], color=look.colour, alpha=0.13, linewidth=0, zorder=2, gid="band"
        )
    axes.plot(
        fit["macs"], fit["accuracy"], color=look.colour, linewidth=0.9 if thin else 1.8, zorder=3,
        linestyle=(0, (4, 2.5)) if thin else "-", gid=f"fit {look.name}",
    )  # fmt: skip


def draw_points(axes: Axes, points: pd.DataFrame, look: CurveLook, *, thin: bool = False) -> None:
    """Means with their intervals; what lies beyond the axis has a triangle on its edge, a cross has no result."""
    bottom, top = axes.get_ylim()
    known, unknown = points[points["accuracy"].notna()], points[points["accuracy"].isna()]
    axes.scatter(
        unknown["macs"], [0.025] * len(unknown), transform=axes.get_xaxis_transform(), s=30, marker="x",
        color=look.colour, linewidths=1.3, zorder=6, gid=f"failed {look.name}",
    )  # fmt: skip
    if thin:
        axes.scatter(known["macs"], known["accuracy"], s=7, color=look.colour, linewidths=0, alpha=0.8, zorder=4)
        return
    axes.vlines(
        known["macs"], known["low"].clip(lower=bottom), known["high"].clip(upper=top), color=look.colour,
        linewidth=1.3, alpha=0.8, zorder=5, gid=f"bars {look.name}",
    )  # fmt: skip
    for beyond, edge, marker in ((known["low"] < bottom, bottom, "v"), (known["high"] > top, top, "^")):
        out = known[beyond]
        axes.scatter(out["macs"], [edge] * len(out), s=14, marker=marker, color=look.colour, clip_on=False, zorder=6)
    axes.scatter(
        known["macs"], known["accuracy"], s=_AREA, marker=look.marker, facecolors=look.colour, edgecolors="white",
        linewidths=0.7, zorder=7, gid=f"points {look.name}",
    )  # fmt: skip


def write_title(figure: Figure, title: str, key: str, *, at: float = 0.03) -> None:
    """The finding and what the marks mean, above the plots; a long line is written smaller, so that it fits."""
    height = figure.get_figheight()
    head = figure.text(at, 1 - 0.3 / height, title, fontsize=12.5, fontweight="bold")
    below = figure.text(at, 1 - 0.5 / height, key, fontsize=9, color=MUTED)
    room = (1 - at - 0.01) * figure.get_figwidth() * figure.dpi
    for text, size in ((head, 12.5), (below, 9.0)):
        # not in one step, because widths do not shrink quite as sizes do
        while (wide := text.get_window_extent().width) > room and size > 6:
            size *= max(0.8, 0.99 * room / wide)
            text.set_fontsize(size)
