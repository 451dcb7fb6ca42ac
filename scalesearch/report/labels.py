"""Labels beside their points that cover neither points nor each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from numpy.typing import NDArray

from scalesearch.report.render import INK, MUTED

__all__ = ["Label", "place_labels"]

_ANGLES: Final = (0, 180, *range(15, 180, 15), *range(195, 360, 15))
_DISTANCES: Final = (11, 16, 25, 36, 50, 66, 84, 104, 126)  # pt, from the point to the edge of the text
_PADDING: Final = 1.5  # pt around a text

Floats = NDArray[np.float64]  # boxes and lines are rows of x0, y0, x1, y1 in pixels
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Label:
    """A text that names the point (x, y) in data coordinates."""

    x: float
    y: float
    text: str


def place_labels(
    axes: Axes,
    labels: Sequence[Label],
    points: Sequence[tuple[float, float]],
    *,
    bars: Sequence[tuple[float, float, float]] = (),
    size: float = 8.5,
    radius: float = 6.0,
) -> list[Annotation]:
    """Write each label at the free place nearest to its point, with a thin line to it where it is not close.

    Limits and position of the axes must be final. Greedy: labels with the fewest free places first.

    Args:
        points: everything drawn that must stay visible, in data coordinates.
        bars: upright lines (x, low, high) that had better stay visible.
        size: of the text, in pt.
        radius: of a drawn point, in pt.
    """
    canvas = axes.figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    canvas.draw()  # type: ignore[no-untyped-call]
    scale = axes.figure.dpi / 72
    taken = _taken(axes, _pixels(axes, points), radius * scale, _PADDING * scale)
    low, high = (_pixels(axes, [(bar[0], bar[end]) for bar in bars]) for end in (1, 2))
    lines = np.hstack([low, high])
    own = _pixels(axes, [(label.x, label.y) for label in labels])
    options = [_options(axes, label, at, size, scale) for label, at in zip(labels, own, strict=True)]
    order = sorted(range(len(labels)), key=lambda i: int((_covered(options[i][0], taken) == 0).sum()))
    placed: dict[int, Annotation] = {}
    for i in order:
        boxes, away = options[i]
        best = int(np.argmin(_cost(boxes, own[i], taken, lines) + away))
        middle = (boxes[best, :2] + boxes[best, 2:]) / 2
        taken = np.vstack([taken, boxes[best]])
        lines = np.vstack([lines, np.hstack([own[i], middle])])
        placed[i] = _write(axes, labels[i], (middle - own[i]) / scale, size, with_line=away[best] > _DISTANCES[0])
    return [placed[i] for i in range(len(labels))]


def _taken(axes: Axes, spots: Floats, radius: float, padding: float) -> Floats:
    """Boxes (m, 4) around points (n, 2) and around the texts that are there already."""
    texts = [text.get_window_extent().padded(padding).extents for text in axes.texts]
    return np.vstack([np.hstack([spots - radius, spots + radius]), np.array(texts).reshape(-1, 4)])


def _pixels(axes: Axes, points: Sequence[tuple[float, float]]) -> Floats:
    """Data coordinates (n, 2) in pixels."""
    at = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    return np.asarray(axes.transData.transform(at), dtype=np.float64)


def _options(axes: Axes, label: Label, at: Floats, size: float, scale: float) -> tuple[Floats, Floats]:
    """Places for a label inside the axes, nearest first: boxes (n, 4) in pixels and distances (n,) in pt."""
    probe = axes.annotate(label.text, (label.x, label.y), fontsize=size)
    extent = probe.get_window_extent()
    probe.remove()
    half = np.array([extent.width, extent.height]) / 2 + _PADDING * scale
    away, angle = (grid.ravel() for grid in np.meshgrid(_DISTANCES, np.radians(_ANGLES), indexing="ij"))
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    # from the centre of a box to its edge in that direction
    edge = (half / np.maximum(np.abs(direction), 1e-9)).min(axis=1)
    middle = at + direction * (edge + away * scale)[:, None]
    boxes = np.hstack([middle - half, middle + half])
    limits = axes.bbox.padded(-2 * scale).extents
    inside = (boxes[:, :2] >= limits[:2]).all(axis=1) & (boxes[:, 2:] <= limits[2:]).all(axis=1)
    # a text wider than the axes lies on its point
    return (boxes[inside], away[inside]) if inside.any() else (np.hstack([at - half, at + half])[None], np.zeros(1))


def _covered(boxes: Floats, taken: Floats) -> Floats:
    """Area (n,) of each box that is taken, in square pixels, counted once per thing that takes it."""
    low = np.maximum(boxes[:, None, :2], taken[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], taken[None, :, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=2).sum(axis=1), dtype=np.float64)


def _cost(boxes: Floats, at: Floats, taken: Floats, lines: Floats) -> Floats:
    """Cost (n,) of each place: covering a point or a text is worst, then lines across other things."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    own = np.hstack([np.broadcast_to(at, middle.shape), middle])
    is_own = _crossing(np.hstack([at, at])[None], taken)[0]
    crossed = _crossing(own, taken[~is_own]).sum(axis=1)  # the line may leave its own point
    under = _crossing(lines, boxes).sum(axis=0)
    return np.asarray(1e3 * _covered(boxes, taken) + 200.0 * crossed + 40.0 * under, dtype=np.float64)


def _crossing(lines: Floats, boxes: Floats) -> Flags:
    """Which lines (k, 4) meet which boxes (m, 4): (k, m), by the slab method (Kay and Kajiya 1986)."""
    start, step = lines[:, None, :2], lines[:, None, 2:] - lines[:, None, :2]
    step = np.where(np.abs(step) < 1e-9, 1e-9, step)
    # shares of the line at which it reaches the two sides of a box, in x and in y
    one, other = (boxes[None, :, :2] - start) / step, (boxes[None, :, 2:] - start) / step
    enter, leave = np.minimum(one, other).max(axis=2), np.maximum(one, other).min(axis=2)
    return np.asarray((enter <= leave) & (leave >= 0) & (enter <= 1), dtype=np.bool_)


def _write(axes: Axes, label: Label, offset: Floats, size: float, *, with_line: bool) -> Annotation:
    line = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 5}
    return axes.annotate(
        label.text,
        (label.x, label.y),
        xytext=(float(offset[0]), float(offset[1])),
        textcoords="offset points",
        fontsize=size,
        color=INK,
        ha="center",
        va="center",
        zorder=20,
        annotation_clip=False,
        arrowprops=line if with_line else None,
        path_effects=[withStroke(linewidth=2.2, foreground="white")],
    )
