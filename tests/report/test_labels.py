"""Labels beside their points."""

import itertools

import numpy as np
import pytest
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from scalesearch.report.labels import Label, _crossing, place_labels
from scalesearch.report.render import new_figure, style


def placed(points, texts):
    with style():
        figure = new_figure(5, 4)
        axes = figure.add_axes((0.05, 0.05, 0.9, 0.9))
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        labels = [Label(x, y, text) for (x, y), text in zip(points, texts, strict=True)]
        found = place_labels(axes, labels, points, radius=5)
        figure.canvas.draw()
        # an annotation's own extent includes its line
        boxes = [Text.get_window_extent(text) for text in found]
    return axes, found, boxes


def test_labels_cover_neither_each_other_nor_points():
    points = [(0.5 + 0.03 * i, 0.5 + 0.02 * (i % 3)) for i in range(7)]
    axes, found, boxes = placed(points, [f"a long name {i}" for i in range(7)])
    assert [a.get_text() for a in found] == [f"a long name {i}" for i in range(7)]
    assert not any(Bbox.intersection(one, other) for one, other in itertools.combinations(boxes, 2))
    spots = axes.transData.transform(points)
    assert not any(box.contains(*spot) for box in boxes for spot in spots)
    assert all(axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 for box in boxes)


def test_nearest_place_needs_no_line():
    _, found, boxes = placed([(0.2, 0.5)], ["alone"])
    assert found[0].arrow_patch is None
    assert boxes[0].x0 > 0


def test_text_too_large_for_any_place_is_still_written():
    _, found, _ = placed([(0.5, 0.5)], ["wide " * 60])
    assert len(found) == 1


@pytest.mark.parametrize(
    ("line", "crosses"),
    [
        ((0, 0, 4, 4), True),
        ((2, 0, 2, 4), True),  # upright
        ((0, 2, 4, 2), True),
        ((2, 2, 2, 2), True),  # a point inside
        ((0, 0, 0.9, 0.9), False),  # ends before it
        ((0, 2.5, 1.5, 4), False),  # past a corner
        ((0, 0, 0, 4), False),
        ((4, 4, 3.1, 3.1), False),
        ((2, 2, 9, 9), True),  # begins inside
    ],
)
def test_lines_that_meet_a_box(line, crosses):
    assert _crossing(np.array([line], dtype=float), np.array([[1.0, 1.0, 3.0, 3.0]])).tolist() == [[crosses]]
