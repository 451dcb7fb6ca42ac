"""Gain per doubling and the knee, against the closed form."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from scalesearch.analysis.knee import find_knee, marginal_gain
from scalesearch.analysis.saturation import SaturationFit, fit_saturation
from scalesearch.errors import DataError

COSTS = np.array([100e6, 200e6, 400e6, 800e6, 1600e6, 3200e6])


def fitted(a: float = 0.1, b: float = 0.15, c: float = 0.8, *, noise: float = 0.002) -> SaturationFit:
    rng = np.random.default_rng(3)
    truth = 1 - a - b * (COSTS / COSTS[0]) ** -c
    rows = [
        (cost, s, t + noise * rng.standard_normal()) for cost, t in zip(COSTS, truth, strict=True) for s in range(3)
    ]
    return fit_saturation(pd.DataFrame(rows, columns=["cost", "seed", "accuracy"]))


def test_gain_of_a_doubling_is_the_difference_of_the_curve() -> None:
    fit = fitted(noise=0.0)
    gain = marginal_gain(fit)
    assert gain["cost"].tolist() == COSTS[:-1].tolist()
    error = fit.predict(COSTS)["error"].to_numpy()
    assert gain["gain"].to_numpy() == pytest.approx(100 * (error[:-1] - error[1:]))
    assert gain["measured"].all()
    assert not marginal_gain(fit, COSTS[-1])["measured"].any()  # that doubling ends beyond the data


def test_gain_lies_in_its_interval() -> None:
    gain = marginal_gain(fitted())
    truth = 100 * 0.15 * (COSTS[:-1] / COSTS[0]) ** -0.8 * (1 - 2**-0.8)
    assert (gain["low"] < truth).all()
    assert (truth < gain["high"]).all()


def test_the_knee_is_where_a_doubling_buys_one_point() -> None:
    knee = find_knee(fitted(noise=0.0))
    truth = COSTS[0] * (100 * 0.15 * (1 - 2**-0.8)) ** (1 / 0.8)
    assert knee.state == "reached"
    assert knee.cost == pytest.approx(truth, rel=0.01)
    noisy = find_knee(fitted())
    assert noisy.low is not None
    assert noisy.high is not None
    assert noisy.low < truth < noisy.high
    assert "1 point of accuracy" in noisy.sentence


def test_more_points_move_the_knee_down() -> None:
    fit = fitted(noise=0.0)
    one, two = find_knee(fit), find_knee(fit, points=2.0)
    assert one.cost is not None
    assert two.cost is not None
    assert two.cost < one.cost
    assert "2 points" in two.sentence


def test_a_knee_beyond_the_data_is_not_reached() -> None:
    knee = find_knee(fitted(a=0.0, b=0.4, c=0.3))
    assert knee.state == "not reached"
    assert knee.cost is None
    assert knee.high is None
    assert "not reached within the measured range, up to 3.20G" in knee.sentence


def test_a_knee_before_the_data() -> None:
    knee = find_knee(fitted(b=0.012, c=1.0, noise=0.0001))
    assert knee.state == "before the first cost"
    assert knee.cost is None
    assert knee.low is None
    assert "already at the first cost, 100M" in knee.sentence


def test_what_is_not_identified_has_no_knee() -> None:
    fit = fit_saturation(pd.DataFrame({"cost": COSTS, "accuracy": 0.8}))
    knee = find_knee(fit)
    assert knee.state == "not known"
    assert "the same at every cost" in knee.sentence
    assert marginal_gain(fit)["gain"].isna().all()
    step = fit_saturation(pd.DataFrame({"cost": COSTS, "accuracy": [0.5, 0.8, 0.8, 0.8, 0.8, 0.8]}))
    assert step.b is not None
    assert find_knee(step).state == "not known"
    assert "the exponent could be anything" in find_knee(step).sentence


@pytest.mark.parametrize("points", [0.0, -1.0, math.nan])
def test_points_must_be_positive(points: float) -> None:
    with pytest.raises(DataError, match="positive"):
        find_knee(fitted(), points=points)
