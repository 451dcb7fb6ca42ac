"""Which pictures train and which choose: seeded, stratified, and the same under every numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scalesearch.data.source import Index
from scalesearch.errors import DataError

__all__ = ["Split", "split_of", "stratified_holdout"]


@dataclass(frozen=True, slots=True)
class Split:
    """Indices into the source, int64, ascending: `train` [n_train] and `val` [n_val]."""

    train: NDArray[np.int64]
    val: NDArray[np.int64]


def split_of(index: Index, *, val_fraction: float, seed: int) -> Split:
    """The source's own validation split where it has one, else a part held out of train.

    Raises:
        DataError: no pictures, one class, a class with fewer than 2 training pictures, an empty or unknown part.
    """
    _check_labels(index)
    if index.own_validation is None:
        _check_classes(index, index.labels)
        return stratified_holdout(index.labels, val_fraction, seed)
    split = Split(np.flatnonzero(~index.own_validation), np.flatnonzero(index.own_validation))
    if not len(split.train) or not len(split.val):
        empty = "training" if not len(split.train) else "validation"
        raise DataError(f"the {empty} part must hold pictures", value="none", way_out="add pictures to it")
    _check_classes(index, index.labels[split.train])
    return split


def stratified_holdout(labels: NDArray[np.int64], fraction: float, seed: int) -> Split:
    """Hold out round(fraction * n) pictures of every class, at least 1 and at most n - 1.

    RandomState, because numpy promises its stream never changes (NEP 19), so a split outlives a numpy upgrade.
    """
    random = np.random.RandomState(seed)
    held_out = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        held_out[random.permutation(members)[:count]] = True
    return Split(np.flatnonzero(~held_out), np.flatnonzero(held_out))


def _check_labels(index: Index) -> None:
    if not len(index.labels):
        raise DataError("a data set must hold pictures", value="none", way_out="check data.path or data.root")
    low, high = int(index.labels.min()), int(index.labels.max())
    if low < 0 or high >= len(index.class_names):
        rule = f"labels must lie in 0..{len(index.class_names) - 1}, one for each class name"
        raise DataError(rule, value=low if low < 0 else high, way_out="repair the labels")


def _check_classes(index: Index, train_labels: NDArray[np.int64]) -> None:
    counts = np.bincount(train_labels, minlength=len(index.class_names))
    if len(index.class_names) < 2:
        names = ", ".join(index.class_names)
        raise DataError("a data set must have at least 2 classes", value=f"1 ({names})", way_out="add another class")
    scarce = [f"{name} ({count})" for name, count in zip(index.class_names, counts, strict=True) if count < 2]
    if scarce:
        rule = "every class must have at least 2 training pictures"
        raise DataError(rule, value=", ".join(scarce), way_out="add pictures or remove the class")
