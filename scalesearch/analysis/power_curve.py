"""The arithmetic of error = a + b * x^-c: all exponents at once, profile likelihood intervals, bootstrap.

Formulae and sources stand in `saturation`, which is what to call.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from scalesearch.analysis.regression import LACK_OF_FIT, Estimate, PureError, lack_of_fit

__all__ = ["C_RANGE", "CurveMeans", "Noise", "bootstrap", "curve_at", "noise_of", "profile", "solve"]

C_RANGE = (0.02, 8.0)  # exponents considered: from nearly logarithmic to flat after the first point
_GRID = np.geomspace(*C_RANGE, 200)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CurveMeans:
    """Mean error of each cost, seed effects removed."""

    x: Floats  # (m,) cost / first cost, ascending
    y: Floats  # (m,)
    weight: Floats  # (m,) trainings
    pure: PureError  # within costs
    n_seeds: int


@dataclass(frozen=True, slots=True)
class Noise:
    """What intervals of a curve are built on: the residual sd, or the misfit's where the law does not hold."""

    sd: float | None  # of one training; None without degrees of freedom
    df: int
    lack_of_fit: float | None  # p value

    @property
    def misfit(self) -> bool:
        """Whether the curve does not describe the data."""
        return self.lack_of_fit is not None and self.lack_of_fit < LACK_OF_FIT


def noise_of(means: CurveMeans, between: float) -> Noise:
    """The noise around a curve that leaves `between` as the weighted sum of squares of the means."""
    lack_df = len(means.x) - 3
    df, rss = means.pure.df + lack_df, means.pure.rss + between
    p = lack_of_fit(rss, df, means.pure)
    if df <= 0:
        return Noise(None, 0, None)
    if p is not None and p < LACK_OF_FIT:
        return Noise(math.sqrt(between / lack_df), lack_df, p)
    return Noise(math.sqrt(rss / df), df, p)


def _linear(x: Floats, w: Floats, y: Floats, c: Floats) -> tuple[Floats, Floats, Floats]:
    """Bounded least squares of a and b, and the weighted RSS: each (R, G) for y (R, m) and exponents c (G,)."""
    phi = x[None] ** -c[:, None]
    total, s1, s2 = w.sum(), phi @ w, (phi**2) @ w
    y1, yphi, y2 = (y @ w)[:, None], y @ (phi * w).T, (y**2) @ w
    determinant = np.maximum(total * s2 - s1**2, 1e-300)
    b = np.maximum((total * yphi - s1 * y1) / determinant, 0.0)
    a = (y1 - b * s1) / total
    # a curve that would end below zero error goes through zero instead
    b, a = np.where(a < 0, np.maximum(yphi / s2, 0.0), b), np.maximum(a, 0.0)
    rss = y2[:, None] - 2 * a * y1 - 2 * b * yphi + a**2 * total + 2 * a * b * s1 + b**2 * s2
    return a, b, rss


def solve(x: Floats, w: Floats, y: Floats) -> Floats:
    """(3,) a, b, c for y (m,): the best exponent of the grid, then of finer grids around it."""
    grid = _GRID
    for _ in range(6):
        a, b, rss = (values[0] for values in _linear(x, w, y[None], grid))
        at = int(rss.argmin())
        best = np.array([a[at], b[at], grid[at]])
        grid = np.geomspace(grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)], 41)
    return best


def _solve_many(x: Floats, w: Floats, y: Floats) -> Floats:
    """(R, 3) a, b, c for y (R, m): the best exponent of the grid, moved to the vertex of a parabola there."""
    _, _, rss = _linear(x, w, y, _GRID)
    at = np.clip(rss.argmin(axis=1), 1, len(_GRID) - 2)
    rows = np.arange(len(y))
    left, middle, right = rss[rows, at - 1], rss[rows, at], rss[rows, at + 1]
    # vertex of the parabola through the three best, in steps of the grid
    bend = left - 2 * middle + right
    shift = np.divide(left - right, 2 * bend, out=np.zeros_like(bend), where=bend > 0).clip(-1.0, 1.0)
    c = _GRID[at] * (_GRID[1] / _GRID[0]) ** shift
    phi = x[None] ** -c[:, None]
    total, s1, s2, y1, yphi = w.sum(), phi @ w, (phi**2) @ w, y @ w, ((y * phi) @ w)
    b = np.maximum((total * yphi - s1 * y1) / np.maximum(total * s2 - s1**2, 1e-300), 0.0)
    a = (y1 - b * s1) / total
    return np.column_stack([np.maximum(a, 0.0), np.where(a < 0, yphi / s2, b), c])


def curve_at(x: Floats, abc: Floats) -> Floats:
    """(m,) errors at x."""
    return np.asarray(abc[0] + abc[1] * x ** -abc[2], dtype=np.float64)


def profile(means: CurveMeans, solution: Floats, noise: Noise, confidence: float) -> list[Estimate]:
    """a, b and c with profile likelihood intervals.

    For every exponent of the grid the RSS is a parabola in a and in b, so all values below the threshold are found
    in closed form. a and b are cut at zero.
    """
    x, w, y = means.x, means.weight, means.y
    grid = np.unique(np.concatenate([_GRID, solution[2] * np.geomspace(0.9, 1.1, 101)]).clip(*C_RANGE))
    phi = x[None] ** -grid[:, None]
    total, s1, s2, y1, yphi = w.sum(), phi @ w, (phi**2) @ w, w @ y, phi @ (w * y)
    determinant = np.maximum(total * s2 - s1**2, 1e-300)
    b = (total * yphi - s1 * y1) / determinant
    a = (y1 - b * s1) / total
    free = (w * (y - a[:, None] - b[:, None] * phi) ** 2).sum(axis=1)
    bounded = _linear(x, w, y[None], grid)[2][0]
    best = float((w * (y - curve_at(x, solution)) ** 2).sum())
    critical = float(stdtrit(noise.df, (1 + confidence) / 2)) * (noise.sd or 0.0)
    # rounding: a curve without any noise must hold at least its own solution
    room = best + critical**2 + 1e-12 * float((w * y**2).sum())
    # (RSS - free) = a_step^2 * determinant / s2 = b_step^2 * determinant / total
    step = np.sqrt(np.maximum(room - free, 0.0) / determinant)
    a_step, b_step = step * np.sqrt(s2), step * math.sqrt(total)
    inside = (bounded <= room) & (free <= room)
    if not inside.any():
        return [Estimate(float(v), float(v), float(v)) for v in solution]
    rows = ((a, a_step, solution[0]), (b, b_step, solution[1]), (grid, np.zeros_like(grid), solution[2]))
    return [_bounds(value[inside], half[inside], float(at)) for value, half, at in rows]


def _bounds(value: Floats, half: Floats, at: float) -> Estimate:
    return Estimate(at, min(at, max(0.0, float((value - half).min()))), max(at, float((value + half).max())))


def bootstrap(means: CurveMeans, solution: Floats, noise: Noise, n: int, seed: int) -> Floats:
    """(n, 3) a, b, c refitted to means redrawn around the solution; the sd is redrawn with its degrees of freedom."""
    rng = np.random.default_rng(seed)
    scale = (noise.sd or 0.0) * np.sqrt(noise.df / rng.chisquare(noise.df, size=(n, 1)))
    draws = scale * rng.standard_normal((n, len(means.x))) / np.sqrt(means.weight)
    return _solve_many(means.x, means.weight, curve_at(means.x, solution) + draws)
