"""Specs: JSON round trip, the fingerprint of the realised network, and what is refused."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import net_specs

from scalesearch.arch.catalog import catalog_names, catalog_spec, load_spec
from scalesearch.arch.cost import cost_of
from scalesearch.arch.spec import NetSpec, StageSpec
from scalesearch.errors import SpecError, UnknownNameError

B0 = catalog_spec("efficientnet_b0")


@given(net_specs())
def test_json_round_trip(spec: NetSpec) -> None:
    again = NetSpec.from_json(spec.to_json())
    assert again == spec
    assert again.fingerprint == spec.fingerprint


@given(net_specs())
def test_equal_fingerprints_mean_equal_cost_and_names_do_not_count(spec: NetSpec) -> None:
    renamed = spec.with_(name="other")
    assert renamed.fingerprint == spec.fingerprint
    assert cost_of(renamed) == cost_of(spec)


@pytest.mark.parametrize(
    "change",
    [
        {"resolution": 225},
        {"stem_width": 33},
        {"stem_stride": 1},
        {"num_classes": 10},
        {"in_channels": 1},
        {"activation": "relu"},
        {"head_width": 0},
        {"dropout": 0.3},
        {"stem_pool": True},
    ],
)
def test_every_field_of_the_network_is_in_the_fingerprint(change: dict[str, object]) -> None:
    assert B0.with_(**change).fingerprint != B0.fingerprint


@pytest.mark.parametrize(
    "change", [{"kernel_size": 5}, {"stride": 1}, {"width": 32}, {"depth": 3}, {"se_ratio": 0.0}, {"skip": False}]
)
def test_every_field_of_a_stage_is_in_the_fingerprint(change: dict[str, object]) -> None:
    stages = (B0.stages[0], replace(B0.stages[1], **change), *B0.stages[2:])  # type: ignore[arg-type]
    assert B0.with_(stages=stages).fingerprint != B0.fingerprint


def test_what_realises_the_same_blocks_has_the_same_fingerprint() -> None:
    # an MBConv without expansion is a depthwise-separable block; a skip that cannot be taken changes nothing
    first = replace(B0.stages[0], kind="mbconv", skip=False)
    assert B0.with_(stages=(first, *B0.stages[1:])).fingerprint == B0.fingerprint
    # one stage of three blocks written as two stages
    split = (*B0.stages[:3], replace(B0.stages[3], depth=1), replace(B0.stages[3], depth=2, stride=1), *B0.stages[4:])
    assert B0.with_(stages=split).fingerprint == B0.fingerprint


def test_a_last_activation_that_is_the_identity_counts_as_none() -> None:
    stage = StageSpec("depthwise_separable_act", 3, 1, 16, 1, activation="identity")
    linear = replace(stage, kind="depthwise_separable")
    fingerprints = {B0.with_(stages=(first, *B0.stages[1:])).fingerprint for first in (stage, linear)}
    assert len(fingerprints) == 1
    active = B0.with_(stages=(replace(stage, activation="relu"), *B0.stages[1:]))
    assert active.fingerprint not in fingerprints


def test_blocks_of_resnets() -> None:
    first, second = next(iter(catalog_spec("resnet50").blocks()))[:2]
    assert (first.in_width, first.mid_width, first.width, first.residual, first.projects) == (64, 64, 256, True, True)
    assert (second.in_width, second.mid_width, second.projects) == (256, 64, False)
    wide = [block for stage in catalog_spec("wide_resnet50_2").blocks() for block in stage]
    assert {block.mid_width / block.width for block in wide} == {0.5}
    plain = StageSpec("basic", 3, 2, 32, 1, skip=False).block(16, first=True, activation="relu")
    assert not plain.residual
    assert not plain.projects


def test_a_residual_stage_has_no_squeeze_excite() -> None:
    with pytest.raises(SpecError, match="se_ratio 0"):
        StageSpec("basic", 3, 1, 16, 1, se_ratio=0.25)


def test_the_stem_pool_halves_the_map_and_can_be_left_out() -> None:
    net = catalog_spec("resnet18")
    assert net.total_stride == 32
    small = net.for_small_inputs(stem_pool=False)
    assert (small.total_stride, small.stem_pool) == (8, False)
    assert net.for_small_inputs().stem_pool
    assert not B0.for_small_inputs().stem_pool
    with pytest.raises(SpecError, match="stem_pool must be true or false"):
        net.with_(stem_pool=1)


def test_a_stage_without_activation_is_another_network_of_equal_cost() -> None:
    linear = B0.with_(stages=(replace(B0.stages[0], activation="identity"), *B0.stages[1:]))
    assert linear.fingerprint != B0.fingerprint
    assert cost_of(linear) == cost_of(B0)


def test_fingerprints_stay_what_ledgers_hold() -> None:
    assert B0.fingerprint == "bef7abba914ea9e2"
    assert catalog_spec("mobilenet_v2").fingerprint == "2e6876c6c5419244"
    # a spec that was written before there was a pool
    older = {key: value for key, value in B0.to_dict().items() if key not in ("stem_pool", "schema")}
    assert NetSpec.from_dict(older).fingerprint == B0.fingerprint
    # whole numbers given as floats and the other way round
    assert B0.with_(drop_path=0, dropout=0).fingerprint == B0.with_(drop_path=0.0, dropout=0.0).fingerprint


def test_blocks_of_b0() -> None:
    blocks = [block for stage in B0.blocks() for block in stage]
    assert len(blocks) == B0.depth == 16
    assert (blocks[0].kind, blocks[0].se_width) == ("depthwise_separable", 8)
    assert (blocks[1].kind, blocks[1].mid_width, blocks[1].se_width, blocks[1].residual) == ("mbconv", 96, 4, False)
    assert blocks[2].residual


def test_small_inputs_turn_strides_off() -> None:
    small = B0.for_small_inputs(unstrided_stages=(1, 5))
    assert (B0.total_stride, small.total_stride) == (32, 4)
    with pytest.raises(SpecError, match="counted from 0 to 6"):
        B0.for_small_inputs(unstrided_stages=(7,))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"kernel_size": 4}, "odd"),
        ({"stride": 3}, "stride"),
        ({"width": 0}, "width"),
        ({"depth": 0}, "depth"),
        ({"depth": True}, "depth"),
        ({"expansion_ratio": float("nan")}, "expansion_ratio"),
        ({"se_ratio": 2}, "se_ratio"),
        ({"skip": 1}, "skip"),
    ],
)
def test_a_stage_that_cannot_exist(change: dict[str, object], rule: str) -> None:
    with pytest.raises(SpecError, match=rule):
        StageSpec(**{"kind": "mbconv", "kernel_size": 3, "stride": 1, "width": 8, "depth": 1, **change})  # type: ignore[arg-type]


def test_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean mbconv"):
        StageSpec("mbcon", 3, 1, 8, 1)


def test_expansion_needs_a_kind_that_expands() -> None:
    with pytest.raises(SpecError, match="expansion_ratio 1"):
        StageSpec("conv", 3, 1, 8, 1, expansion_ratio=6)


def test_resolution_below_the_total_stride() -> None:
    with pytest.raises(SpecError, match="32 px, got 31"):
        B0.with_(resolution=31)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "{", "null", '{"name": "x"}', "[" * 100_000],
)
def test_texts_that_are_no_spec(text: str) -> None:
    with pytest.raises(SpecError):
        NetSpec.from_json(text)


def test_unknown_key_wrong_type_and_newer_schema() -> None:
    values = B0.to_dict()
    with pytest.raises(SpecError, match="unknown key"):
        NetSpec.from_dict({**values, "colour": 1})
    with pytest.raises(SpecError, match="resolution must be a whole number"):
        NetSpec.from_dict({**values, "resolution": "224"})
    with pytest.raises(SpecError, match="spec schema 1 to 2, got 3; update scalesearch"):
        NetSpec.from_dict({**values, "schema": 3})
    for version in (0, -1, True, "2", 2.0, None):
        with pytest.raises(SpecError, match="spec schema 1 to 2"):
            NetSpec.from_dict({**values, "schema": version})
    with pytest.raises(SpecError, match="lacks the key 'stages'"):
        NetSpec.from_dict({key: value for key, value in values.items() if key != "stages"})


def test_a_spec_file_of_the_first_schema_is_migrated() -> None:
    """Written by the first code that wrote specs, before there was a stem pool."""
    text = (Path(__file__).parent / "samples/efficientnet_b0_schema_1.json").read_text()
    assert json.loads(text)["schema"] == 1
    assert "stem_pool" not in json.loads(text)
    assert NetSpec.from_json(text) == B0
    assert json.loads(NetSpec.from_json(text).to_json())["schema"] == 2


def test_a_spec_of_this_schema_is_complete() -> None:
    values = B0.to_dict()
    del values["stem_pool"]
    with pytest.raises(SpecError, match="lacks the key 'stem_pool'"):
        NetSpec.from_dict(values)
    assert NetSpec.from_dict({**values, "schema": 1}) == B0


@pytest.mark.parametrize("name", ["", "a" * 201, "a\nb", "a\x00", "\x1b[2J", "\ud800", 7, None])
def test_names_that_no_terminal_or_file_should_see(name: object) -> None:
    with pytest.raises(SpecError, match="printable"):
        NetSpec.from_dict({**B0.to_dict(), "name": name})


def test_an_integer_of_thousands_of_digits_is_no_crash() -> None:
    with pytest.raises(SpecError, match="JSON"):
        NetSpec.from_json(B0.to_json().replace("224", "2" * 5000))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(B0.to_dict())), json_values)
def test_a_spoilt_field_raises_nothing_but_our_errors(key: str, value: object) -> None:
    text = json.dumps({**B0.to_dict(), key: value})
    with contextlib.suppress(SpecError, UnknownNameError):
        NetSpec.from_json(text)


def test_load_spec_by_name_and_by_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(B0.with_(name="mine").to_json())
    assert load_spec(path).name == "mine"
    assert load_spec("efficientnet_b0") is B0
    with pytest.raises(UnknownNameError, match="did you mean efficientnet_b"):
        load_spec("efficientnet_b9")
    with pytest.raises(SpecError, match="readable text"):
        load_spec(tmp_path / "absent.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="readable text"):
        load_spec(tmp_path / "binary.json")


@pytest.mark.parametrize("name", catalog_names())
def test_catalog_round_trips(name: str) -> None:
    assert NetSpec.from_json(catalog_spec(name).to_json()) == catalog_spec(name)
