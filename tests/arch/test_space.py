"""Search spaces: points and networks back and forth, moves, sampling under a budget, and NAS-Bench-Macro exactly."""

import csv
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from strategies import net_specs

from scalesearch.arch.catalog import catalog_spec
from scalesearch.arch.cost import Cost, cost_of
from scalesearch.arch.space import CostWindow, LayerSpace, Point, Space, SpaceSettings, StageSpace, make_space
from scalesearch.arch.space_settings import OPS, LayerPlan, split_layer_op
from scalesearch.arch.spec import NetSpec, StageSpec
from scalesearch.config.build import build
from scalesearch.errors import BudgetError, ConfigError, InputError, SpecError, UnknownNameError
from scalesearch.units import parse_count

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf" / "space"
TABLE = ROOT.parent / "shared" / "data" / "nas_bench_macro" / "nas_bench_macro_unique.csv"
NAMES = ("mnasnet", "wide", "small", "nas_bench_macro")
B0 = catalog_spec("efficientnet_b0")


def shipped(name: str, base: NetSpec = B0) -> Space:
    return make_space(base, build(SpaceSettings, yaml.safe_load((CONF / f"{name}.yaml").read_text()), "space"))


SPACES = {name: shipped(name) for name in NAMES}
# seven stages without squeeze-excite, one of them without skips, a base outside the ops of "small"
SPACES["around_mnasnet_b1"] = shipped("wide", catalog_spec("mnasnet_b1"))
MACRO = SPACES["nas_bench_macro"]
REACH = {name: {measure: space.reach(measure) for measure in ("macs", "params")} for name, space in SPACES.items()}

spaces = st.sampled_from(sorted(SPACES)).map(SPACES.__getitem__)


def points(space: Space) -> st.SearchStrategy[Point]:
    return st.tuples(*(st.integers(0, len(dimension.choices) - 1) for dimension in space.dimensions))


@st.composite
def placed(draw: st.DrawFn, count: int = 1) -> tuple[Space, tuple[Point, ...]]:
    space = draw(spaces)
    return space, tuple(draw(points(space)) for _ in range(count))


def in_range(space: Space, point: Point) -> bool:
    return all(0 <= gene < len(dimension.choices) for gene, dimension in zip(point, space.dimensions, strict=True))


def test_every_shipped_space_is_tested() -> None:
    assert {path.stem for path in CONF.glob("*.yaml")} == set(NAMES)


def test_defaults_are_the_mnasnet_space() -> None:
    space = SPACES["mnasnet"]
    assert isinstance(space, StageSpace)
    assert space.settings == SpaceSettings()


@given(placed())
def test_networks_and_canonical_points_go_round(drawn: tuple[Space, tuple[Point, ...]]) -> None:
    space, (point,) = drawn
    spec = space.decode(point)
    canonical = space.encode(spec)
    assert space.decode(canonical) == spec
    assert space.encode(space.decode(canonical)) == canonical
    assert in_range(space, canonical)
    assert spec.name == f"{space.base.name}_{spec.fingerprint[:8]}"
    assert space.cost(point) == cost_of(spec)


@given(net_specs(), st.randoms(use_true_random=False))
def test_any_network_can_be_a_base(base: NetSpec, rng: Random) -> None:
    space = StageSpace(base, SpaceSettings(ops=tuple(OPS), kernel_sizes=(1, 3, 5, 7), se_ratios=(0, 0.05, 0.1, 1)))
    for _ in range(3):
        spec = space.decode(space.sample(rng))
        canonical = space.encode(spec)
        assert space.decode(canonical) == spec
        assert [stage.stride for stage in spec.stages] == [stage.stride for stage in base.stages]


def test_decoding_means_what_the_dimensions_say() -> None:
    space = SPACES["mnasnet"]
    wanted = {
        "stage2.op": "mbconv_e3",
        "stage2.kernel_size": 5,
        "stage2.se_ratio": 0.0,
        "stage2.skip": False,
        "stage2.filters": 1.25,
        "stage2.repeats": -1,
    }
    assert space.start is not None
    point = tuple(
        dimension.choices.index(wanted[dimension.name]) if dimension.name in wanted else gene
        for gene, dimension in zip(space.start, space.dimensions, strict=True)
    )
    # 24 * 1.25 = 30 becomes 32; of two blocks one stays; its skip cannot be added, so it is written as the first choice
    stage = StageSpec("mbconv", 5, 2, 32, 1, expansion_ratio=3.0, se_ratio=0.0, skip=True)
    assert space.decode(point).stages == (B0.stages[0], stage, *B0.stages[2:])


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("mnasnet", "efficientnet_b0"),
        ("wide", "efficientnet_b0"),
        ("small", "efficientnet_b0"),
        ("mnasnet", "mnasnet_a1"),
        ("mnasnet", "mobilenet_v2"),
        ("mnasnet", "tinynet_c"),
    ],
)
def test_the_start_is_the_base(name: str, base: str) -> None:
    space = shipped(name, catalog_spec(base))
    assert space.start is not None
    assert space.decode(space.start).fingerprint == catalog_spec(base).fingerprint


def test_the_widths_of_the_base_stay_as_they_are() -> None:
    # 21 is no multiple of width_divisor; its factors 0.75 and 1.25 both round to multiples of 8
    base = B0.with_(stages=(replace(B0.stages[0], width=21), *B0.stages[1:]))
    space = StageSpace(base, SpaceSettings())
    assert space.start is not None
    assert space.decode(space.start).fingerprint == base.fingerprint
    assert {space.decode(space.sample(rng)).stages[0].width for rng in map(Random, range(40))} == {16, 21, 24}


def test_a_base_outside_its_own_space_has_no_start() -> None:
    assert shipped("small", catalog_spec("mnasnet_b1")).start is None
    assert SPACES["around_mnasnet_b1"].start is not None


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v1"])
def test_around_a_base_of_other_blocks_the_ops_take_their_place(name: str) -> None:
    base = catalog_spec(name)
    space = make_space(base, SpaceSettings())
    assert space.start is None
    with pytest.raises(
        SpecError, match=rf"must hold stage 1 of the network, got StageSpec\(kind='{base.stages[0].kind}'"
    ):
        space.encode(base)
    point = space.sample(Random(0))
    spec = space.decode(point)
    assert {stage.kind for stage in spec.stages} <= {kind for kind, _ in OPS.values()}
    assert (spec.stem_pool, spec.total_stride) == (base.stem_pool, base.total_stride)
    assert space.decode(space.encode(spec)) == spec


@pytest.mark.parametrize(
    "stranger",
    [
        B0.with_(resolution=240),
        B0.with_(stages=B0.stages[:-1]),
        B0.with_(stages=(*B0.stages[:-1], replace(B0.stages[-1], width=328))),
        B0.with_(stages=(*B0.stages[:-1], replace(B0.stages[-1], expansion_ratio=5))),
        B0.with_(stages=(*B0.stages[:-1], replace(B0.stages[-1], stride=2))),
        B0.with_(stages=(*B0.stages[:-1], replace(B0.stages[-1], activation="relu"))),
    ],
)
def test_strangers_are_refused(stranger: NetSpec) -> None:
    with pytest.raises(SpecError):
        SPACES["wide"].encode(stranger)


@pytest.mark.parametrize("point", [(), (0,) * 41, (9,) * 42, (-1,) + (0,) * 41])
def test_what_is_no_point_is_refused(point: Point) -> None:
    with pytest.raises(SpecError, match="42 whole numbers"):
        SPACES["mnasnet"].decode(point)


def test_sizes() -> None:
    # 4 ops, 2 kernels, 2 squeeze-excite, 2 skips, 3 filters, 3 repeats
    assert SPACES["mnasnet"].size == 288**7
    assert SPACES["wide"].size == 648**7
    assert SPACES["small"].size == 18**7
    assert MACRO.size == 3**8


@given(placed(), st.randoms(use_true_random=False))
def test_a_mutation_differs_and_stays_in_range(drawn: tuple[Space, tuple[Point, ...]], rng: Random) -> None:
    space, (point,) = drawn
    child = space.mutate(point, rng)
    assert child != point
    assert in_range(space, child)


def test_mutations_change_mostly_one_dimension_and_reach_every_choice() -> None:
    space, rng = SPACES["small"], Random(0)
    point = (0,) * len(space.dimensions)
    children = [space.mutate(point, rng) for _ in range(2000)]
    changed = [sum(map(bool, child)) for child in children]
    # geometric: 0.6, 0.24, 0.096, ...
    assert 0.55 < changed.count(1) / 2000 < 0.65
    assert max(changed) > 2
    for index, dimension in enumerate(space.dimensions):
        assert {child[index] for child in children} == set(range(len(dimension.choices)))


@given(placed(2), st.randoms(use_true_random=False))
def test_a_child_takes_every_gene_from_a_parent(drawn: tuple[Space, tuple[Point, ...]], rng: Random) -> None:
    space, (first, second) = drawn
    child = space.crossover(first, second, rng)
    assert all(gene in pair for gene, *pair in zip(child, first, second, strict=True))


def test_a_child_takes_from_both_parents() -> None:
    child = SPACES["mnasnet"].crossover((0,) * 42, (1,) * 42, Random(0))
    assert 8 < sum(child) < 34


@pytest.mark.parametrize("name", ["mnasnet", "wide", "small"])
@pytest.mark.parametrize(
    "window",
    [
        CostWindow("macs", 200e6, 440e6),
        CostWindow("macs", 390e6, 410e6),
        CostWindow("params", 0, 4e6),
        CostWindow("activations", 5e6, float("inf")),
    ],
    ids=str,
)
def test_samples_lie_in_the_window(name: str, window: CostWindow) -> None:
    rng = Random(1)
    drawn = [SPACES[name].sample(rng, within=window) for _ in range(10)]
    assert all(window.holds(cost_of(SPACES[name].decode(point))) for point in drawn)
    assert len(set(drawn)) == 10


def test_every_allowed_point_is_sampled() -> None:
    plan = LayerPlan(widths=(8, 12), depths=(3, 2), strides=(2, 1), head_width=0)
    space = LayerSpace(SpaceSettings(kind="layers", ops=("identity", "conv_k3", "mbconv_e3_k3"), layers=plan))
    costs = {point: space.cost(point) for point in product(range(3), repeat=5)}
    low, high = (sorted(cost.macs for cost in costs.values())[rank] for rank in (100, 110))
    window = CostWindow("macs", low, high)
    allowed = {point for point, cost in costs.items() if window.holds(cost)}
    assert 10 < len(allowed) < 20
    rng = Random(0)
    assert {space.sample(rng, within=window) for _ in range(15 * len(allowed))} == allowed


def test_samples_are_uniform_where_many_points_are_allowed() -> None:
    plan = LayerPlan(widths=(8,), depths=(3,), strides=(2,), head_width=0)
    space = LayerSpace(SpaceSettings(kind="layers", ops=("identity", "conv_k3", "mbconv_e3_k3"), layers=plan))
    costs = sorted((space.cost(point).macs, point) for point in product(range(3), repeat=3))
    window = CostWindow("macs", 0, costs[8][0])
    allowed = [point for macs, point in costs if window.holds(Cost(macs=macs))]
    rng = Random(0)
    drawn = Counter(space.sample(rng, within=window) for _ in range(300 * len(allowed)))
    # 300 expected each; the standard deviation is about 17
    assert all(230 < drawn[point] < 370 for point in allowed)


@pytest.mark.parametrize("name", SPACES)
def test_one_seed_gives_one_sequence(name: str) -> None:
    space, seed = SPACES[name], 3
    window = CostWindow("macs", 0, 0.5 * sum(cost.macs for cost in REACH[name]["macs"]))
    first, second = ([space.sample(rng, within=window) for _ in range(3)] for rng in (Random(seed), Random(seed)))
    assert first == second


def test_an_impossible_budget_ends_with_the_closest_cost() -> None:
    window = CostWindow("macs", 0, 1e6)
    with pytest.raises(BudgetError, match=r"up to 1\.00M, but the closest of 300 tries costs \d+(\.\d)?M") as caught:
        SPACES["mnasnet"].sample(Random(0), within=window, tries=300)
    assert "the space reaches from 48.5M to 2.00G" in str(caught.value)


def test_the_closest_cost_is_the_closest_of_all_tries() -> None:
    window = CostWindow("macs", 0, 1e6)

    def closest(tries: int) -> float:
        with pytest.raises(BudgetError) as caught:
            SPACES["mnasnet"].sample(Random(0), within=window, tries=tries)
        return parse_count(caught.value.rule.rpartition(" ")[2])

    found = [closest(tries) for tries in (1, 4, 16, 100, 500)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 2 * found[-1]


@pytest.mark.parametrize("name", SPACES)
def test_no_point_costs_less_or_more_than_the_reach(name: str) -> None:
    rng = Random(0)
    costs = [SPACES[name].cost(SPACES[name].sample(rng)) for _ in range(200)]
    for measure, (low, high) in REACH[name].items():
        for cost in costs:
            assert getattr(low, measure) <= getattr(cost, measure) <= getattr(high, measure)


def test_the_reach_of_a_listed_space_is_exact() -> None:
    costs = [MACRO.cost(point) for point in product(range(3), repeat=8)]
    assert [cost.macs for cost in MACRO.reach()] == [min(c.macs for c in costs), max(c.macs for c in costs)]


def test_windows() -> None:
    window = CostWindow("macs", 200e6, 440e6)
    assert str(window) == "macs from 200M to 440M"
    assert str(CostWindow("params", 0, 5e6)) == "params up to 5.00M"
    assert str(CostWindow("params", 5e6, float("inf"))) == "params from 5.00M"
    inside, above, below = (Cost(macs=n) for n in (440_000_000, 440_000_001, 100_000_000))
    assert [window.holds(cost) for cost in (inside, above, below)] == [True, False, False]
    assert window.distance(inside) == 0
    assert window.distance(below) == pytest.approx(0.6931, abs=1e-4)  # log 2
    with pytest.raises(UnknownNameError, match="cost measure"):
        CostWindow("flops", 0, 1)
    for low, high in ((2, 1), (0, 0), (-1, 1), (0, float("nan"))):
        with pytest.raises(BudgetError, match="low <= high"):
            CostWindow("macs", low, high)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "stage"}, "unknown kind of space, got 'stage'; did you mean stages"),
        ({"ops": ()}, "empty space: space.ops has no choice"),
        ({"repeats": ()}, "empty space: space.repeats has no choice"),
        ({"ops": ("mbconv_e5", "conv")}, "unknown op, got 'mbconv_e5'; did you mean"),
        ({"ops": ("conv", "conv")}, "space.ops must not repeat a choice"),
        ({"se_ratios": (0, 0.0)}, "space.se_ratios must not repeat"),
        ({"kernel_sizes": (3, 4)}, "space.kernel_sizes must be odd"),
        ({"filters": (0.0, 1.0)}, r"space.filters must lie in 0.05..20, got 0.0"),
        ({"filters": (float("nan"),)}, "space.filters"),
        ({"se_ratios": (2.0,)}, "space.se_ratios"),
        ({"repeats": (101,)}, "space.repeats"),
        ({"width_divisor": 0}, "space.width_divisor"),
        (
            {
                "ops": ("conv",),
                "kernel_sizes": (3,),
                "se_ratios": (0,),
                "skips": (True,),
                "filters": (1,),
                "repeats": (0,),
            },
            "at least two points",
        ),
        ({"kind": "layers", "ops": ("identity", "conv_k3")}, "empty space: space.layers has no stages"),
        ({"kind": "layers"}, "unknown layer op, got 'conv'"),
    ],
)
def test_settings_errors(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SpaceSettings(**changes)  # type: ignore[arg-type]


def test_layer_settings_errors() -> None:
    with pytest.raises(ConfigError, match="2 widths, 1 depths, 1 strides"):
        LayerPlan(widths=(8, 16), depths=(1,), strides=(2,))
    with pytest.raises(ConfigError, match="depths must be at least 1"):
        LayerPlan(widths=(8,), depths=(0,), strides=(2,))
    plan = LayerPlan(widths=(8,), depths=(2,), strides=(2,))
    with pytest.raises(ConfigError, match="at least two points"):
        SpaceSettings(kind="layers", ops=("identity",), layers=plan)
    with pytest.raises(SpecError, match="total stride"):
        make_space(B0, SpaceSettings(kind="layers", ops=("identity", "conv_k3"), layers=replace(plan, resolution=1)))
    for op in ("mbconv_k3", "mbconv_e3", "mbconv_e3_k4", "identity_k3", "", "_k3"):
        with pytest.raises(UnknownNameError, match="layer op"):
            split_layer_op(op)
    assert split_layer_op("fused_mbconv_e6_k7") == ("fused_mbconv_e6", 7)


def test_many_equal_layers_are_matched_quickly() -> None:
    plan = LayerPlan(widths=(8,), depths=(40,), strides=(1,), stem_width=8)
    space = LayerSpace(SpaceSettings(kind="layers", ops=("identity", "conv_k3", "mbconv_e3_k3"), layers=plan))
    point = (1,) + (0, 1) * 19 + (2,)
    canonical = space.encode(space.decode(point))
    assert canonical == (1,) * 20 + (2,) + (0,) * 19
    stranger = replace(space.decode(point).stages[-1], kernel_size=5)
    with pytest.raises(SpecError, match="every layer"):
        space.encode(space.decode(point).with_(stages=(*space.decode(point).stages[:-1], stranger)))


@pytest.mark.parametrize("code", ["", "0201210", "02012103", "0201210x", "020121000", "²2012100"])
def test_nonsense_codes(code: str) -> None:
    assert isinstance(MACRO, LayerSpace)
    with pytest.raises(SpecError, match="8 digits from 0 to 2"):
        MACRO.point_of_code(code)


# rows of the published table: code, parameters, multiply-adds
@pytest.mark.parametrize(
    ("code", "params", "macs"),
    [
        ("02012100", 890666, 47327744),
        ("11111221", 2181386, 65012224),
        ("00000000", 387882, 7713280),
        ("00000100", 507562, 11962880),
        ("00100000", 419050, 12018176),
        ("10000010", 800010, 18530816),
        ("01020110", 1157610, 38910464),
        ("22212220", 1985514, 85164544),
        ("22222222", 2932586, 105660928),
    ],
)
def test_nas_bench_macro_costs(code: str, params: int, macs: int) -> None:
    assert isinstance(MACRO, LayerSpace)
    point = MACRO.point_of_code(code)
    cost = cost_of(MACRO.decode(point))
    assert (cost.params, cost.macs) == (params, macs)
    assert MACRO.code_of_point(point) == code


def test_nas_bench_macro_layers() -> None:
    assert isinstance(MACRO, LayerSpace)
    blocks = [stage[0] for stage in MACRO.decode(MACRO.point_of_code("01" + "000" + "210")).blocks()]
    assert [(b.kind, b.kernel_size, b.stride, b.mid_width, b.width, b.activation, b.residual) for b in blocks] == [
        ("conv", 1, 2, 64, 64, "identity", False),
        ("mbconv", 3, 1, 192, 64, "relu", True),
        ("conv", 1, 2, 128, 128, "identity", False),
        ("mbconv", 5, 2, 768, 256, "relu", False),
        ("mbconv", 3, 1, 768, 256, "relu", True),
    ]


def test_nas_bench_macro_has_3969_networks() -> None:
    assert len({MACRO.decode(point).fingerprint for point in product(range(3), repeat=8)}) == 3969


@pytest.mark.skipif(not TABLE.is_file(), reason="the published table is not here")
def test_nas_bench_macro_table_exactly() -> None:
    assert isinstance(MACRO, LayerSpace)
    with TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3969
    fingerprints = set()
    for row in rows:
        spec = MACRO.decode(MACRO.point_of_code(row["arch"]))
        cost = cost_of(spec)
        assert (cost.params, cost.macs) == (int(row["params"]), int(row["flops"])), row["arch"]
        fingerprints.add(spec.fingerprint)
    assert len(fingerprints) == 3969
