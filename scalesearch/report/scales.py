"""Axes of costs and accuracies, which figures of every kind of study share."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

from scalesearch.report.render import MUTED
from scalesearch.units import format_count

__all__ = ["LOG_FROM", "accuracy_limits", "count_ticks", "ratio_axis", "ratio_text", "scale_counts"]

LOG_FROM: Final = 1.8
"""A range of counts this wide gets a logarithmic axis."""

_ROUND: Final = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
_RATIOS: Final = tuple(2.0**power for power in range(-10, 16))


def count_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Places and labels for an axis of counts from `low` to `high`: few, round, and no label twice."""
    if high / low >= LOG_FROM:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        every = [step * 10.0**power for power in powers for step in _ROUND]
        ticks = [tick for tick in every if low <= tick <= high]
        # over more than two decades round steps would crowd: whole decades are enough
        ticks = [10.0**power for power in powers if low <= 10.0**power <= high] if len(ticks) > 13 else ticks
    else:
        ticks = _linear_ticks(low, high)
    for digits in range(2, 13):
        labels = [format_count(tick, digits=digits) for tick in ticks]
        if len(set(labels)) == len(labels):
            break
    return ticks, labels


def scale_counts(axes: Axes, low: float, high: float, *, most: int | None = None, log: bool = True) -> None:
    """An axis of counts below the plot, with at most so many labels."""
    if log:
        axes.set_xscale("log")
    axes.set_xlim(low, high)
    _set_ticks(axes.xaxis, *count_ticks(low, high), most)


def ratio_axis(axes: Axes, baseline: float, *, title: str = "times the baseline") -> None:
    """The cost over the baseline's, above the plot."""

    def to_ratio(macs: Any) -> Any:
        return macs / baseline

    def to_macs(ratio: Any) -> Any:
        return ratio * baseline

    top = axes.secondary_xaxis("top", functions=(to_ratio, to_macs))
    low, high = (limit / baseline for limit in axes.get_xlim())
    ticks = [ratio for ratio in _RATIOS if low <= ratio <= high]
    labels = [ratio_text(tick) for tick in ticks]
    if len(ticks) < 2:
        ticks = count_ticks(low, high)[0]
        labels = [f"{tick:.4g}×" for tick in ticks]
    _set_ticks(top.xaxis, ticks, labels, 7)
    top.spines["top"].set_visible(False)
    top.tick_params(length=0, labelsize=8, labelcolor=MUTED)
    if title:
        top.set_xlabel(title, fontsize=8.5, color=MUTED, labelpad=3)


def ratio_text(ratio: float) -> str:
    """ "2×", "0.5×"."""
    return f"{ratio:.3g}×"


def accuracy_limits(means: pd.Series[Any], lows: pd.Series[Any], highs: pd.Series[Any]) -> tuple[float, float]:
    """Limits that hold every mean, and intervals unless those of a few points would flatten all others."""
    known = means.dropna()
    if known.empty:
        return 0.0, 100.0
    halves = ((highs - lows) / 2).dropna()
    span = max(float(known.max() - known.min()), 0.0 if halves.empty else 2 * float(halves.median()), 0.5)
    low = max(float(np.nanmin([lows.min(), known.min()])), float(known.min()) - 0.6 * span)
    high = min(float(np.nanmax([highs.max(), known.max()])), float(known.max()) + 0.6 * span)
    margin = 0.08 * (high - low) + 0.05
    return low - margin, high + margin


def _linear_ticks(low: float, high: float) -> list[float]:
    every = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [float(tick) for tick in every if low <= tick <= high]


def _set_ticks(axis: Any, ticks: list[float], labels: list[str], most: int | None) -> None:
    """These ticks and no others, thinned to at most so many."""
    step = 1 if most is None else max(1, math.ceil(len(ticks) / most))
    axis.set_major_locator(FixedLocator(ticks[::step]))
    axis.set_major_formatter(FixedFormatter(labels[::step]))
    axis.set_minor_locator(NullLocator())
