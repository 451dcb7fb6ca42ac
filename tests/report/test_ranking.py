"""Candidates by objective."""

import math

import pandas as pd
import pytest
from grid_tables import many, row, standings

from scalesearch.report.ranking import draw_ranking, ranking_data, ranking_title


def test_data_is_sorted_with_the_missing_last():
    data = ranking_data(standings().iloc[::-1])
    assert list(data["objective_adjusted"].iloc[:4]) == [0.812, 0.808, 0.806, 0.770]
    assert data["gap"].iloc[1] == pytest.approx(0.004)
    assert math.isnan(data["objective_adjusted"].iloc[4])
    assert (data["low"].iloc[0], data["high"].iloc[0]) == pytest.approx((0.802, 0.822))
    assert list(data["seeds"]) == [3, 3, 3, 3, 0]


def test_one_row_per_candidate():
    figure = draw_ranking(ranking_data(standings()))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count("× no result") == 1
    assert "(1.20, 1.10, 1.15)" in texts
    assert texts.count("0.25") == 4
    assert len([c for c in figure.axes[0].collections if c.get_gid()]) == 4


def test_height_grows_with_rows():
    assert draw_ranking(ranking_data(many(60))).get_figheight() > 10
    assert draw_ranking(ranking_data(many(1))).get_figheight() < 3


def test_long_names_are_shortened():
    frame = standings().assign(rule="efficientnet+latency_aware+a_very_long_name")
    texts = [text.get_text() for text in draw_ranking(ranking_data(frame)).axes[0].texts]
    assert "efficientnet +…" in texts


@pytest.mark.parametrize(
    ("outcomes", "title"),
    [
        (["best", "tied", "told apart"], "1 of 2 others cannot be told from the leader"),
        (["best", "told apart", "told apart"], "The winner is told apart from all 2 others"),
        (["best", "told apart"], "The winner is told apart from the other"),
        (["best", "tied", "tied"], "No candidate can be told from the leader"),
        (["best"], "One candidate with a result: nothing to compare with"),
        (["failed"], "No candidate has a result"),
        (["best", "waiting", "told apart"], "1 of 2 others are not decided yet"),
    ],
)
def test_titles(outcomes, title):
    rows = [row(1.2, 1.1, 1.1 + i / 10, None if o == "failed" else 0.8, o) for i, o in enumerate(outcomes)]
    data = ranking_data(pd.DataFrame(rows))
    assert ranking_title(data) == title
    assert draw_ranking(data).axes
