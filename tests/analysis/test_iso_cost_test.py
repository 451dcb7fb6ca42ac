"""Compound against single axes at equal cost: textbook numbers, Holm's correction, and honesty with few seeds."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scalesearch.analysis.iso_cost_test import compare_iso_cost, holm
from scalesearch.errors import DataError

AXES = ("compound", "depth", "resolution", "width")


def table(gaps: dict[str, float], seeds: int = 5, noise: float = 0.004, seed: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    effect = 0.02 * rng.standard_normal(seeds)
    rows = [
        (axis, s, 0.8 - gaps.get(axis, 0.0) + effect[s] + noise * rng.standard_normal())
        for axis in AXES
        for s in range(seeds)
    ]
    return pd.DataFrame(rows, columns=["axis", "seed", "accuracy"])


def test_two_networks_give_the_paired_t_test() -> None:
    two = table({"width": 0.003})
    two = two[two["axis"].isin(["compound", "width"])]
    (found,) = compare_iso_cost(two).differences
    wide = two.pivot(index="seed", columns="axis", values="accuracy")
    paired = stats.ttest_rel(wide["compound"], wide["width"])
    gap = wide["compound"] - wide["width"]
    interval = paired.confidence_interval()
    assert found.p == pytest.approx(paired.pvalue)
    assert found.points == pytest.approx(100 * gap.mean())
    assert (found.low, found.high) == pytest.approx((100 * interval.low, 100 * interval.high))
    assert found.d_z == pytest.approx(gap.mean() / gap.std())


def test_large_gaps_are_found_and_small_ones_are_not_told_apart() -> None:
    result = compare_iso_cost(table({"depth": 0.03, "width": -0.03}))
    verdicts = {d.axis: d.verdict for d in result.differences}
    assert verdicts == {"depth": "better", "resolution": "not told apart", "width": "worse"}
    assert "is better than depth" in result.sentence
    assert "cannot be told from resolution" in result.sentence


def test_holm_matches_the_textbook() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([None, 0.5, 0.9]) == [None, 1.0, 1.0]


def test_several_comparisons_are_corrected() -> None:
    """Equal networks: with three comparisons, any verdict but "not told apart" is rarer than 5 % after correction."""
    wrong = raw = 0
    for seed in range(150):
        found = compare_iso_cost(table({}, seeds=4, seed=seed)).differences
        wrong += any(d.verdict in ("better", "worse") for d in found)
        raw += any(d.p is not None and d.p < 0.05 for d in found)
    assert wrong <= 14  # 5 % of 150 is 7.5; 14 is the 99th percentile
    assert raw > wrong


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_give_no_verdict(seeds: int) -> None:
    found = compare_iso_cost(table({"width": 0.1}, seeds=seeds)).differences
    assert {d.verdict for d in found} == {"too few seeds"}
    assert all(d.p_holm is None for d in found)
    if seeds == 1:
        assert all(d.p is None and d.d_z is None and d.low is None for d in found)
        assert all(d.points is not None for d in found)


def test_only_common_seeds_are_paired() -> None:
    part = table({"depth": 0.03})
    part.loc[(part["axis"] == "depth") & (part["seed"] == 0), "accuracy"] = math.nan
    result = compare_iso_cost(part)
    assert {d.axis: d.n_seeds for d in result.differences} == {"depth": 4, "resolution": 5, "width": 5}
    assert result.n_dropped == 1
    assert "1 trainings without" in result.warnings[0]


def test_constant_accuracy_is_no_evidence() -> None:
    found = compare_iso_cost(table({}).assign(accuracy=0.1)).differences
    assert {d.verdict for d in found} == {"not told apart"}
    assert all(d.p is None and d.d_z is None for d in found)


def test_unequal_cost_is_warned_of() -> None:
    cost = {"compound": 1.8e9, "depth": 1.58e9, "resolution": 1.78e9, "width": 2.0e9}
    costly = table({})
    result = compare_iso_cost(costly.assign(cost=costly["axis"].map(cost)))
    assert len(result.warnings) == 2
    assert "depth is not at equal cost" in result.warnings[0]
    assert "1.14" in result.warnings[0]
    assert "width is not at equal cost" in result.warnings[1]


def test_budgets_are_kept_apart() -> None:
    both = pd.concat([table({"width": 0.03}).assign(budget="1G"), table({}, seed=3).assign(budget="2G")])
    result = compare_iso_cost(both)
    verdicts = {(d.budget, d.axis): d.verdict for d in result.differences}
    assert len(verdicts) == 6
    assert verdicts["1G", "width"] == "better"
    assert verdicts["2G", "width"] == "not told apart"
    assert "width at 1G" in result.sentence


def test_bad_tables_are_errors() -> None:
    with pytest.raises(DataError, match="no seed"):
        compare_iso_cost(table({}).drop(columns="seed"))
    with pytest.raises(DataError, match="choose from"):
        compare_iso_cost(table({}), reference="uniform")
    with pytest.raises(DataError, match="one training"):
        compare_iso_cost(pd.concat([table({}), table({})]))
    with pytest.raises(DataError, match="one data"):
        compare_iso_cost(table({}).assign(data=["a", "b"] * 10))
