"""What a study of axes says of its observations: fits, knees, comparisons, the joint law."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from scalesearch.studies.axes_comparisons import compare_curves
from scalesearch.studies.axes_fits import CurveFit, fit_lines, fits_frame, joint_law_of, trend_of


def observed(
    curves: dict[str, tuple[float, float, float]],
    *,
    ratios: Sequence[float] = (0.5, 0.71, 1, 1.45, 2, 3, 4),
    seeds: int = 3,
) -> pd.DataFrame:
    """Observations of known laws error = a + b (macs / first)^-c per curve, with paired seeds and little noise."""
    rng, rows = np.random.default_rng(0), []
    effect = rng.normal(0, 0.004, seeds)
    effect -= effect.mean()  # intervals hold given the seeds used
    for curve, (a, b, c) in curves.items():
        for ratio in ratios:
            for seed in range(seeds):
                error = a + b * (ratio / ratios[0]) ** -c + effect[seed] + rng.normal(0, 0.0005)
                sizes = {axis: ratio if axis == curve else 1.0 for axis in ("width", "depth", "resolution")}
                rows.append(
                    {"curve": curve, "budget": ratio, "network": f"{curve}{ratio}", "macs": ratio * 4e8, **sizes}
                    | {"proxy_macs": ratio * 1e6, "seed": seed, "accuracy": 1 - error, "data": "d", "recipe": "r"}
                )
    return pd.DataFrame(rows)


def fitted(rows: pd.DataFrame, *lines: str) -> list[CurveFit]:
    return fit_lines(rows, lines, points_per_doubling=1.0, confidence=0.95)


def test_fits_and_knees_come_out_of_the_observations() -> None:
    line = fitted(observed({"width": (0.2, 0.2, 1.0)}), "width")[0]
    assert line.identified
    row = fits_frame([line]).iloc[0]
    for name, truth in (("a", 0.2), ("b", 0.2), ("c", 1.0)):
        assert row[name] == pytest.approx(truth, abs=0.1)
        assert row[f"{name}_low"] < truth < row[f"{name}_high"]
    # 20 * x^-1 * (1 - 1/2) = 1 point at x = 10, which lies beyond the last measured doubling
    assert row["knee_state"] == "not reached"
    gains = line.gains([2e8, 4e8])
    assert gains["gain"].to_numpy() == pytest.approx([10, 5], rel=0.1)
    assert len(line.band()) > 20
    flat = fitted(observed({"width": (0.2, 0.05, 1.5)}), "width")[0]
    assert flat.knee is not None
    assert flat.knee.state == "reached"
    # 5 x^-1.5 (1 - 2^-1.5) = 1 at x = 2.19
    assert flat.knee.cost == pytest.approx(2e8 * 2.19, rel=0.1)


def test_the_average_gain_is_a_plain_slope() -> None:
    rows = observed({"width": (0.2, 0.0, 1.0)})
    rows["accuracy"] += 0.03 * np.log2(rows["macs"])
    trend = trend_of(rows, 0.95)
    assert trend is not None
    assert trend.value == pytest.approx(3.0, abs=0.1)
    assert trend.low is not None
    assert trend.low < 3.0 < (trend.high or 0)
    assert trend_of(rows[rows["budget"] == 1], 0.95) is None


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (observed({"width": (0.2, 0.2, 1.0)}, ratios=(0.5, 1, 2)), "3 different costs"),
        (observed({"width": (0.2, 0.0, 1.0)}), "does not grow with cost"),
        (observed({"width": (0.2, 0.2, 1.0)}).assign(accuracy=0.1), "the same at every cost"),
        (observed({"width": (0.2, 0.2, 1.0)}).assign(accuracy=np.nan), "no training of this curve succeeded"),
    ],
    ids=["few points", "flat", "constant", "all failed"],
)
def test_what_the_data_cannot_carry_is_refused(rows: pd.DataFrame, why: str) -> None:
    line = fitted(rows, "width")[0]
    assert not line.identified
    assert why in line.why
    assert line.band() == []
    assert line.row()["knee_state"] == "not known"
    assert line.row()["knee"] is None


def test_mixed_recipes_are_never_fitted() -> None:
    rows = observed({"width": (0.2, 0.2, 1.0)})
    rows.loc[0, "recipe"] = "another"
    line = fitted(rows, "width")[0]
    assert line.fit is None
    assert "one recipe" in line.why


def test_compound_is_compared_with_every_curve_at_every_ratio() -> None:
    rows = observed({"compound": (0.2, 0.2, 1.0), "width": (0.22, 0.2, 1.0), "depth": (0.2, 0.2, 1.0)}, ratios=(1, 2))
    rows.loc[rows["budget"] == 1, "network"] = "baseline"
    rows.loc[(rows["curve"] == "depth") & (rows["budget"] == 2), "network"] = "compound2"
    found = compare_curves(rows, 0.95)
    table = found.frame.set_index("curve")
    assert list(found.frame["ratio"]) == [2, 2]  # at ratio 1 there is only the baseline
    assert table.loc["width", "points"] == pytest.approx(2.0, abs=0.2)
    assert table.loc["width", "low"] < 2.0 < table.loc["width", "high"]
    assert (table.loc["width", "verdict"], table.loc["depth", "verdict"]) == ("better", "same network")
    assert np.isnan(table.loc["depth", "points"])
    assert found.sentence.startswith("at equal cost compound scaling is better than width at 2x (+")
    assert found.sentence.endswith(" points), and is the same network in 1 of 2")
    assert compare_curves(rows[rows["curve"] != "compound"], 0.95).frame.empty


def test_unequal_cost_is_said() -> None:
    rows = observed({"compound": (0.2, 0.2, 1.0), "width": (0.2, 0.2, 1.0)}, ratios=(2,))
    rows.loc[rows["curve"] == "width", ["macs", "proxy_macs"]] *= 1.3
    warnings = " ".join(compare_curves(rows, 0.95).warnings)
    assert "not at equal cost" in warnings
    assert "width at 2x (0.77)" in warnings


def test_the_joint_law_is_there_where_all_axes_vary() -> None:
    law = {"width": (0.0, 0.3, 0.5), "depth": (0.0, 0.3, 0.2), "resolution": (0.0, 0.3, 0.3)}
    found = joint_law_of(observed(law), 0.95)
    assert found["identified"]
    assert found["terms"]["width"]["value"] == pytest.approx(-0.5, abs=0.1)
    assert not joint_law_of(observed({"compound": (0.0, 0.3, 0.5)}), 0.95)["identified"]
