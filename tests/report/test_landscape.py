"""Objective over the alpha-beta-gamma plane."""

import math

import numpy as np
import pandas as pd
import pytest
from grid_tables import many, row, standings
from matplotlib.collections import PathCollection

from scalesearch.report.landscape import draw_landscape, landscape_data


def shares(*coefficients):
    data = landscape_data(pd.DataFrame([row(*coefficients, 0.8, "best")]), ratio=2.0).iloc[0]
    return [data["depth_share"], data["width_share"], data["resolution_share"]], (data["x"], data["y"])


@pytest.mark.parametrize(
    ("coefficients", "expected", "place"),
    [
        ((2.0, 1.0, 1.0), [1, 0, 0], (0, 0)),
        ((1.0, 2**0.5, 1.0), [0, 1, 0], (1, 0)),
        ((1.0, 1.0, 2**0.5), [0, 0, 1], (0.5, math.sqrt(3) / 2)),
        ((2**0.5, 1.0, 2**0.25), [0.5, 0, 0.5], (0.25, math.sqrt(3) / 4)),
        # half the width share of log cost 1/2, shrinking: logs are negative, shares are not
        ((0.5**0.25, 0.5**0.25, 0.5**0.125), [0.25, 0.5, 0.25], (0.625, math.sqrt(3) / 8)),
        # ln 1.2 = 0.18232, 2 ln 1.1 = 0.19062, 2 ln 1.15 = 0.27952, sum 0.65247
        ((1.2, 1.1, 1.15), [0.27943, 0.29215, 0.42841], (0.50636, 0.37102)),
    ],
)
def test_shares_of_log_cost_and_place(coefficients, expected, place):
    found, at = shares(*coefficients)
    assert found == pytest.approx(expected, abs=1e-4)
    assert at == pytest.approx(place, abs=1e-4)


def test_product_of_one_has_no_direction():
    found, at = shares(1.0, 1.0, 1.0)
    assert all(map(math.isnan, [*found, *at]))


def test_data_keeps_missing_values_and_decides_by_adjusted_objective():
    data = landscape_data(standings(), ratio=2.0)
    assert list(data["mark"]) == ["best", "tied", "tied", "told apart", "failed"]
    assert math.isnan(data["objective_adjusted"].iloc[4])
    # row() puts the plain mean half a unit higher
    assert data["objective_adjusted"].iloc[0] == 0.812
    assert set(data["ratio"]) == {2.0}


def test_plain_objective_where_there_is_no_other():
    data = landscape_data(standings().drop(columns="objective_adjusted"), ratio=2.0)
    assert data["objective_adjusted"].iloc[0] == pytest.approx(1.312)


def test_table_read_again_gives_the_same_frame(tmp_path):
    standings().to_csv(tmp_path / "standings.csv", index=False)
    again = landscape_data(pd.read_csv(tmp_path / "standings.csv"), ratio=2.0)
    pd.testing.assert_frame_equal(again, landscape_data(standings(), ratio=2.0), check_dtype=False)


def points(figure, gid):
    found = [c for c in figure.axes[0].collections if isinstance(c, PathCollection) and c.get_gid() == gid]
    return sum(len(c.get_offsets()) for c in found)


def test_one_mark_per_candidate():
    figure = draw_landscape(landscape_data(standings(), ratio=2.0))
    assert {gid: points(figure, gid) for gid in ("best", "tied", "told apart", "failed")} == {
        "best": 1, "tied": 2, "told apart": 1, "failed": 1,
    }  # fmt: skip
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["best estimate", "tied with it (2)", "told apart from it (1)", "no result (1)"]


def test_colours_never_take_a_missing_objective_for_zero():
    figure = draw_landscape(landscape_data(standings(), ratio=2.0))
    coloured = [c for c in figure.axes[0].collections if c.get_gid() in ("best", "tied", "told apart")]
    assert {(c.norm.vmin, c.norm.vmax) for c in coloured} == {(0.770, 0.812)}


def test_rules_are_labelled_and_corners_not_twice():
    figure = draw_landscape(landscape_data(standings(), ratio=2.0))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "efficientnet" in texts
    assert "uniform" in texts  # width_only+uniform in the corner of width
    assert not {"depth only", "width only", "resolution only"} & set(texts)
    assert "depth only\nα = 2" in texts


@pytest.mark.parametrize("n", [1, 4, 16, 60])
def test_any_number_of_candidates(n):
    figure = draw_landscape(landscape_data(many(n), ratio=2.0))
    assert points(figure, "best") == 1
    assert points(figure, "tied") + points(figure, "told apart") == n - 1
    labels = [text for text in figure.axes[0].texts if text.get_text().startswith("a rule")]
    assert len(labels) == math.ceil(n / 8)


def test_nobody_has_a_result():
    frame = pd.DataFrame([row(1.2, 1.1, 1.15, None, "failed"), row(1.0, 1.0, 1.0, None, "failed")])
    figure = draw_landscape(landscape_data(frame, ratio=2.0))
    # a product of one has no place
    assert points(figure, "failed") == 1
    assert len(figure.axes) == 1  # no colour bar
    assert np.any([text.get_text().endswith("no result") for text in figure.texts])
