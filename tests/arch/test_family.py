"""Families against published numbers, and the promises of the realised solver."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesearch.arch.catalog import FAMILIES, catalog_names, catalog_spec
from scalesearch.arch.cost import cost_of
from scalesearch.arch.family import PAPER, Member, coefficients_of, family_at_budgets, family_at_phis
from scalesearch.arch.published import published_family, why_released_differs
from scalesearch.arch.regularisation import regularisation_at
from scalesearch.arch.rules import RULES
from scalesearch.arch.scaling import CompoundCoefficients, Rounding
from scalesearch.errors import BudgetError, ConfigError, InputError, SpecError, UnknownNameError

B0 = catalog_spec("efficientnet_b0")
MACS = cost_of(B0).macs


def test_nominal_ratios_of_the_paper() -> None:
    members = family_at_phis(B0, PAPER, range(1, 8), solve="nominal")
    ratios = [member.realised_ratio for member in members]
    assert ratios == pytest.approx([2.573, 4.693, 8.426, 16.38, 29.48, 52.08, 102.8], rel=5e-4)
    assert [member.target_ratio for member in members] == [2, 4, 8, 16, 32, 64, 128]
    assert members[0].nominal_ratio == pytest.approx(1.920, abs=5e-4)
    assert members[0].spec.depths == (2, 3, 3, 4, 4, 5, 2)
    assert [members[n].spec.resolution for n in (0, 1, 2)] == [258, 296, 341]
    assert members == family_at_phis(B0, "efficientnet", range(1, 8), solve="nominal")


def test_nominal_under_shrinks_below_the_baseline() -> None:
    (member,) = family_at_phis(B0, PAPER, [-1], solve="nominal")
    assert member.realised_ratio == pytest.approx(0.782, abs=2e-3)
    (member,) = family_at_phis(B0, PAPER, [-1], solve="nominal", rounding=Rounding(depth="nearest"))
    assert member.realised_ratio == pytest.approx(0.638, abs=2e-3)


@pytest.mark.parametrize("depth", ["largest_remainder", "ceil", "nearest"])
def test_realised_hits_powers_of_two(depth: str) -> None:
    phis = range(-2, 8)
    members = family_at_phis(B0, PAPER, phis, rounding=Rounding(depth=depth))
    for phi, member in zip(phis, members, strict=True):
        assert member.cost == cost_of(member.spec)
        assert member.cost.macs == pytest.approx(2**phi * MACS, rel=0.02)
        assert abs(member.miss) <= 0.02
        assert abs(member.resolution_trim) <= 0.10
        assert member.note == ""


def test_fractions_and_negative_phis_are_members_too() -> None:
    half, less = family_at_phis(B0, PAPER, [0.5, -1.5])
    assert half.realised_ratio == pytest.approx(2**0.5, rel=0.02)
    assert less.realised_ratio == pytest.approx(2**-1.5, rel=0.02)
    assert (half.name, less.name) == ("efficientnet_b0_phi0p5", "efficientnet_b0_phim1p5")
    assert half.spec.name.isidentifier()


@settings(max_examples=12)
@given(st.lists(st.floats(-2, 3), min_size=2, max_size=3))
def test_more_phi_never_costs_less(phis: list[float]) -> None:
    base = catalog_spec("mobilenet_v2")
    members = family_at_phis(base, PAPER, sorted(phis))
    macs = [member.cost.macs for member in members]
    assert macs == sorted(macs)
    # a member does not depend on the others that were asked for
    assert family_at_phis(base, PAPER, [min(phis)])[0] == members[0]


def test_neighbouring_phis_are_in_order() -> None:
    members = family_at_phis(B0, PAPER, [0.9 + step / 100 for step in range(40)])
    macs = [member.cost.macs for member in members]
    assert macs == sorted(macs)
    assert len(set(macs)) > 20


@pytest.mark.parametrize("name", RULES)
def test_phi_zero_is_the_baseline_itself(name: str) -> None:
    odd = B0.with_(resolution=223, stem_width=33)
    for solve in ("nominal", "realised"):
        (member,) = family_at_phis(odd, name, [0], solve=solve)
        assert member.spec.fingerprint == odd.fingerprint
        assert (member.phi_used, member.realised_ratio, member.resolution_trim) == (0, 1, 0)


@pytest.mark.parametrize("name", catalog_names())
def test_every_network_can_be_scaled(name: str) -> None:
    base = catalog_spec(name)
    for member in family_at_phis(base, "uniform", [-0.5, 1.5]):
        assert member.cost.macs == pytest.approx(2**member.phi * cost_of(base).macs, rel=0.05)
        assert abs(member.miss) <= 0.02 or "nearest that rounding allows" in member.note


def test_a_pure_axis_stays_pure_and_says_what_it_misses() -> None:
    members = family_at_phis(catalog_spec("mobilenet_v2"), "width_only", [-1.25, 2])
    assert {member.spec.resolution for member in members} == {224}
    assert {member.spec.depths for member in members} == {catalog_spec("mobilenet_v2").depths}
    assert re.fullmatch(r"nearest that rounding allows, [+-]1\d\.\d% off", members[0].note)


def test_a_winner_is_the_member_at_one() -> None:
    winner = B0.with_(resolution=320, name="winner")  # 2.04 times B0: a rung lies nearer to 2
    ratio = cost_of(winner).macs / MACS
    coefficients = CompoundCoefficients(1.2, 1.1, 1.15)
    phis = [0.9, 0.98, 1, 1.02, 1.1]
    members = family_at_phis(B0, coefficients, phis, winner=winner, tolerance=0.05)
    assert members[2].spec.fingerprint == winner.fingerprint
    assert members[2].note == "the winner itself"
    assert members[2].realised_ratio == ratio
    macs = [member.cost.macs for member in members]
    assert macs == sorted(macs)
    (other,) = family_at_phis(B0, coefficients, [1])
    assert abs(other.miss) < abs(ratio / 2 - 1)


def test_budgets_are_reached_above_and_below() -> None:
    members = family_at_budgets(B0, "fast", [100_000_000, 400_000_000, 1_600_000_000])
    assert [member.cost.macs for member in members] == pytest.approx([1e8, 4e8, 1.6e9], rel=0.02)
    assert [member.name for member in members] == [f"efficientnet_b0_{text}" for text in ("100M", "400M", "1p6G")]
    assert members[2].phi == pytest.approx(math.log2(1.6e9 / MACS))
    (nominal,) = family_at_budgets(B0, PAPER, [round(1.92027 * MACS)], solve="nominal")
    assert nominal.phi == pytest.approx(1, abs=1e-3)


def test_budgets_that_print_alike_have_names_of_their_own() -> None:
    names = {member.name for member in family_at_budgets(B0, "fast", [400_000_000, 400_100_000])}
    assert names == {"efficientnet_b0_400000000", "efficientnet_b0_400100000"}


def test_another_step_of_phi() -> None:
    (member,) = family_at_phis(B0, PAPER, [2], ratio=1.5)
    assert member.realised_ratio == pytest.approx(2.25, rel=0.02)


@pytest.mark.parametrize("budget", [1_000, 10**13])
def test_a_budget_out_of_reach_prints_the_range(budget: int) -> None:
    with pytest.raises(BudgetError, match=r"to \S+\.\.\S+ MACs \(phi -\S+ to \S+\)"):
        family_at_budgets(B0, "depth_only", [budget])


def test_the_range_is_what_can_be_reached() -> None:
    with pytest.raises(BudgetError) as error:
        family_at_phis(B0, "depth_only", [-3])
    low, high = re.search(r"phi (\S+) to (\S+)\)", str(error.value)).groups()  # type: ignore[union-attr]
    assert family_at_phis(B0, "depth_only", [float(low), float(high)])[0].spec.depth == len(B0.stages)


@pytest.mark.parametrize(
    ("growth", "phi", "words"),
    [
        ((1.2, 1.1, 1.15), -15, "total stride"),
        ((1.2, 1.1, 1.15), -13.6, None),
        ((2.0, 1.0, 1.0), -4.2, "at least one block"),
        ((2.0, 1.0, 1.0), -3.9, None),
        ((1.2, 1.1, 1.15), 40, "written down"),
        ((1.2, 1.1, 1.15), 999, "written down"),
        ((9.0, 9.0, 9.0), 999, "written down"),
    ],
)
def test_nominal_refuses_what_is_no_network(growth: tuple[float, float, float], phi: float, words: str | None) -> None:
    def member() -> Member:
        return family_at_phis(B0, CompoundCoefficients(*growth), [phi], solve="nominal")[0]

    if words is None:
        assert member().spec.resolution >= 32
        return
    with pytest.raises(SpecError, match=words) as error:
        member()
    if bound := re.search(r"phi of at least (\S+)", error.value.way_out):
        phi = float(bound[1])
        assert member().phi == phi


def test_bad_arguments() -> None:
    for wrong in (
        lambda: family_at_phis(B0, CompoundCoefficients(0.8, 0.9, 0.9), [1]),
        lambda: family_at_phis(B0, CompoundCoefficients(1, 1, 1), [1]),
        lambda: family_at_phis(B0, "slow", [1]),
        lambda: family_at_phis(B0, PAPER, [math.nan]),
        lambda: family_at_phis(B0, PAPER, [1], solve="guess"),
        lambda: family_at_phis(B0, PAPER, [1], ratio=1.0),
    ):
        with pytest.raises(InputError) as error:
            wrong()
        assert isinstance(error.value, SpecError | ConfigError | UnknownNameError)


def test_coefficients_of_rules() -> None:
    assert coefficients_of("efficientnet") == PAPER
    assert coefficients_of("fast").nominal_product == pytest.approx(2)
    assert coefficients_of("latency_aware") == CompoundCoefficients(1.30, 1.16, 1.07)


def test_dropout_follows_the_released_table() -> None:
    for index in range(9):
        released = catalog_spec(f"efficientnet_b{index}")
        assert regularisation_at(B0, index) == (released.dropout, released.drop_path)
    assert regularisation_at(B0, -2) == (0.2, 0.2)
    assert regularisation_at(B0, 1.99) == (0.2, 0.2)
    assert regularisation_at(B0.with_(dropout=0.0, drop_path=0.0), 6) == (0.0, 0.0)
    assert regularisation_at(B0.with_(dropout=0.6), 4) == (0.6, 0.2)
    assert family_at_phis(B0, PAPER, [4])[0].spec.dropout == 0.4


@pytest.mark.parametrize("name", FAMILIES)
def test_published_families_come_from_the_catalog(name: str) -> None:
    members = published_family(name)
    assert [member.spec for member in members] == [catalog_spec(key) for key in FAMILIES[name].members]
    assert all(member.cost == cost_of(member.spec) for member in members)
    assert members == published_family(name.removeprefix("efficientnet_"))


# reference: phi that width, depth and resolution of the released table imply
IMPLIED = {
    "b1": (0.0, 0.52, 0.49),
    "b2": (1.0, 1.0, 1.07),
    "b3": (1.91, 1.85, 2.09),
    "b4": (3.53, 3.22, 3.78),
    "b5": (4.93, 4.32, 5.09),
    "b6": (6.17, 5.24, 6.14),
    "b7": (7.27, 6.21, 7.05),
}


def test_why_the_released_family_differs() -> None:
    lines = why_released_differs("efficientnet")
    members = {member.spec.name: member for member in published_family("efficientnet")}
    assert lines["efficientnet_b0"] == "the base"
    for short, implied in IMPLIED.items():
        member, line = members[f"efficientnet_{short}"], lines[f"efficientnet_{short}"]
        assert (member.phi_width, member.phi_depth, member.phi_resolution) == pytest.approx(implied, abs=5e-3)
        for phi in implied:
            assert f"is phi {phi:.2f}" in line
        assert f"the formula at phi {short[1]} " in line
        assert "\n" not in line
    assert "costs 1.78x the base, the formula at phi 1 2.57x" in lines["efficientnet_b1"]
    with pytest.raises(UnknownNameError, match="published family"):
        why_released_differs("efficientnet_b1")
