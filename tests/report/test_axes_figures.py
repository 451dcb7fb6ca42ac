"""The figures of a study of axes: values first, then what is drawn."""

import itertools
import math

import pandas as pd
import pytest
from axes_made import study, usual
from matplotlib.text import Text

from scalesearch.arch.catalog import catalog_spec
from scalesearch.arch.cost import cost_of
from scalesearch.arch.scaling import Rounding, scale_net
from scalesearch.report.axes_data import curve_rows, paper_rows
from scalesearch.report.axes_figures import (
    axes_figures,
    draw_gain,
    draw_iso_cost,
    draw_panels,
    draw_together,
    gain_data,
    iso_cost_data,
    panels_data,
    together_data,
)
from scalesearch.report.axes_gain import gain_title
from scalesearch.report.axes_iso_cost import iso_cost_title
from scalesearch.report.axes_marks import looks
from scalesearch.report.axes_panels import trend_words
from scalesearch.report.axes_sweeps import sweep_names, sweeps_data
from scalesearch.report.axes_together import together_title
from scalesearch.report.render import to_png


def gids(figure):
    return {artist.get_gid() for axes in figure.axes for artist in axes.get_children()} - {None}


def words(figure):
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    return " | ".join([*(text.get_text() for text in figure.texts), *texts]).replace("\n", " ")


def one_axis(name="width", **changed):
    """A single curve whose every number is known: accuracy = 1 - 0.2 - 0.1 * (cost / first)^-1."""
    costs = [1e8, 2e8, 4e8, 8e8]
    curves = pd.DataFrame(
        {
            "curve": name, "ratio": [0.5, 1.0, 2.0, 4.0], "name": "n", "macs": costs,
            "accuracy_mean": [0.7, 0.75, 0.775, 0.7875],
            "accuracy_low": [0.69, 0.74, 0.765, 0.7775], "accuracy_high": [0.71, 0.76, 0.785, 0.7975], "seeds": 3,
            "kept": True, "gain": [5.0, 2.5, 1.25, 0.625], "gain_low": math.nan, "gain_high": math.nan,
            "gain_measured": [True, True, True, False], "width_multiplier": [0.7, 1.0, 1.4, 2.0],
            "depth_multiplier": 1.0, "resolution_multiplier": 1.0,
        }
    )  # fmt: skip
    fit = {
        "curve": name, "identified": True, "why": "", "a": 0.2, "b": 0.1, "c": 1.0, "first_cost": 1e8, "last_cost": 8e8,
        "trend": 2.9, "trend_low": 2.0, "trend_high": 3.8, "knee_state": "reached", "knee": 5e8, "knee_low": 4e8,
        "knee_high": None, **changed,
    }  # fmt: skip
    summary = {"baseline": {"name": "mini", "macs": 200_000_000}, "points_per_doubling": 1.0, "fits": [fit]}
    return curves, pd.DataFrame([fit]), summary


def test_points_fit_and_knee():
    data = curve_rows(*one_axis())
    points, fit, knee = (data[data["kind"] == kind] for kind in ("point", "fit", "knee"))
    assert points["accuracy"].tolist() == pytest.approx([70, 75, 77.5, 78.75])
    assert points["low"].tolist() == pytest.approx([69, 74, 76.5, 77.75])
    assert fit["accuracy"].iloc[[0, -1]].tolist() == pytest.approx([70, 78.75])  # from a, b, c: the summary has no band
    assert fit["low"].isna().all()
    assert knee[["macs", "macs_low", "macs_high"]].to_numpy().tolist() == [[5e8, 4e8, 8e8]]  # open: to the last point
    assert knee["accuracy"].item() == pytest.approx(78)
    assert knee["words"].item() == "knee 500M (400M to beyond the last point)"
    assert knee["ratio"].item() == pytest.approx(2.5)


def test_a_band_of_the_summary_is_drawn():
    curves, fits, summary = one_axis()
    summary["fits"] = [{"curve": "width", "band": [{"macs": 1e8, "accuracy": 0.7, "low": 0.68, "high": 0.72}]}]
    fit = curve_rows(curves, fits, summary).query("kind == 'fit'")
    assert fit[["macs", "accuracy", "low", "high"]].to_numpy().tolist() == [pytest.approx([1e8, 70, 68, 72])]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"knee_state": "not reached", "knee": None}, "no knee up to 800M"),
        ({"knee_state": "before the first cost", "knee": None}, "knee before 100M"),
    ],
)
def test_a_knee_outside_is_said(changed, said):
    assert said in words(draw_panels(panels_data(*one_axis(**changed))))


def test_a_refusal_is_said_and_nothing_is_drawn():
    data = panels_data(*one_axis(identified=False, why="no curve: the exponent could be anything"))
    assert set(data["kind"]) == {"point", "refusal"}
    figure = draw_panels(data)
    assert "not identified: the exponent could be anything" in words(figure)
    assert not {"fit width", "band", "knee"} & gids(figure)


def test_three_panels_with_compound_beside_them():
    curves, fits, _, summary = usual()
    data = panels_data(curves, fits, summary)
    assert list(dict.fromkeys(data["panel"])) == ["width", "depth", "resolution"]
    for panel, part in data.groupby("panel"):
        assert (part[part["kind"] == "point"]["curve"].value_counts() == 7).all()
        assert set(part["curve"]) == {panel, "compound"}
    figure = draw_panels(data)
    assert len([axes for axes in figure.axes if axes.get_xscale() == "log"]) == 3
    assert {"band", "fit width", "fit compound", "points depth", "bars depth"} <= gids(figure)
    assert "paper" in gids(figure)
    assert trend_words(data).startswith("Points of accuracy per doubling of cost: ")


def test_the_papers_networks_have_costs_and_no_accuracies():
    rows = paper_rows({"baseline": {"name": "mini", "rescaled_from": "efficientnet_b0", "macs": 100}})
    assert rows["accuracy"].isna().all()
    base, ceil = catalog_spec("efficientnet_b0"), Rounding(depth="ceil")
    sides = {1.3: 291, 1.5: 336, 1.7: 381, 1.9: 426, 2.2: 493, 2.5: 560}
    for _, row in rows.iterrows():
        multiplier = float(row["name"].split(" = ")[1])
        sizes = {"width": 1.0, "depth": 1.0, row["curve"]: multiplier}
        side = sides[multiplier] if row["curve"] == "resolution" else 224
        net = scale_net(base, width=sizes["width"], depth=sizes["depth"], resolution=side, rounding=ceil)
        assert row["macs"] == pytest.approx(100 * cost_of(net).macs / cost_of(base).macs, rel=0.003)
    assert paper_rows({"baseline": {"name": "mnasnet_a1", "macs": 100}}).empty


def test_together_names_every_curve():
    curves, fits, _, summary = usual()
    data = together_data(curves, fits, summary)
    figure = draw_together(data)
    for name in ("width", "depth", "resolution", "compound"):
        assert name in words(figure)
    last = data[(data["kind"] == "point") & (data["ratio"] > 3.5)].set_index("curve")["accuracy"]
    assert f"compound {last['compound']:.1f} %" in together_title(data)
    # no two names on top of each other
    texts = [text for text in figure.axes[0].texts if text.get_text() in set(data["curve"])]
    to_png(figure, dpi=100)  # texts find their places when they are drawn
    # of the text alone: an annotation also measures its line
    boxes = sorted((Text.get_window_extent(text) for text in texts), key=lambda box: box.y0)
    assert all(lower.y1 <= upper.y0 + 1 for lower, upper in itertools.pairwise(boxes))


def test_iso_cost_puts_the_reference_first_and_the_others_by_accuracy():
    curves, _, comparisons, _ = usual()
    data = iso_cost_data(curves, comparisons)
    at_two = data[data["ratio"] == 2.0]
    assert at_two["curve"].iloc[0] == "compound"
    assert set(at_two["curve"]) == {"compound", "width", "depth", "resolution", "fast", "uniform"}
    assert at_two["accuracy"].iloc[1:].is_monotonic_decreasing
    own = comparisons[(comparisons["ratio"] == 2.0) & (comparisons["curve"] == "width")].iloc[0]
    row = at_two[at_two["curve"] == "width"].iloc[0]
    assert (row["points"], row["points_low"], row["verdict"]) == (own["points"], own["low"], own["verdict"])
    assert (data["realised_ratio"] / data["ratio"] - 1).abs().max() < 0.02
    ahead, behind = (int((data["verdict"] == verdict).sum()) for verdict in ("better", "worse"))
    n = int((~data["is_reference"]).sum())
    assert iso_cost_title(data) == f"At equal cost compound is ahead in {ahead} of {n} comparisons, behind in {behind}"
    assert "compound better" in words(draw_iso_cost(data))


def test_iso_cost_of_networks_that_stand_for_two_curves_and_of_missing_values():
    curves, _, comparisons, _ = usual()
    few = comparisons[comparisons["ratio"] == 2.0].head(2).copy()
    few["curve"] = ["depth = width", "uniform"]
    few["verdict"] = ["too few seeds", "same network"]
    few.loc[few.index[1], ["points", "low", "high", "effect_size", "p_corrected"]] = math.nan
    data = iso_cost_data(curves, few)
    assert data["accuracy"].notna().all()
    figure = draw_iso_cost(data)
    assert "too few seeds" in words(figure)
    assert iso_cost_title(data) == "Too few seeds to compare rules at equal cost"


def test_gain_is_the_formula_between_the_points():
    data = gain_data(*one_axis())
    line = data[data["kind"] == "line"]
    # 100 b x^-c (1 - 2^-c) with b = 0.1, c = 1: 5 points at the first cost, half of it at each doubling
    assert line["gain"].iloc[[0, -1]].tolist() == pytest.approx([5.0, 0.625])
    assert line["measured"].tolist() == [2 * cost <= 8e8 * (1 + 1e-9) for cost in line["macs"]]
    assert gain_title(data) == "The last whole doubling bought: width +1.2 points"
    assert "least" in gids(draw_gain(data))


def test_without_a_fit_the_gain_is_an_average():
    data = gain_data(*one_axis(identified=False))
    assert data[["kind", "macs", "gain"]].to_numpy().tolist() == [["average", 1e8, 2.9], ["average", 8e8, 2.9]]
    assert gain_title(data) == "A doubling of cost buys on average: width +2.9"
    assert "average; curve not identified" in words(draw_gain(data))


def test_width_sweeps_of_several_baselines():
    curves, fits, _ = one_axis("d1 r1")
    other = curves.assign(curve="d2 r1.3", depth_multiplier=2.0, resolution_multiplier=1.3, macs=curves["macs"] * 3.4)
    both = pd.concat([curves, other])
    two = pd.concat([fits, fits.assign(curve="d2 r1.3", first_cost=3.4e8, last_cost=27.2e8, knee=17e8)])
    assert sweep_names(both, two) == {"d1 r1": (1.0, 1.0), "d2 r1.3": (2.0, 1.3)}
    summary = {"baseline": {"name": "mini", "macs": 200_000_000}, "points_per_doubling": 1.0, "fits": []}
    found = axes_figures(both, two, pd.DataFrame(), summary)
    assert list(found) == ["sweeps", "gain"]
    assert "depth 2×, resolution 1.3×" in words(found["sweeps"][1])
    assert set(sweeps_data(both, two, summary)["depth_multiplier"]) == {1.0, 2.0}
    assert sweep_names(curves, fits) == {}


def test_every_figure_of_a_study_and_the_same_bytes_twice():
    found = axes_figures(*usual())
    assert list(found) == ["axes", "together", "iso_cost", "gain"]
    again = axes_figures(*usual())
    name = "together"
    pd.testing.assert_frame_equal(found[name][0], again[name][0])
    assert to_png(found[name][1], dpi=50) == to_png(again[name][1], dpi=50)


@pytest.mark.parametrize("case", ["one seed", "no result", "constant", "too few"])
def test_poor_data_are_drawn_and_said(case):
    made = {"one seed": {"seeds": 1}, "too few": {"ratios": (0.5, 1.0, 2.0)}}.get(
        case, {"ratios": (0.5, 1.0, 1.4, 2.0)}
    )
    curves, fits, comparisons, summary = study(**{"seeds": 3, **made})
    columns = ["accuracy_mean", "accuracy_low", "accuracy_high"]
    if case == "no result":
        curves[columns] = math.nan
        fits = fits.assign(identified=False, why="no training of this curve succeeded", trend=math.nan)
        comparisons = comparisons.iloc[:0]
    if case == "constant":
        curves[columns] = 0.1
        fits = fits.assign(identified=False, why="no curve: the accuracy is the same at every cost", trend=0.0)
    found = axes_figures(curves, fits, comparisons, summary)
    for _, figure in found.values():
        to_png(figure, dpi=40)
    if case == "no result":
        assert list(found) == ["axes", "together"]
        assert "No point has an accuracy" in words(found["together"][1])
        assert "What a doubling of cost buys is not known" in words(found["axes"][1])
    if case == "one seed":
        assert "no bars: one seed gives no interval" in words(found["axes"][1])
    if case == "too few":
        assert "not identified: 3 different costs" in words(found["axes"][1])


def test_points_that_were_not_trained_are_not_drawn():
    curves, fits, summary = one_axis()
    for kept in (False, "False", "false"):
        curves["kept"] = [True, True, True, kept]
        assert (curve_rows(curves, fits, summary)["kind"] == "point").sum() == 3


def test_every_curve_has_a_look_of_its_own():
    names = ["width", "compound", *(f"curve {i}" for i in range(14))]
    found = looks(names)
    assert len({(look.colour, look.marker) for look in found.values()}) == len(names)
    assert found["width"] == looks(["width"])["width"]
