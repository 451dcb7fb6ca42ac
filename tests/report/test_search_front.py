"""Accuracy against cost, with the Pareto front."""

import math

import pandas as pd
import pytest
from search_made import B0_MACS, few, finalists, many, summary, trial

from scalesearch.report.search_figures import search_figures
from scalesearch.report.search_front import draw_front, front_data, front_title


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def drawn(figure, gid):
    return [artist for artist in (*figure.axes[0].collections, *figure.axes[0].lines) if artist.get_gid() == gid]


def test_data():
    data = front_data(few(), finalists(), summary())
    trained = data[data["kind"] == "trained"].set_index("number")
    assert trained["accuracy"].iloc[:1].tolist() == pytest.approx([80.0])
    assert trained.index[trained["on_front"]].tolist() == [3, 4, 5]
    compared = data[data["kind"] == "finalist"]
    assert list(compared["mark"]) == ["best", "tied", "told apart", "failed"]
    assert compared[["low", "high"]].iloc[0].tolist() == pytest.approx([84.0, 85.2])
    catalog = data[data["kind"] == "catalog"].set_index("name")
    assert catalog.loc["efficientnet_b0", "cost"] == B0_MACS
    # what is published was reached on other data
    assert catalog["accuracy"].isna().all()
    assert data[["target", "window_low", "window_high"]].iloc[0].tolist() == [4e8, 3.2e8, 4.4e8]


def test_the_base_network_stands_there_once():
    data = front_data(few(), finalists(), summary())
    assert data.loc[data["is_baseline"], "kind"].tolist() == ["finalist"]
    alone = front_data(few(), pd.DataFrame(), summary())
    assert alone.loc[alone["is_baseline"], "number"].tolist() == [5]
    assert texts(draw_front(alone)).count("efficientnet b0") == 2  # its point, and its tick


def test_only_the_longest_trainings_make_the_front():
    rows = [trial(1, 0.95, 3.5e8), trial(2, 0.8, 4e8, epochs=3), trial(3, math.nan, 3.6e8, epochs=9)]
    data = front_data(pd.DataFrame(rows), pd.DataFrame(), summary())
    assert data.loc[data["on_front"], "number"].tolist() == [2]
    assert front_title(data) == "1 of 2 networks is on the Pareto front: 80.0 %"


def test_stairs_go_level_then_up():
    figure = draw_front(front_data(few(), pd.DataFrame(), summary()))
    (stairs,) = drawn(figure, "front")
    axes = figure.axes[0]
    bottom, right = axes.get_ylim()[0], axes.get_xlim()[1]
    expected = [(B0_MACS, bottom), (B0_MACS, 79), (390e6, 79), (390e6, 81), (410e6, 81), (410e6, 84), (right, 84)]
    assert [tuple(point) for point in stairs.get_xydata()] == [pytest.approx(point) for point in expected]


def test_drawing():
    figure = draw_front(front_data(many(60), finalists(), summary()))
    assert len(drawn(figure, "finalist")) == 3
    assert len(drawn(figure, "target")) == 1
    shown = texts(figure)
    assert {"s093", "efficientnet b0", "efficientnet lite0"} <= set(shown)
    words = [text.get_text() for text in figure.texts]
    assert "stairs: Pareto front; dashed: target 400M; band: hard budget, 320M to 440M; bars: 95 % interval" in words


def test_other_costs():
    scaled = few().assign(cost=[4.0, 4.1, 4.2, 3.9, 3.8])
    data = front_data(scaled, pd.DataFrame(), summary(cost="latency", target=4.0, window_low=0.0, window_high=math.inf))
    assert "catalog" not in set(data["kind"])
    figure = draw_front(data)
    assert figure.axes[0].get_xlabel() == "latency of the full-size network, ms (median)"
    assert "stairs: Pareto front; dashed: target 4 ms" in [text.get_text() for text in figure.texts]
    params = front_data(few(), pd.DataFrame(), summary(cost="params", target=5e6))
    assert params.loc[params["name"] == "efficientnet_b0", "cost"].iloc[-1] == 5_288_548


@pytest.mark.parametrize(
    ("rows", "title"),
    [
        ([trial(1, 0.8, 4e8)], "1 network trained: 80.0 %"),
        ([trial(1, math.nan, 4e8)], "No network has an accuracy"),
        ([trial(1, 0.8, 4e8, epochs=None), trial(2, 0.7, 4e8, epochs=None)],
         "1 of 2 networks is on the Pareto front: 80.0 %"),
    ],
)  # fmt: skip
def test_few_trainings(rows, title):
    figures = search_figures(pd.DataFrame(rows), pd.DataFrame(), summary(window_low=None, window_high=None))
    assert list(figures) == ["progress", "front", "genes"]
    assert front_title(figures["front"][0]) == title
