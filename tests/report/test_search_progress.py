"""Objective and hypervolume of a search, trial by trial."""

import math

import pandas as pd
import pytest
from search_made import few, many, summary, trial

from scalesearch.analysis.pareto import hypervolume
from scalesearch.report.search_progress import draw_progress, progress_data, progress_title


def gids(figure):
    return [artist.get_gid() for axes in figure.axes for artist in (*axes.collections, *axes.lines) if artist.get_gid()]


def test_data_holds_the_best_and_the_area_so_far():
    data = progress_data(few(), summary())
    assert list(data["number"]) == [1, 2, 3, 4, 5]
    assert data["objective"].isna().tolist() == [False, True, False, False, False]
    assert data["best"].tolist()[0] == pytest.approx(0.8)
    assert data["best"].iloc[4] == data["best"].iloc[2] == data["objective"].iloc[2]
    assert math.isnan(data["hypervolume"].iloc[1])
    # the hard budget's upper end is the reference
    area = hypervolume([400e6, 410e6], [0.80, 0.84], reference_cost=440e6, reference_accuracy=0)
    assert data["hypervolume"].iloc[2] == pytest.approx(area)
    assert set(data["baseline"]) == {"efficientnet_b0"}
    assert data["baseline_objective"].iloc[0] == summary()["baseline"]["objective"]


def test_finals_are_left_out_and_epochs_kept_apart():
    rows = [trial(1, 0.7, 4e8), trial(2, 0.9, 4e8, epochs=3), trial(3, 0.71, 4e8), trial(4, 0.99, 4e8, phase="final")]
    data = progress_data(pd.DataFrame(rows), summary())
    assert data["best"].tolist() == pytest.approx([0.7, 0.9, 0.71])
    assert progress_title(data) == "Best objective 0.9000, at trial 2 of 3"


@pytest.mark.parametrize("high", [None, math.inf])
def test_without_a_bound_the_largest_cost_is_the_reference(high):
    data = progress_data(few(), summary(window_high=high, baseline=None))
    assert data["hypervolume"].iloc[2] == pytest.approx(
        hypervolume([400e6], [0.8], reference_cost=410e6, reference_accuracy=0)
    )
    assert data["baseline_objective"].isna().all()
    assert "baseline" not in gids(draw_progress(data))


def test_drawing():
    figure = draw_progress(progress_data(few(), summary()))
    assert gids(figure).count("best") == 2
    assert {"failed", "baseline", "hypervolume"} <= set(gids(figure))
    # one line of the best per number of epochs
    assert gids(draw_progress(progress_data(many(30, rungs=3), summary()))).count("hypervolume") == 3


@pytest.mark.parametrize(
    ("rows", "title"),
    [
        ([trial(1, 0.8, 4e8)], "One training, objective 0.8000"),
        ([trial(1, math.nan, 4e8)], "No result from 1 training"),
        ([trial(1, math.nan, 4e8), trial(2, math.nan, 4e8)], "No result from 2 trainings"),
        ([trial(1, 0.8, 4e8, epochs=None), trial(2, 0.81, 4e8, epochs=None)], "Best objective 0.8100, at trial 2 of 2"),
    ],
)
def test_few_trainings(rows, title):
    data = progress_data(pd.DataFrame(rows), summary())
    assert progress_title(data) == title
    assert draw_progress(data).axes
