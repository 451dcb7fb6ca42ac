"""The closed form over lattices is the closed form, to the last integer, and tells the same networks apart."""

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import net_specs

from scalesearch.arch import iso_cost
from scalesearch.arch.catalog import catalog_spec
from scalesearch.arch.cost import Cost, cost_of
from scalesearch.arch.lattice import Lattice, best_resolutions, networks_at_ratio
from scalesearch.arch.scaling import DEPTH_ROUNDINGS, RELEASED, Multipliers, Rounding
from scalesearch.arch.solve import best_resolution, scaled_by, scaled_side
from scalesearch.arch.spec import NetSpec, StageSpec
from scalesearch.errors import SpecError

B0 = catalog_spec("efficientnet_b0")
AXIS = st.lists(st.floats(0.3, 3.0), min_size=1, max_size=3)
ROUNDINGS = st.builds(
    Rounding,
    depth=st.sampled_from(DEPTH_ROUNDINGS),
    width_divisor=st.sampled_from([1, 4, 8]),
    resolution_multiple=st.sampled_from([1, 8]),
    stem=st.sampled_from(["scale", "keep"]),
    head=st.sampled_from(["scale", "keep", "grow"]),
    fixed_ends=st.booleans(),
)


def compare(base: NetSpec, axes: tuple[list[float], ...], rounding: Rounding) -> None:
    alphas, betas, gammas = axes
    lattice = Lattice(base, alphas, betas, rounding)
    sides = [scaled_side(base, gamma, rounding) for gamma in gammas]
    counts, classes = lattice.counts(sides), lattice.classes
    class_of: dict[tuple[int, int], str] = {}
    for (i, alpha), (j, beta), (k, gamma) in itertools.product(*(enumerate(axis) for axis in axes)):
        spec = scaled_by(base, Multipliers(alpha, beta, gamma), rounding)
        depth, width = lattice.depth_of[i], lattice.width_of[j]
        assert Cost(*(int(measure[depth, width, k]) for measure in counts)) == cost_of(spec)
        assert lattice.spec(depth, width, sides[k]).fingerprint == spec.fingerprint
        at = (int(classes[depth, width]), sides[k])
        assert class_of.setdefault(at, spec.fingerprint) == spec.fingerprint
    assert len(set(class_of.values())) == len(class_of), "one class per network"


@given(base=net_specs(), axes=st.tuples(AXIS, AXIS, AXIS), rounding=ROUNDINGS)
@settings(max_examples=60, deadline=None)
def test_every_network_of_a_lattice(base: NetSpec, axes: tuple[list[float], ...], rounding: Rounding) -> None:
    compare(base, axes, rounding)


def test_blocks_that_move_between_stages_make_no_other_network() -> None:
    stages = tuple(StageSpec("mbconv", 3, stride, 16, 3, expansion_ratio=4) for stride in (2, 1, 1, 2, 1))
    compare(NetSpec("runs", 64, 16, stages), ([0.5, 0.8, 1.0, 1.2, 1.3, 1.5, 1.7, 2.0], [1.0, 1.4], [1.0]), RELEASED)
    lattice = Lattice(NetSpec("runs", 64, 16, stages), [1.0], [1.0, 1.4], RELEASED)
    assert len(set(lattice.classes.ravel())) == 2
    moved = tuple(
        StageSpec("mbconv", 3, stride, 16, depth, expansion_ratio=4)
        for stride, depth in ((2, 2), (1, 4), (1, 3), (2, 5), (1, 1))
    )
    lattice.depths.append(NetSpec("moved", 64, 16, moved))
    del lattice.classes
    assert lattice.classes[0].tolist() == lattice.classes[1].tolist()
    assert lattice.spec(0, 0, 64).fingerprint == lattice.spec(1, 0, 64).fingerprint


def test_counts_beyond_64_bits_stay_exact() -> None:
    wide = NetSpec("wide", 8192, 1 << 20, (StageSpec("conv", 31, 1, 1 << 20, 9),), head_width=1 << 20, stem_stride=1)
    assert cost_of(wide).macs > 2**64
    counts = Lattice(wide, [1.0, 2.0], [1.0], RELEASED).counts([8192])
    assert int(counts[0][0, 0, 0]) == cost_of(wide).macs


@pytest.mark.parametrize("rounding", [RELEASED, Rounding(depth="largest_remainder", resolution_multiple=8)])
def test_networks_at_a_ratio_are_those_a_loop_finds(rounding: Rounding) -> None:
    axes = [[1 + 0.1 * step for step in range(11)], [1 + 0.05 * step for step in range(9)], [1, 1.1, 1.2, 1.3, 1.4]]
    found = networks_at_ratio(B0, *axes, ratio=2.0, tolerance=0.1, rounding=rounding)
    points: Counter[str] = Counter()
    first: dict[str, tuple[int, ...]] = {}
    every = set()
    for triple in itertools.product(*(range(len(axis)) for axis in axes)):
        spec = scaled_by(B0, Multipliers(*(axis[i] for axis, i in zip(axes, triple, strict=True))), rounding)
        every.add(spec.fingerprint)
        if abs(cost_of(spec).macs / cost_of(B0).macs / 2.0 - 1) <= 0.1:
            points[spec.fingerprint] += 1
            first.setdefault(spec.fingerprint, triple)
    specs = [found.spec(index) for index in range(len(found.macs))]
    assert {spec.fingerprint: int(n) for spec, n in zip(specs, found.points, strict=True)} == points
    assert [cost_of(spec).macs for spec in specs] == found.macs.tolist()
    assert {spec.fingerprint: tuple(row) for spec, row in zip(specs, found.first.tolist(), strict=True)} == first
    assert (found.n_points, found.n_within, found.n_networks) == (495, points.total(), len(every))


def test_a_lattice_refuses_what_scaling_refuses() -> None:
    with pytest.raises(SpecError, match="depth multiplier must be positive"):
        Lattice(B0, [1.0, -1.0], [1.0], RELEASED)


@pytest.mark.parametrize("ratio", [0.4, 2.0, 3.0])
@pytest.mark.parametrize("multiple", [1, 8])
def test_the_best_resolutions_are_those_of_the_bisection(ratio: float, multiple: int) -> None:
    grows = ratio > 1
    low, high = (B0.resolution, 8192) if grows else (B0.total_stride, B0.resolution)
    lattice = Lattice(B0, [1.0, ratio**0.3, ratio**0.5, ratio], [1.0, ratio**0.2, ratio**0.5], Rounding("nearest"))
    target = ratio * cost_of(B0).macs
    sides = best_resolutions(lattice, target, low=low, high=high, multiple=multiple)
    for depth, width in itertools.product(range(len(lattice.depths)), range(len(lattice.widths))):
        spec = lattice.spec(depth, width, B0.resolution)
        assert sides[depth, width] == best_resolution(spec, target, low=low, high=high, multiple=multiple)


def test_a_plan_is_the_same_with_numpy_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    plans = []
    for vectorised in (True, False):
        monkeypatch.setattr(iso_cost, "_vectorised", lambda networks, answer=vectorised: answer)
        plans.append(iso_cost.plan_candidates(B0, iso_cost.IsoCostSettings(step=0.1)))
    assert plans[0] == plans[1]
