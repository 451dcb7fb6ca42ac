"""Rank agreement of proxy and longer training, and the width bias of short runs."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scalesearch.analysis.fidelity import rank_agreement, width_bias
from scalesearch.errors import DataError


def scores(n: int = 15, noise: float = 0.5, flatter: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    full, width = rng.standard_normal(n), np.exp(rng.uniform(-0.5, 0.5, n))
    return pd.DataFrame(
        {"full": full, "width": width, "proxy": full + noise * rng.standard_normal(n) + flatter * np.log(width)}
    )


def test_point_values_are_scipys_with_ties_too() -> None:
    table = scores().round(1)
    found = rank_agreement(table)
    assert found.kendall is not None
    assert found.spearman is not None
    assert found.kendall.value == pytest.approx(stats.kendalltau(table["proxy"], table["full"])[0])
    assert found.spearman.value == pytest.approx(stats.spearmanr(table["proxy"], table["full"])[0])


def test_intervals_hold_the_value_and_are_repeatable() -> None:
    one, other = rank_agreement(scores()), rank_agreement(scores())
    assert one == other
    for estimate in (one.kendall, one.spearman):
        assert estimate is not None
        assert estimate.low is not None
        assert estimate.high is not None
        assert 0 < estimate.low < estimate.value < estimate.high <= 1
    assert one.sentence.startswith("the proxy orders networks as")
    assert "is not shown" in rank_agreement(scores(noise=20)).sentence
    against = scores().assign(proxy=lambda t: -t["proxy"])
    assert "against" in rank_agreement(against).sentence


def test_missing_scores_are_dropped_and_counted() -> None:
    table = scores()
    broken = pd.concat([table, pd.DataFrame({"proxy": [1.0, math.nan], "full": [math.nan, 1.0], "width": [1.0, 1.0]})])
    assert rank_agreement(broken).n_dropped == 2
    assert rank_agreement(broken).kendall == rank_agreement(table).kendall


def test_few_networks_and_constant_scores_are_refused() -> None:
    few = rank_agreement(scores(4))
    assert not few.enough
    assert few.kendall is None
    assert "4 networks" in few.sentence
    constant = rank_agreement(scores().assign(full=0.8))
    assert not constant.enough
    assert "longer training gives every network the same score" in constant.sentence


def test_a_proxy_that_flatters_width_is_found() -> None:
    biased = width_bias(scores(25, noise=0.1, flatter=3.0))
    assert biased.biased
    assert biased.correlation is not None
    assert biased.correlation.value > 0.5
    assert "flatters wide networks" in biased.sentence
    fair = width_bias(scores(25, noise=0.5))
    assert not fair.biased
    shy = width_bias(scores(25, noise=0.1, flatter=-3.0))
    assert not shy.biased
    assert shy.correlation is not None
    assert shy.correlation.value < -0.5


def test_width_bias_needs_widths_and_different_orders() -> None:
    assert "same width" in width_bias(scores().assign(width=1.0)).sentence
    same = width_bias(scores().assign(proxy=lambda t: t["full"]))
    assert not same.biased
    assert "both orders are the same" in same.sentence
    with pytest.raises(DataError, match="no width"):
        width_bias(scores().drop(columns="width"))


def test_bad_tables_are_errors() -> None:
    with pytest.raises(DataError, match="no full"):
        rank_agreement(scores().drop(columns="full"))
    with pytest.raises(DataError, match="one data"):
        rank_agreement(scores().assign(data=["a"] * 7 + ["b"] * 8))


def test_many_networks_are_compared_in_blocks() -> None:
    table = scores(300)
    found = rank_agreement(table, n_bootstrap=60)
    assert found.kendall is not None
    assert found.kendall.value == pytest.approx(stats.kendalltau(table["proxy"], table["full"])[0])
