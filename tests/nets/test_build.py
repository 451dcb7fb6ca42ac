"""Whole networks: published parameter counts, shapes, names, initial weights."""

import math

import pytest
import torch
from golden import GOLDEN
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from strategies import net_specs
from torch import nn

from scalesearch.arch.catalog import catalog_spec
from scalesearch.arch.cost import cost_of
from scalesearch.arch.spec import NetSpec, StageSpec
from scalesearch.errors import SpecError
from scalesearch.nets.build import build_net, zero_init_residual
from scalesearch.nets.isolation import derived_seed, isolated, resolve_device

SMALL = NetSpec(
    name="small",
    resolution=12,
    stem_width=8,
    stages=(
        StageSpec("conv", 3, 1, 8, 1),
        StageSpec("mbconv", 3, 2, 12, 3, expansion_ratio=4, se_ratio=0.25),
        StageSpec("fused_mbconv", 5, 1, 12, 1, expansion_ratio=2),
    ),
    head_width=24,
    num_classes=5,
    in_channels=1,
    stem_stride=1,
)


def parameters_of(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize("name", ["efficientnet_b0", "efficientnet_lite0", "mobilenet_v2", "mnasnet_a1", "tinynet_e"])
def test_published_networks_have_the_published_parameters(name: str) -> None:
    assert parameters_of(build_net(catalog_spec(name))) == GOLDEN[name][0]


@hypothesis_settings(max_examples=hypothesis_settings.default.max_examples // 4)
@given(net_specs(max_resolution=20))
def test_any_spec_builds_trains_and_has_the_closed_form_parameters(spec: NetSpec) -> None:
    net = build_net(spec)
    assert parameters_of(net) == cost_of(spec).params
    out = net(torch.zeros(2, spec.in_channels, spec.resolution + 3, spec.resolution + 3))
    assert out.shape == (2, spec.num_classes)


def test_state_dict_names_are_tidy() -> None:
    names = {key for key in build_net(SMALL).state_dict() if "num_batches" not in key}
    assert {
        "stem.conv.weight",
        "stem.norm.running_mean",
        "stages.0.0.conv.conv.weight",
        "stages.1.0.expand.conv.weight",
        "stages.1.2.depthwise.conv.weight",
        "stages.1.0.se.reduce.bias",
        "stages.1.0.project.norm.weight",
        "stages.2.0.expand.conv.weight",
        "head.conv.weight",
        "classifier.weight",
        "classifier.bias",
    } <= names
    assert not any(name.endswith("conv.bias") for name in names)


def test_overrides_replace_the_specs_values() -> None:
    net = build_net(SMALL, num_classes=7, in_channels=3, drop_path=0.5, dropout=0.1)
    assert net(torch.zeros(2, 3, 12, 12)).shape == (2, 7)
    assert net.dropout.p == 0.1
    with pytest.raises(SpecError, match="num_classes"):
        build_net(SMALL, num_classes=0)


def test_drop_path_grows_with_the_block() -> None:
    net = build_net(SMALL, drop_path=0.5)
    rates = [block.drop_path.rate for block in net.blocks()]
    # block i of 5 gets 0.5 * i / 5, and nothing where nothing is added
    assert rates == pytest.approx([0.0, 0.0, 0.2, 0.3, 0.4])


def test_norms_follow_the_spec() -> None:
    net = build_net(SMALL.with_(norm_eps=1e-4, norm_momentum=0.3))
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-4, 0.3)}


def test_initial_weights_have_the_published_spread() -> None:
    torch.manual_seed(0)
    net = build_net(catalog_spec("efficientnet_b0"))
    head, depthwise = net.head.conv.weight, list(net.blocks())[-2].depthwise.conv.weight  # type: ignore[union-attr]
    assert head.std().item() == pytest.approx(math.sqrt(2 / 1280), rel=0.02)
    assert depthwise.std().item() == pytest.approx(math.sqrt(2 / 25), rel=0.02)
    assert net.classifier.weight.abs().max().item() == pytest.approx(1 / math.sqrt(1000), rel=0.01)
    assert not net.classifier.bias.any()


def test_zero_init_makes_residual_branches_the_identity() -> None:
    net = build_net(SMALL)
    # the residual mbconvs and the fused one; the conv block ends in an activation
    assert zero_init_residual(net) == 3
    block = list(net.blocks())[2]
    x = torch.randn(2, 12, 6, 6)
    assert torch.equal(block(x), x)


def test_isolation_puts_random_state_and_threads_back() -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    with isolated(seed=3, threads=threads + 1, device=torch.device("cpu")):
        assert torch.get_num_threads() == threads + 1
        first = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    with isolated(seed=3, threads=1, device=torch.device("cpu")):
        assert torch.equal(torch.rand(3), first)
    assert derived_seed(3, "weights") != derived_seed(3, "order")


def test_devices_are_checked() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(Exception, match="auto, cpu or cuda"):
        resolve_device("abacus")
