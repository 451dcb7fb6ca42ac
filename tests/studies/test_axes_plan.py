"""Which networks a study of axes trains, at which cost and with which proxies."""

from dataclasses import replace

import pytest
from axes_planned import INFO, planned, settings

import scalesearch as ss
from scalesearch.arch.cost import cost_of
from scalesearch.arch.proxy import ProxySettings
from scalesearch.config import axes_settings, compose
from scalesearch.studies.axes_plan import plan_axes, sizes_of
from scalesearch.studies.axes_proxies import candidate_rows, plan_proxies
from scalesearch.studies.axes_work import AxesWork


def test_the_papers_figure_3_costs_what_it_costs() -> None:
    """MACs of its points in G, counted with the released rounding (facts of the project, section 6)."""
    golden = {
        "width": [0.386, 0.744, 1.176, 2.391, 5.060, 8.712],
        "depth": [0.386, 0.782, 1.179, 1.575, 2.368, 3.161],
        "resolution": [0.386, 0.718, 0.893, 1.129, 1.458, 1.923, 2.447],
    }
    plan = plan_axes(settings("curves=paper"))
    found = {
        curve: [round(cost_of(point.spec).macs / 1e9, 3) for point in plan.kept(curve) if point.spec]
        for curve in golden
    }
    assert found == golden
    assert plan.lines == tuple(golden)
    assert len(plan.networks) == 17  # the baseline is one network


def test_figure_4_is_four_width_sweeps() -> None:
    plan = plan_axes(settings("curves=figure4"))
    assert {curve: len(plan.kept(curve)) for curve in plan.lines} == dict.fromkeys(
        ("d1 r1", "d1 r1.3", "d2 r1", "d2 r1.3"), 5
    )
    last = plan.kept("d2 r1.3")[-1].spec
    assert last is not None
    assert (last.depths, last.resolution) == ((2, 4, 4, 6, 6, 8, 2), 291)


def test_default_curves_cost_the_same_at_every_ratio() -> None:
    plan, proxies = planned()
    assert plan.lines == ("width", "depth", "resolution", "compound")
    for point in plan.points:
        assert point.kept
        assert point.spec is not None
        assert plan.ratio(point.spec) == pytest.approx(point.asked, rel=0.03)
    assert {point.curve for point in plan.points if point.asked == 2.0} == {*plan.lines, "fast", "uniform"}
    assert {point.curve for point in plan.points if point.asked == 0.5} == set(plan.lines)
    assert len(proxies.trained) == len(plan.networks) == 4 * 4 + 1 + 2
    wide = next(point.spec for point in plan.kept("width") if point.asked == 2.0)
    assert wide is not None
    sizes = sizes_of(wide, plan.baseline)
    assert (sizes.depth, sizes.resolution) == (1.0, 1.0)
    assert sizes.width == pytest.approx(2**0.5, rel=0.05)


def test_the_imagenette_preset_shows_32_to_128_pixels() -> None:
    _, proxies = planned("curves=imagenette", "data.path=x.npz")
    assert {32, 128} <= {proxy.resolution for proxy in proxies.of.values()}
    assert proxies.largest_side == 128


def test_points_that_cannot_be_trained_are_listed_with_the_reason() -> None:
    plan, proxies = planned("curves.ratios=[0.25,0.5,1,2]")
    left = {point.curve: point.reason for point in plan.points if not point.kept}
    assert "costs 0.449 times the baseline" in left["depth"]
    assert "total stride" in left["resolution"]
    rows = candidate_rows(plan, proxies)
    assert sorted(row["curves"] for row in rows if row["kept"] == "false") == ["depth", "resolution"]
    assert any("depth at 0.25x is not trained" in warning for warning in proxies.warnings)
    assert any("the curve depth has 3 points" in warning for warning in proxies.warnings)


def test_networks_that_share_a_proxy_are_trained_once() -> None:
    chosen = replace(settings(), proxy=ProxySettings(width=0.01, width_divisor=64))
    plan, proxies = plan_proxies(plan_axes(chosen), chosen, INFO)
    assert len(proxies.trained) < len(plan.networks)
    assert any("share a proxy" in warning for warning in proxies.warnings)
    assert any(row["shares_proxy_with"] for row in candidate_rows(plan, proxies))


def test_a_baseline_is_taken_as_it_is_or_brought_to_a_target() -> None:
    assert plan_axes(settings("baseline=mobilenet_v2")).baseline == ss.load_spec("mobilenet_v2")
    rescaled = plan_axes(axes_settings(compose("axes", flags={"target_flops": "100M"})))
    assert cost_of(rescaled.baseline).macs == pytest.approx(100e6, rel=0.03)
    assert "rescaled from 386M" in rescaled.sentence()


def test_the_check_takes_networks_of_all_costs_and_curves() -> None:
    plan, proxies = planned("check.epochs=5", "check.points=9")
    work = AxesWork(settings("check.epochs=5", "check.points=9"), plan, proxies, None)  # type: ignore[arg-type]
    names = [plan.networks[name].name for name, _ in work.check_units()]
    assert len(names) == len(set(names)) == 9
    ends = [f"efficientnet_b0_{axis}_{ratio}x" for axis in ("width", "depth", "resolution") for ratio in ("0.5", "2")]
    assert {"efficientnet_b0", *ends} <= set(names)
