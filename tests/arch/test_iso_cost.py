"""The grid's candidates: the published lattice reproduced, and the constraint held on the realised network."""

import math

import pytest

from scalesearch.arch.catalog import catalog_spec
from scalesearch.arch.cost import cost_of
from scalesearch.arch.iso_cost import IsoCostSettings, fold, plan_candidates
from scalesearch.arch.proxy import ProxySettings, colliding, proxy_of
from scalesearch.arch.rules import rule
from scalesearch.arch.scaling import RELEASED, Rounding
from scalesearch.arch.solve import rescale_to
from scalesearch.arch.spread import spread_out
from scalesearch.errors import BudgetError, ConfigError, SpecError, UnknownNameError

B0 = catalog_spec("efficientnet_b0")
NEAREST = Rounding(depth="nearest")


@pytest.mark.parametrize(("rounding", "distinct", "within"), [(RELEASED, 65, 5), (NEAREST, 83, 45)])
def test_the_published_lattice(rounding: Rounding, distinct: int, within: int) -> None:
    """108 triples; how many networks they are, and how many triples cost 2x within 5 % (counted, not nominal)."""
    plan = plan_candidates(B0, IsoCostSettings(constraint="nominal", rounding=rounding, rules=(), max_candidates=1000))
    assert plan.n_lattice == 108
    assert len(plan.candidates) == distinct
    assert sum(len(c.region) for c in plan.candidates) == 108
    assert sum(len(c.region) for c in plan.candidates if abs(c.realised_ratio / 2 - 1) <= 0.05) == within


def test_the_published_lattice_is_far_from_two() -> None:
    plan = plan_candidates(B0, IsoCostSettings(constraint="nominal", rounding=RELEASED, rules=(), max_candidates=1000))
    ratios = sorted(c.realised_ratio for c in plan.candidates for _ in c.region)
    assert (ratios[0], ratios[-1]) == pytest.approx((1.93, 3.33), abs=0.005)


@pytest.mark.parametrize("ratio", [0.5, 1.5, 2.0, 4.0])
def test_realised_candidates_hold_the_ratio(ratio: float) -> None:
    settings = IsoCostSettings(ratio=ratio, step=0.1, max_candidates=12)
    plan = plan_candidates(B0, settings)
    assert len(plan.kept) >= 8
    base = cost_of(B0)
    for candidate in plan.kept:
        assert candidate.cost == cost_of(candidate.spec)
        assert candidate.realised_ratio == candidate.cost.macs / base.macs
        if not candidate.rules:
            assert abs(candidate.realised_ratio / ratio - 1) <= settings.tolerance
    fingerprints = [candidate.fingerprint for candidate in plan.candidates]
    assert len(set(fingerprints)) == len(fingerprints)
    assert {name for candidate in plan.kept for name in candidate.rules} == set(settings.rules)
    assert sum(len(candidate.region) for candidate in plan.candidates) == plan.n_lattice


def test_rules_keep_their_direction() -> None:
    """Reaching the ratio may not turn one rule into another: shares stay near the published ones."""
    plan = plan_candidates(B0, IsoCostSettings())
    for candidate in plan.kept:
        for name in candidate.rules:
            c, published = candidate.coefficients, rule(name)
            total = math.log(c.nominal_product)
            shares = (math.log(c.alpha) / total, 2 * math.log(c.beta) / total, 2 * math.log(c.gamma) / total)
            wanted = (published.depth_share, published.width_share, published.resolution_share)
            assert shares == pytest.approx(wanted, abs=0.03), name


def test_a_rule_far_from_the_ratio_is_listed_and_not_trained() -> None:
    tiny = rescale_to(B0, 2_000_000, rule("efficientnet"), NEAREST)
    plan = plan_candidates(tiny, IsoCostSettings(tolerance=0.14))
    off = [c for c in plan.candidates if c.rules and abs(c.realised_ratio / 2 - 1) > 0.15]
    assert off
    assert not any(c.kept for c in off)
    assert all("the ratio" in c.reason for c in off)


def test_max_candidates_spreads_and_never_drops_a_rule() -> None:
    few = plan_candidates(B0, IsoCostSettings(max_candidates=9))
    assert len(few.kept) == 9
    assert {name for candidate in few.kept for name in candidate.rules} == set(IsoCostSettings().rules)
    left_out = [c for c in few.candidates if c.reason.startswith("left out by max_candidates=9")]
    assert left_out
    assert not any(c.kept for c in left_out)


def test_the_plan_is_the_same_every_time() -> None:
    first, second = (plan_candidates(B0, IsoCostSettings()) for _ in range(2))
    assert first == second


def test_an_impossible_constraint_names_the_nearest_and_lists_the_closest() -> None:
    with pytest.raises(BudgetError, match=r"within 0\.00%.*nearest.*alpha.*raise tolerance") as caught:
        plan_candidates(B0, IsoCostSettings(tolerance=1e-7, step=0.2))
    assert caught.value.table.count("\n") == 5
    with pytest.raises(BudgetError, match="nominal product"):
        plan_candidates(B0, IsoCostSettings(constraint="nominal", nominal_tolerance=0.0, ratio=1.97, step=0.3))


@pytest.mark.parametrize(
    "change",
    [{"ratio": 1.0}, {"ratio": -2}, {"ratio": float("nan")}, {"step": 0}, {"tolerance": -1}, {"max_candidates": 0}],
)
def test_settings_are_checked(change: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        IsoCostSettings(**change)  # type: ignore[arg-type]


def test_unknown_names_and_too_fine_a_lattice() -> None:
    with pytest.raises(UnknownNameError, match="constraint"):
        IsoCostSettings(constraint="real")
    with pytest.raises(UnknownNameError, match="scaling rule"):
        IsoCostSettings(rules=("eficientnet",))
    with pytest.raises(ConfigError, match="at most"):
        plan_candidates(B0, IsoCostSettings(step=0.001))


@pytest.mark.parametrize("base_name", ["efficientnet_b0", "mobilenet_v2", "mnasnet_a1"])
def test_distinct_candidates_stay_distinct_as_proxies(base_name: str) -> None:
    base = rescale_to(catalog_spec(base_name), 100_000_000, rule("efficientnet"), NEAREST)
    plan = plan_candidates(base, IsoCostSettings(max_candidates=1000))
    proxies = [_proxy(candidate.spec, base.resolution, ProxySettings()) for candidate in plan.kept]
    # only networks that differ by a pixel or two of full resolution may meet (a rule beside a lattice point)
    for first, later in colliding(proxies):
        one, other = plan.kept[first].spec, plan.kept[later].spec
        assert (one.depths, one.widths) == (other.depths, other.widths)
        assert abs(one.resolution - other.resolution) <= base.resolution / 24


def test_colliding_proxies_are_folded_into_one_candidate() -> None:
    plan = plan_candidates(B0, IsoCostSettings(max_candidates=1000))
    coarse = ProxySettings(width=0.01, width_divisor=64)
    pairs = colliding([_proxy(candidate.spec, 224, coarse) for candidate in plan.kept])
    assert pairs
    folded = fold(plan, pairs)
    by_fingerprint = {candidate.fingerprint: candidate for candidate in plan.candidates}
    assert len(folded.kept) == len(plan.kept) - len(pairs)
    assert colliding([_proxy(candidate.spec, 224, coarse) for candidate in folded.kept]) == []
    # nothing is forgotten, and nobody else's lattice points are claimed
    assert sum(len(c.folded) for c in folded.kept) == len(pairs)
    assert {name for c in folded.kept for one in (c, *c.folded) for name in one.rules} == set(IsoCostSettings().rules)
    for candidate in folded.kept:
        assert candidate.region == by_fingerprint[candidate.fingerprint].region
    assert sum("same proxy as" in c.reason for c in folded.candidates) == len(pairs)


def test_proxy_shrinks_width_and_resolution_and_keeps_depth() -> None:
    proxy = _proxy(B0, 224, ProxySettings(width=0.25, resolution=24))
    assert (proxy.depths, proxy.resolution, proxy.stem_stride) == (B0.depths, 24, 1)
    assert proxy.widths == tuple(width // 4 for width in B0.widths)
    assert (proxy.num_classes, proxy.in_channels) == (10, 1)
    with pytest.raises(SpecError, match=r"16 px, got '12 px'.*raise proxy.resolution"):
        _proxy(B0, 224, ProxySettings(resolution=12))


def _proxy(spec, resolution, settings):  # type: ignore[no-untyped-def]
    return proxy_of(spec, baseline_resolution=resolution, settings=settings, num_classes=10, in_channels=1)


def test_spread_out_covers_the_ends() -> None:
    points = [[float(x)] for x in range(11)]
    assert spread_out(points, 3) == [0, 10, 5]
    assert spread_out(points, 2, first=[4, 5, 6]) == [4, 5, 6]
    assert spread_out([], 3) == []
    assert sorted(spread_out(points, 99)) == list(range(11))
