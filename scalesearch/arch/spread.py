"""Choosing a few points that cover many: farthest-first traversal.

Gonzalez, "Clustering to minimize the maximum intercluster distance" (1985): each next point is the one
farthest from those already chosen, which covers the set within twice the best possible radius.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["spread_out"]


def spread_out(points: Sequence[Sequence[float]], count: int, *, first: Sequence[int] = ()) -> list[int]:
    """Indices of at most `count` points that cover all of them, always including `first`.

    Args:
        points: coordinates in a space where Euclidean distance means something.
        count: how many to choose; more than that only if `first` alone is longer.
        first: indices that are chosen anyway. Without any, the first point starts.
    """
    if not points:
        return []
    chosen = list(dict.fromkeys(first)) or [0]
    distance = [min(math.dist(point, points[index]) for index in chosen) for point in points]
    while len(chosen) < min(count, len(points)):
        # the farthest point; the lowest index wins a tie, so that the choice is the same everywhere
        index = max(range(len(points)), key=lambda i: (distance[i], -i))
        if index in chosen:
            break
        chosen.append(index)
        distance = [min(d, math.dist(point, points[index])) for d, point in zip(distance, points, strict=True)]
    return chosen
