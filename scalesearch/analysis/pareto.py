"""What is worth its cost: the Pareto front of accuracy and cost, the area it dominates, and how both grew.

A network is dominated where another one costs no more, is at least as accurate, and is better in one of the two. The
hypervolume (Zitzler and Thiele 1999, IEEE Trans. Evolutionary Computation 3(4)) of points (c, a) is the area that they
dominate in the plane of log2 cost and accuracy, up to a reference (C, A): its unit is accuracy times doublings of cost.
In two dimensions it is exact by one sweep over the front, in ascending cost and hence ascending accuracy:

    sum over i of  (log2 C - log2 c_i) * (a_i - a_(i-1)),   a_0 = A
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from scalesearch.errors import DataError

__all__ = ["front", "hypervolume", "progress"]

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]


def front(points: pd.DataFrame) -> Flags:
    """Which rows are on the Pareto front.

    Args:
        points: n rows with `cost` (positive) and `accuracy`; a row where either is missing or infinite is never on it.

    Returns:
        (n,) flags in the order of `points`. Of rows equal in both only the first is on the front.

    Raises:
        DataError: a column is missing, or a cost is not positive.
    """
    cost, accuracy = _columns(points, "cost", "accuracy")
    return _front(cost, accuracy)


def hypervolume(costs: ArrayLike, accuracies: ArrayLike, *, reference_cost: float, reference_accuracy: float) -> float:
    """Area that the points dominate in (log2 cost, accuracy), up to the reference.

    Args:
        costs: (n,) positive, in any unit: only ratios to `reference_cost` count.
        accuracies: (n,), in the unit of `reference_accuracy`.
        reference_cost: points that cost as much or more add nothing.
        reference_accuracy: points as accurate or less add nothing.

    Raises:
        DataError: a cost is not positive.
    """
    cost, accuracy = np.asarray(costs, dtype=np.float64), np.asarray(accuracies, dtype=np.float64)
    _check_costs(np.append(cost, reference_cost))
    counted = (cost < reference_cost) & (accuracy > reference_accuracy)
    cost, accuracy = cost[counted], accuracy[counted]
    kept = _front(cost, accuracy)
    order = np.argsort(cost[kept], kind="stable")
    doublings = np.log2(reference_cost / cost[kept][order])
    gains = np.diff(accuracy[kept][order], prepend=reference_accuracy)
    return float(doublings @ gains)


def progress(
    trials: pd.DataFrame, *, reference_cost: float | None = None, reference_accuracy: float = 0.0
) -> pd.DataFrame:
    """How the best objective and the hypervolume grew from trial to trial.

    Results after different numbers of epochs are not compared: each number of epochs has its own best and area.

    Args:
        trials: `number, objective, accuracy, cost`, and `epochs` where trials differ in it; in any order.
        reference_cost: of the hypervolume; the largest cost of a finished trial by default.
        reference_accuracy: of the hypervolume.

    Returns:
        One row per finished trial (accuracy and objective finite) by ascending number: `number, epochs, objective,
        best, hypervolume`, the last two over the trials up to this one with as many epochs (epochs NaN: not given).

    Raises:
        DataError: a column is missing, or a cost is not positive.
    """
    number, objective, accuracy, cost = _columns(trials, "number", "objective", "accuracy", "cost")
    epochs = _columns(trials, "epochs")[0] if "epochs" in trials else np.full(len(trials), math.nan)
    finished = np.isfinite(objective) & np.isfinite(accuracy) & np.isfinite(cost)
    order = np.argsort(number, kind="stable")
    order = order[finished[order]]
    limit = reference_cost if reference_cost is not None else float(cost[order].max(initial=0.0))
    areas: dict[float, _Staircase] = {}
    best: dict[float, float] = {}
    rows: list[tuple[float, ...]] = []
    for i in order:
        # NaN is equal to nothing, itself included
        group = -1.0 if math.isnan(epochs[i]) else float(epochs[i])
        best[group] = max(best.get(group, -math.inf), float(objective[i]))
        area = areas.setdefault(group, _Staircase(limit, reference_accuracy))
        area.add(float(cost[i]), float(accuracy[i]))
        rows.append((number[i], epochs[i], objective[i], best[group], area.area))
    frame = pd.DataFrame(rows, columns=["number", "epochs", "objective", "best", "hypervolume"], dtype=float)
    return frame.astype({"number": np.int64})


class _Staircase:
    """A front that grows point by point, with the area that it dominates.

    Invariant: costs and accuracies both ascend strictly.
    """

    def __init__(self, reference_cost: float, reference_accuracy: float):
        self.reference_cost, self.reference_accuracy = reference_cost, reference_accuracy
        self.costs: list[float] = []
        self.accuracies: list[float] = []
        self.area = 0.0

    def add(self, cost: float, accuracy: float) -> None:
        """Add a point: what it newly dominates lies between its own height and the stairs below."""
        if cost >= self.reference_cost or accuracy <= self.reference_accuracy:
            return
        start = bisect_left(self.costs, cost)
        if start < len(self.costs) and self.costs[start] == cost and self.accuracies[start] >= accuracy:
            return
        level = self.accuracies[start - 1] if start else self.reference_accuracy
        if level >= accuracy:
            return
        end, edge = start, cost
        while end < len(self.costs) and self.accuracies[end] <= accuracy:
            self.area += math.log2(self.costs[end] / edge) * (accuracy - level)
            edge, level = self.costs[end], self.accuracies[end]
            end += 1
        beyond = self.costs[end] if end < len(self.costs) else self.reference_cost
        self.area += math.log2(beyond / edge) * (accuracy - level)
        self.costs[start:end], self.accuracies[start:end] = [cost], [accuracy]


def _front(cost: Floats, accuracy: Floats) -> Flags:
    on_front = np.zeros(len(cost), dtype=np.bool_)
    known = np.flatnonzero(np.isfinite(cost) & np.isfinite(accuracy))
    # cheapest first, of equal cost the most accurate, of equal points the first
    order = known[np.lexsort((known, -accuracy[known], cost[known]))]
    reached = np.maximum.accumulate(np.append(-math.inf, accuracy[order]))[:-1]
    on_front[order[accuracy[order] > reached]] = True
    return on_front


def _columns(frame: pd.DataFrame, *names: str) -> Sequence[Floats]:
    missing = [name for name in names if name not in frame]
    if missing:
        raise DataError(f"the table needs the columns {', '.join(names)}", value=f"no {', '.join(missing)}")
    columns: list[Any] = [frame[name].to_numpy(dtype=np.float64, na_value=math.nan) for name in names]
    if "cost" in names:
        _check_costs(columns[names.index("cost")])
    return columns


def _check_costs(cost: Floats) -> None:
    if (cost <= 0).any():
        raise DataError("costs must be positive", value=float(cost[cost <= 0][0]))
