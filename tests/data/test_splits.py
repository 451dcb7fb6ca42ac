from __future__ import annotations

import numpy as np
import pytest

from scalesearch.data.source import Index
from scalesearch.data.splits import split_of, stratified_holdout
from scalesearch.errors import DataError


def index(labels, names="abc", own=None):
    own = None if own is None else np.array(own, dtype=bool)
    return Index(tuple(names), np.array(labels, dtype=np.int64), own)


def test_holdout_is_stratified_disjoint_and_whole():
    labels = np.repeat([0, 1, 2], [100, 50, 10])

    split = stratified_holdout(labels, 0.2, seed=3)

    assert np.bincount(labels[split.val]).tolist() == [20, 10, 2]
    assert sorted([*split.train, *split.val]) == list(range(160))


def test_holdout_depends_on_the_seed_and_on_nothing_else():
    labels = np.repeat([0, 1], 50)
    first, same, other = (stratified_holdout(labels, 0.2, seed) for seed in (1, 1, 2))

    assert (first.val == same.val).all()
    assert (first.val != other.val).any()
    # the stream is promised by numpy, so the split of a published run can be had again
    assert stratified_holdout(np.repeat([0, 1], 5), 0.4, 0).val.tolist() == [0, 2, 5, 7]


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
def test_every_class_stays_on_both_sides(fraction):
    labels = np.repeat([0, 1, 2], [2, 3, 40])

    split = stratified_holdout(labels, fraction, 0)

    assert set(labels[split.val]) == set(labels[split.train]) == {0, 1, 2}


def test_a_split_of_the_source_is_used_as_it_is():
    split = split_of(index([0, 1, 0, 1, 0], "ab", [0, 0, 0, 0, 1]), val_fraction=0.5, seed=9)

    assert split.train.tolist() == [0, 1, 2, 3]
    assert split.val.tolist() == [4]


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (index([]), "must hold pictures"),
        (index([0, 0, 0], "a"), "at least 2 classes, got '1"),
        (index([0, 0, 1, 2, 2]), r"at least 2 training pictures, got 'b \(1\)'"),
        (index([0, 0, 1, 1], "abc"), r"at least 2 training pictures, got 'c \(0\)'"),
        (index([0, 0, 3, 3]), r"0\.\.2, one for each class name, got 3"),
        (index([0, 0, -1, -1]), r"got -1"),
        (index([0, 0, 1, 1], "ab", [1, 1, 1, 1]), "training part must hold pictures"),
        (index([0, 0, 1, 1], "ab", [0, 0, 0, 0]), "validation part must hold pictures"),
        (index([0, 0, 0, 1, 1, 2], "abc", [0, 0, 0, 0, 0, 1]), r"got 'c \(0\)'"),
    ],
)
def test_unusable_data_sets(broken, rule):
    with pytest.raises(DataError, match=rule):
        split_of(broken, val_fraction=0.1, seed=0)
