"""Rounding rules and compound coefficients against published values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalesearch.arch.catalog import catalog_spec
from scalesearch.arch.cost import cost_of
from scalesearch.arch.rules import RULES, rule
from scalesearch.arch.scaling import (
    CompoundCoefficients,
    Rounding,
    round_depths,
    round_resolution,
    round_width,
    scale_net,
)
from scalesearch.arch.solve import best_resolution, rescale_to, scaled_by, solve_along
from scalesearch.errors import BudgetError, SpecError, UnknownNameError

B0 = catalog_spec("efficientnet_b0")
PAPER = CompoundCoefficients(1.2, 1.1, 1.15)


@pytest.mark.parametrize(
    ("phi", "depth", "width", "resolution", "product"),
    [(0, 1, 1, 1, 1), (1, 1.2, 1.1, 1.15, 1.92), (2, 1.44, 1.21, 1.3225, 3.69), (3, 1.728, 1.331, 1.521, 7.08)],
)
def test_multipliers_of_the_paper(phi: int, depth: float, width: float, resolution: float, product: float) -> None:
    at = PAPER.multipliers_at(phi)
    assert (at.depth, at.width, at.resolution) == pytest.approx((depth, width, resolution), abs=5e-4)
    assert at.nominal_product == pytest.approx(product, abs=5e-3)


def test_realised_ratios_of_the_paper_are_not_powers_of_two() -> None:
    realised = [
        cost_of(scaled_by(B0, PAPER.multipliers_at(phi), Rounding())).macs / cost_of(B0).macs for phi in range(1, 8)
    ]
    assert realised == pytest.approx([2.573, 4.693, 8.426, 16.38, 29.48, 52.08, 102.8], rel=5e-4)


def test_phi_below_zero_under_shrinks_with_ceil() -> None:
    at = PAPER.multipliers_at(-1)
    macs = cost_of(B0).macs
    assert cost_of(scaled_by(B0, at, Rounding())).macs / macs == pytest.approx(0.782, abs=2e-3)
    assert cost_of(scaled_by(B0, at, Rounding(depth="nearest"))).macs / macs == pytest.approx(0.638, abs=2e-3)


@pytest.mark.parametrize(
    ("width", "multiplier", "expected"), [(32, 1.21, 40), (16, 1.2, 24), (32, 1.1, 32), (1280, 1.1, 1408), (3, 1, 8)]
)
def test_round_width(width: int, multiplier: float, expected: int) -> None:
    # 16 * 1.2 = 19.2 rounds to 16, which the 0.9 guard raises to 24: B3's first stage
    assert round_width(width, multiplier) == expected


@given(st.integers(1, 4096), st.floats(0.05, 8), st.sampled_from([1, 2, 4, 8, 16]))
def test_round_width_keeps_the_guard(width: int, multiplier: float, divisor: int) -> None:
    rounded = round_width(width, multiplier, divisor=divisor)
    assert rounded % divisor == 0
    assert rounded >= 0.9 * width * multiplier or rounded == divisor
    assert rounded <= width * multiplier + divisor


def test_alpha_is_not_identifiable_under_ceil_and_is_under_largest_remainder() -> None:
    depths = B0.depths
    assert {round_depths(depths, alpha) for alpha in (1.05, 1.1, 1.2, 1.25)} == {(2, 3, 3, 4, 4, 5, 2)}
    totals = [sum(round_depths(depths, alpha, rule="largest_remainder")) for alpha in (1.05, 1.1, 1.2, 1.25)]
    assert totals == [17, 18, 19, 20]


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=8),
    st.floats(0.1, 6),
    st.sampled_from(["ceil", "nearest", "largest_remainder"]),
)
def test_round_depths_keeps_every_stage_and_the_total(depths: list[int], multiplier: float, rule_name: str) -> None:
    rounded = round_depths(depths, multiplier, rule=rule_name)
    assert len(rounded) == len(depths)
    assert min(rounded) >= 1
    if rule_name == "largest_remainder" and all(depth * multiplier >= 1 for depth in depths):
        assert abs(sum(rounded) - sum(depths) * multiplier) <= 0.5 + 1e-6


def test_ceil_is_not_fooled_by_floating_point() -> None:
    assert 100 * 1.1 > 110  # the trap
    assert round_depths([100], 1.1) == (110,)


def test_round_resolution() -> None:
    assert [round_resolution(224 * 1.15), round_resolution(224 * 1.15, multiple=8)] == [258, 256]


def test_scaling_by_one_changes_nothing() -> None:
    odd = B0.with_(stem_width=33)
    assert scale_net(odd, rounding=Rounding(width_divisor=16)).fingerprint == odd.fingerprint


def test_scale_net_refuses_nonsense() -> None:
    with pytest.raises(SpecError, match="positive"):
        scale_net(B0, depth=0)
    with pytest.raises(SpecError, match="positive"):
        scale_net(B0, width=float("nan"))
    with pytest.raises(UnknownNameError, match="depth rounding"):
        Rounding(depth="floor")


def test_published_shares_and_directions() -> None:
    paper = rule("efficientnet")
    shares = (paper.depth_share, paper.width_share, paper.resolution_share)
    assert shares == pytest.approx((0.279, 0.292, 0.428), abs=1e-3)
    fast, uniform = rule("fast").at(2), rule("uniform").at(2)
    assert (fast.depth, fast.width, fast.resolution) == pytest.approx((1.072, 1.320, 1.035), abs=5e-4)
    assert (uniform.depth, uniform.width, uniform.resolution) == pytest.approx((1.260, 1.122, 1.122), abs=5e-4)
    with pytest.raises(UnknownNameError, match="scaling rule"):
        rule("slow")


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("ratio", [0.5, 2.0, 4.0])
def test_every_rule_reaches_the_ratio_on_counted_macs(name: str, ratio: float) -> None:
    base = cost_of(B0).macs
    _, spec = solve_along(B0, rule(name), ratio * base, Rounding(depth="largest_remainder"))
    assert cost_of(spec).macs / base == pytest.approx(ratio, rel=0.08)


@given(st.integers(30_000_000, 3_000_000_000))
def test_best_resolution_is_the_nearest(target: int) -> None:
    side = best_resolution(B0, target, low=64, high=700)
    error = abs(cost_of(B0, resolution=side).macs - target)
    for other in (side - 1, side + 1):
        if 64 <= other <= 700:
            assert error <= abs(cost_of(B0, resolution=other).macs - target)


def test_of_equally_expensive_resolutions_the_highest_is_taken() -> None:
    assert cost_of(B0, resolution=223).macs == cost_of(B0).macs
    assert best_resolution(B0, cost_of(B0).macs, low=64) == 224


@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_b0", "tinynet_e"])
@pytest.mark.parametrize("target", [2_000_000, 3_000_000, 5_000_000, 30_000_000, 400_000_000, 3_000_000_000])
def test_rescale_reaches_the_budget(name: str, target: int) -> None:
    spec = rescale_to(catalog_spec(name), target, rule("efficientnet"), Rounding(depth="largest_remainder"))
    assert cost_of(spec).macs == pytest.approx(target, rel=0.03 if target >= 30_000_000 else 0.07)


@pytest.mark.parametrize("target", [1_000, 10**17])
def test_a_budget_out_of_reach_prints_the_range(target: int) -> None:
    with pytest.raises(BudgetError, match=r"can be scaled to \S+\.\.\S+ MACs"):
        rescale_to(B0, target, rule("efficientnet"), Rounding(depth="largest_remainder"))
