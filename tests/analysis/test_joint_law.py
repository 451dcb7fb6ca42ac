"""The joint law: the published MobileNet tables, known exponents, and refusals."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalesearch.analysis.joint_law import fit_joint_law
from scalesearch.analysis.reference_tables import mobilenet_width_resolution
from scalesearch.errors import DataError

EXPONENTS = {"width": -0.36, "depth": -0.15, "resolution": -0.35}
SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "mobilenet_grid" / "mobilenet_width_resolution.csv"


def networks(seeds: int = 3, noise: float = 0.02, bend: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    rows = list(product((0.5, 0.7, 1.0), (1.0, 2.0, 3.0), (128.0, 176.0, 224.0), range(seeds)))
    table = pd.DataFrame(rows, columns=["width", "depth", "resolution", "seed"])
    log_error = (
        sum(power * np.log(table[axis]) for axis, power in EXPONENTS.items()) + bend * np.log(table["width"]) ** 2
    )
    return table.assign(accuracy=1 - np.exp(log_error + noise * rng.standard_normal(len(table)) + 0.05 * table["seed"]))


@pytest.mark.parametrize(
    ("family", "width", "resolution", "r2"), [("v1", -0.393, -0.310, 0.994), ("v2", -0.327, -0.389, 0.993)]
)
def test_published_mobilenets(family: str, width: float, resolution: float, r2: float) -> None:
    """R2 as first measured on the published figures; the exponents are least squares on the same rows."""
    table = mobilenet_width_resolution()
    law = fit_joint_law(table[table["family"] == family])
    assert law.identified
    assert law.axes == ("width", "resolution")
    assert law.r2 == pytest.approx(r2, abs=5e-4)
    assert law.terms["width"].value == pytest.approx(width, abs=1e-3)
    assert law.terms["resolution"].value == pytest.approx(resolution, abs=1e-3)
    assert law.residual_sd is not None
    assert law.residual_sd < 0.02


def test_the_published_table_is_whole() -> None:
    table = mobilenet_width_resolution()
    assert table["family"].value_counts().to_dict() == {"v1": 16, "v2": 22}
    first = table.iloc[0]
    assert (first["macs"], first["params"], first["accuracy"]) == pytest.approx((569_000_000, 4_240_000, 0.709))
    if not SHARED.exists():
        pytest.skip("no ../shared/data to compare with")
    original = pd.read_csv(SHARED)
    assert table["accuracy"].to_numpy() == pytest.approx(original["top1"].to_numpy() / 100)
    assert table["resolution"].tolist() == original["resolution"].tolist()


def test_least_squares_of_the_logs() -> None:
    table = networks(seeds=1)
    columns = np.column_stack([np.ones(len(table)), *np.log(table[["width", "depth", "resolution"]].to_numpy()).T])
    beta = np.linalg.lstsq(columns, np.log(1 - table["accuracy"].to_numpy()), rcond=None)[0]
    law = fit_joint_law(table)
    assert [law.terms[axis].value for axis in EXPONENTS] == pytest.approx(beta[1:])


def test_known_exponents_lie_in_their_intervals_and_seed_effects_do_no_harm() -> None:
    law = fit_joint_law(networks())
    for axis, power in EXPONENTS.items():
        term = law.terms[axis]
        assert term.low is not None
        assert term.high is not None
        assert term.low < power < term.high
    assert law.residual_sd == pytest.approx(0.02, rel=0.2)
    assert law.n_seeds == 3
    assert law.n_networks == 27
    assert law.why == ""


def test_a_bent_law_is_noticed_and_curvature_describes_it() -> None:
    table = networks(noise=0.005, bend=0.5)
    straight, bent = fit_joint_law(table), fit_joint_law(table, curvature=True)
    assert straight.lack_of_fit is not None
    assert straight.lack_of_fit < 0.05
    assert "lack of fit" in straight.why
    assert bent.lack_of_fit is not None
    assert bent.lack_of_fit > 0.05
    assert bent.terms["width*width"].value == pytest.approx(0.5, abs=0.05)


def test_under_misfit_more_seeds_do_not_narrow_the_intervals() -> None:
    """A misfit is shared by all seeds of a network: many seeds leave the interval of the network means."""
    few, many = (fit_joint_law(networks(seeds=seeds, noise=0.005, bend=0.5)) for seeds in (2, 20))
    widths = [(law.terms["depth"].high or 0.0) - (law.terms["depth"].low or 0.0) for law in (few, many)]
    assert widths[1] == pytest.approx(widths[0], rel=0.1)
    means = networks(seeds=20, noise=0.0, bend=0.5).query("seed == 0")
    alone = fit_joint_law(means).terms["depth"]
    assert widths[1] == pytest.approx((alone.high or 0.0) - (alone.low or 0.0), rel=0.03)


@pytest.mark.parametrize("curvature", [False, True])
def test_prediction_follows_the_law(curvature: bool) -> None:
    law = fit_joint_law(networks(seeds=1, noise=0.0), curvature=curvature)
    new = pd.DataFrame({"width": [0.8, math.nan], "depth": [1.5, 1.0], "resolution": [200.0, 128.0]})
    error = law.error_at(new)
    assert error[0] == pytest.approx(0.8**-0.36 * 1.5**-0.15 * 200**-0.35)
    assert math.isnan(error[1])


def test_an_axis_that_does_not_vary_is_left_out() -> None:
    table = networks()
    assert fit_joint_law(table[table["depth"] == 1]).axes == ("width", "resolution")


def test_axes_that_vary_only_together_are_refused() -> None:
    table = networks()
    law = fit_joint_law(table.assign(depth=table["width"] ** 2))
    assert not law.identified
    assert "independently" in law.why
    assert np.isnan(law.error_at(table)).all()


def test_too_few_networks_constant_accuracy_and_one_network_are_refused() -> None:
    table = networks(seeds=1)
    assert "at least as many networks" in fit_joint_law(table.iloc[[0, 5, 13]]).why
    assert "the accuracy is the same" in fit_joint_law(table.assign(accuracy=0.8)).why
    assert "the same in every row" in fit_joint_law(table.iloc[:1]).why


def test_failed_trainings_are_dropped_and_counted() -> None:
    table = networks()
    table.loc[[0, 40], "accuracy"] = math.nan
    table.loc[7, "accuracy"] = 1.0  # no error has no logarithm
    law = fit_joint_law(table)
    assert law.n_dropped == 3
    assert law.n_rows == len(table) - 3


def test_bad_tables_are_errors() -> None:
    with pytest.raises(DataError, match="no depth"):
        fit_joint_law(networks().drop(columns="depth"))
    with pytest.raises(DataError, match="no accuracy"):
        fit_joint_law(networks().drop(columns="accuracy"))
    with pytest.raises(DataError, match="none usable"):
        fit_joint_law(networks().assign(accuracy=math.nan))
    with pytest.raises(DataError, match="one recipe"):
        fit_joint_law(networks().assign(recipe=["fast"] * 40 + ["slow"] * 41))
