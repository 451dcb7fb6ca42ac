"""Saturating curves: known parameters come back, and data that cannot carry a curve are refused in one sentence."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import curve_fit

from scalesearch.analysis.saturation import fit_curves, fit_saturation
from scalesearch.errors import DataError

COSTS = np.array([0.386, 0.744, 1.176, 2.391, 5.060, 8.712])


def curve(
    a: float = 0.10, b: float = 0.15, c: float = 0.8, *, seeds: int = 3, noise: float = 0.003, costs: np.ndarray = COSTS
) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    truth = 1 - a - b * (costs / costs[0]) ** -c
    accuracy = (
        truth[:, None] + noise * rng.standard_normal((len(costs), seeds)) + 2 * noise * rng.standard_normal(seeds)
    )
    rows = [(cost, s, accuracy[i, s]) for i, cost in enumerate(costs) for s in range(seeds)]
    return pd.DataFrame(rows, columns=["cost", "seed", "accuracy"])


@pytest.mark.parametrize(("a", "b", "c"), [(0.1, 0.15, 0.8), (0.02, 0.3, 0.3), (0.0, 0.25, 0.5), (0.2, 0.1, 2.5)])
def test_a_curve_without_noise_comes_back_exactly(a: float, b: float, c: float) -> None:
    fit = fit_saturation(curve(a, b, c, noise=0.0))
    assert fit.a is not None
    assert fit.b is not None
    assert fit.c is not None
    assert (fit.a.value, fit.b.value, fit.c.value) == pytest.approx((a, b, c), abs=2e-3)
    assert fit.identified, fit.why
    assert fit.r2 == pytest.approx(1)


def test_the_fit_is_the_least_squares_fit() -> None:
    table = curve(seeds=1)
    x, error = table["cost"] / COSTS[0], 1 - table["accuracy"]
    best, _ = curve_fit(lambda x, a, b, c: a + b * x**-c, x, error, p0=(0.1, 0.1, 1))
    fit = fit_saturation(table)
    assert fit.a is not None
    assert fit.b is not None
    assert fit.c is not None
    assert (fit.a.value, fit.b.value, fit.c.value) == pytest.approx(best, rel=1e-3)


def test_noisy_parameters_lie_in_their_intervals_and_bands_widen_beyond_the_data() -> None:
    fit = fit_saturation(curve())
    assert fit.identified
    for estimate, truth in ((fit.b, 0.15), (fit.c, 0.8)):
        assert estimate is not None
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low < truth < estimate.high
        assert estimate.low < estimate.value < estimate.high
    band = fit.predict([COSTS[0], COSTS[-1], 10 * COSTS[-1]])
    assert (band["low"] < band["error"]).all()
    assert (band["error"] < band["high"]).all()
    width = (band["high"] - band["low"]).to_numpy()
    assert width[2] > width[1]
    assert band["measured"].tolist() == [True, True, False]
    assert fit.predict(COSTS).equals(fit_saturation(curve()).predict(COSTS))  # the bootstrap is seeded


def test_a_seed_that_lifts_the_whole_curve_changes_no_shape() -> None:
    table = curve()
    lifted = table.assign(accuracy=table["accuracy"] + 0.05 * (table["seed"] == 1))
    one, other = fit_saturation(table), fit_saturation(lifted)
    assert one.c is not None
    assert other.c is not None
    assert other.c.value == pytest.approx(one.c.value, rel=1e-6)
    assert other.residual_sd == pytest.approx(one.residual_sd)


def test_seeds_that_are_missing_at_some_costs_do_not_bend_the_curve() -> None:
    table = curve(noise=0.0)
    lifted = table.assign(accuracy=table["accuracy"] + 0.05 * (table["seed"] == 1))
    part = lifted[(lifted["seed"] != 1) | (lifted["cost"] < 2)]
    fit = fit_saturation(part)
    assert fit.c is not None
    assert fit.c.value == pytest.approx(0.8, abs=1e-3)


def test_fewer_than_four_costs_are_refused() -> None:
    fit = fit_saturation(curve(costs=COSTS[:3]))
    assert not fit.identified
    assert "3 different costs" in fit.why
    assert fit.c is None
    assert fit.predict(1.0)["error"].isna().all()


def test_constant_accuracy_is_refused() -> None:
    fit = fit_saturation(curve().assign(accuracy=0.8))
    assert not fit.identified
    assert "the same at every cost" in fit.why


def test_noise_without_growth_and_falling_accuracy_are_refused() -> None:
    flat = fit_saturation(curve(b=0.0, noise=0.01))
    assert not flat.identified
    assert "does not grow" in flat.why
    falling = fit_saturation(curve().assign(accuracy=lambda t: 0.9 - 0.01 * t["cost"]))
    assert not falling.identified
    assert "does not grow" in falling.why


def test_an_exponent_that_could_be_anything_is_refused() -> None:
    fit = fit_saturation(curve(noise=0.02, costs=COSTS[:4] ** 0.5))
    assert not fit.identified
    assert fit.why.startswith("no curve")
    vague = fit_saturation(curve(b=0.05, c=0.6, seeds=2, noise=0.012))
    assert vague.c is not None
    assert vague.c.high is not None
    assert vague.c.high < 7  # a bound of its own, but a factor of ten and more above the other one
    assert "the exponent could be anything" in vague.why
    step = fit_saturation(pd.DataFrame({"cost": [1, 2, 4, 8, 16], "accuracy": [0.5, 0.8, 0.8, 0.8, 0.8]}))
    assert not step.identified  # flat after the first point: any large exponent fits
    assert "the exponent could be anything" in step.why


def test_one_seed_is_said() -> None:
    one, three = fit_saturation(curve(seeds=1)), fit_saturation(curve())
    assert any("one seed" in note for note in one.notes)
    assert not any("one seed" in note for note in three.notes)
    assert one.lack_of_fit is None
    assert three.lack_of_fit is not None


def test_missing_rows_are_dropped_and_counted() -> None:
    table = curve()
    broken = pd.concat([table, pd.DataFrame({"cost": [1.0, math.nan], "seed": [0, 0], "accuracy": [math.nan, 0.9]})])
    fit = fit_saturation(broken)
    assert fit.n_dropped == 2
    assert fit.c == fit_saturation(table).c
    assert any("2 rows" in note for note in fit.notes)


def test_a_curve_of_another_shape_is_said_to_be_one() -> None:
    table = curve(noise=0.0005)
    bump = 0.02 * np.sin(3 * np.log(table["cost"] / COSTS[0]))
    fit = fit_saturation(table.assign(accuracy=table["accuracy"] + bump))
    assert fit.lack_of_fit is not None
    assert fit.lack_of_fit < 0.05
    assert any("does not describe" in note for note in fit.notes)


def test_growth_along_no_such_curve_is_not_called_noise() -> None:
    """One jump down and one up again between long flat parts, as `scalesearch axes` measured for resolution."""
    rng = np.random.default_rng(3)
    errors = np.array([0.213, 0.180, 0.176, 0.171, 0.157])
    rows = [
        (cost, seed, 1 - error + 0.004 * rng.standard_normal())
        for cost, error in zip([192.0, 274.0, 386.0, 576.0, 772.0], errors, strict=True)
        for seed in range(5)
    ]
    fit = fit_saturation(pd.DataFrame(rows, columns=["cost", "seed", "accuracy"]))
    assert not fit.identified
    assert "none that saturates passes the points" in fit.why
    assert "does not grow" not in fit.why


def test_nothing_usable_and_mixed_data_are_errors() -> None:
    with pytest.raises(DataError, match="no accuracy"):
        fit_saturation(pd.DataFrame({"cost": [1.0]}))
    with pytest.raises(DataError, match="none usable"):
        fit_saturation(curve().assign(accuracy=math.nan))
    with pytest.raises(DataError, match="one data"):
        fit_saturation(curve().assign(data=["cifar10"] * 9 + ["fashion_mnist"] * 9))
    with pytest.raises(DataError, match="confidence"):
        fit_saturation(curve(), confidence=1.5)


def test_one_fit_per_curve() -> None:
    table = pd.concat([curve().assign(axis="width"), curve(c=2.0).assign(axis="depth")])
    fits = fit_curves(table, by="axis")
    assert list(fits) == ["width", "depth"]
    assert fits["width"].c == fit_saturation(curve()).c


def test_ten_thousand_rows_of_different_costs_are_fitted() -> None:
    fit = fit_saturation(curve(costs=np.geomspace(1, 50, 2500), seeds=4), n_bootstrap=100)
    assert fit.identified
    assert fit.n_rows == 10_000
