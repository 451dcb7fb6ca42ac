"""The Pareto front, the area it dominates, and how both grow."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalesearch.analysis.pareto import front, hypervolume, progress
from scalesearch.errors import DataError

# few distinct values, so that ties are common
COSTS = st.sampled_from([1.0, 1.5, 2.0, 3.0, 4.0, 8.0, 16.0])
ACCURACIES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5625, 0.75, 1.0])
POINTS = st.lists(st.tuples(COSTS, ACCURACIES), max_size=14)


def frame(points):
    return pd.DataFrame(points, columns=["cost", "accuracy"], dtype=float)


def dominated(points, i):
    """By definition, with the first of equal points the one that counts."""
    cost, accuracy = points[i]
    for j, (other_cost, other_accuracy) in enumerate(points):
        if (other_cost, other_accuracy) == (cost, accuracy):
            if j < i:
                return True
        elif other_cost <= cost and other_accuracy >= accuracy:
            return True
    return False


def area(points, reference_cost, reference_accuracy):
    """The same area cell by cell, on the grid that all coordinates span."""
    inside = [(c, a) for c, a in points if c < reference_cost and a > reference_accuracy]
    xs = sorted({math.log2(c) for c, _ in inside} | {math.log2(reference_cost)})
    ys = sorted({a for _, a in inside} | {reference_accuracy})
    total = 0.0
    for left, right in itertools.pairwise(xs):
        for low, high in itertools.pairwise(ys):
            if any(math.log2(c) <= left and a >= high for c, a in inside):
                total += (right - left) * (high - low)
    return total


def test_front_by_hand():
    points = frame([(4, 0.8), (1, 0.5), (2, 0.5), (2, 0.7), (1, 0.4), (4, 0.8), (8, 0.79)])
    assert list(front(points)) == [True, True, False, True, False, False, False]


def test_a_missing_value_is_never_on_the_front():
    points = frame([(1, math.nan), (math.nan, 0.9), (2, 0.5), (3, math.inf)])
    assert list(front(points)) == [False, False, True, False]
    assert list(front(frame([]))) == []
    assert list(front(frame([(1, math.nan)]))) == [False]


@given(POINTS)
def test_front_is_what_is_not_dominated(points):
    assert list(front(frame(points))) == [not dominated(points, i) for i in range(len(points))]


def test_hypervolume_by_hand():
    # one doubling below the reference at 0.5, two at 0.25: 1 * 0.5 + 1 * 0.25
    assert hypervolume([4, 2], [0.5, 0.25], reference_cost=8, reference_accuracy=0) == 0.75
    assert hypervolume([], [], reference_cost=8, reference_accuracy=0) == 0
    assert hypervolume([8, 9, 1], [0.9, 1.0, 0.1], reference_cost=8, reference_accuracy=0.1) == 0
    assert hypervolume([2, 1], [math.nan, 0.5], reference_cost=4, reference_accuracy=0) == 1.0


@given(POINTS, COSTS, ACCURACIES)
def test_hypervolume_is_the_area_counted_in_cells(points, reference_cost, reference_accuracy):
    found = hypervolume(
        [c for c, _ in points],
        [a for _, a in points],
        reference_cost=reference_cost,
        reference_accuracy=reference_accuracy,
    )
    assert found == pytest.approx(area(points, reference_cost, reference_accuracy), abs=1e-12)


@given(POINTS, st.sampled_from([0.001, 386e6]))
def test_the_unit_of_cost_does_not_matter(points, unit):
    costs, accuracies = [c for c, _ in points], [a for _, a in points]
    one = hypervolume(costs, accuracies, reference_cost=20, reference_accuracy=0)
    other = hypervolume([c * unit for c in costs], accuracies, reference_cost=20 * unit, reference_accuracy=0)
    assert one == pytest.approx(other, abs=1e-9)


def trials(points):
    """Objective = accuracy minus a hundredth of the cost."""
    table = frame(points)
    return table.assign(number=range(1, len(table) + 1), objective=table["accuracy"] - table["cost"] / 100)


@given(POINTS)
def test_progress_agrees_with_starting_over_at_every_trial(points):
    table = trials(points)
    found = progress(table, reference_cost=10, reference_accuracy=0.05)
    assert list(found["number"]) == list(table["number"])
    for i in range(len(table)):
        so_far = table.iloc[: i + 1]
        whole = hypervolume(so_far["cost"], so_far["accuracy"], reference_cost=10, reference_accuracy=0.05)
        assert found["hypervolume"].iloc[i] == pytest.approx(whole, abs=1e-12)
        assert found["best"].iloc[i] == so_far["objective"].max()


def test_progress_leaves_out_failures_and_sorts():
    table = trials([(4, 0.5), (2, math.nan), (2, 0.5), (8, 0.6)]).iloc[::-1]
    found = progress(table)
    assert list(found["number"]) == [1, 3, 4]
    # the reference is the largest cost, 8
    assert list(found["hypervolume"]) == [0.5, 1.0, 1.0]
    assert list(found["best"]) == pytest.approx([0.46, 0.48, 0.52])
    assert progress(table.iloc[:0]).empty
    assert progress(trials([(2, math.nan)])).empty


def test_numbers_of_epochs_are_not_mixed():
    table = trials([(4, 0.5), (4, 0.7), (4, 0.6)]).assign(epochs=[1, 4, 1])
    found = progress(table, reference_cost=8)
    assert list(found["best"]) == pytest.approx([0.46, 0.66, 0.56])
    assert list(found["hypervolume"]) == pytest.approx([0.5, 0.7, 0.6])


def test_ten_thousand_trials_end_in_the_right_area():
    rng = np.random.default_rng(0)
    cost = rng.uniform(1, 8, 10_000)
    accuracy = 0.5 + 0.1 * np.log2(cost) + rng.normal(0, 0.02, 10_000)
    found = progress(trials(list(zip(cost, accuracy, strict=True))), reference_cost=8)
    whole = hypervolume(cost, accuracy, reference_cost=8, reference_accuracy=0)
    assert found["hypervolume"].iloc[-1] == pytest.approx(whole)
    assert found["hypervolume"].is_monotonic_increasing


def test_bad_input():
    with pytest.raises(DataError, match="needs the columns cost, accuracy, got 'no accuracy'"):
        front(pd.DataFrame({"cost": [1.0]}))
    with pytest.raises(DataError, match=r"costs must be positive, got 0\.0"):
        front(frame([(0, 0.5)]))
    with pytest.raises(DataError, match="costs must be positive"):
        hypervolume([1.0], [0.5], reference_cost=0, reference_accuracy=0)
