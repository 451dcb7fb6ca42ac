"""fvcore's counts against published numbers, hand-counted operators and the closed form."""

import sys

import pytest
import torch
from golden import GOLDEN
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from strategies import net_specs
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from scalesearch.arch.catalog import catalog_spec
from scalesearch.arch.cost import cost_of
from scalesearch.arch.spec import NetSpec, StageSpec
from scalesearch.errors import MissingPackageError, SpecError, VerificationError
from scalesearch.measure.counts import fvcore_counts
from scalesearch.measure.latency import latency
from scalesearch.measure.verify import verify
from scalesearch.nets.build import build_net

pytest.importorskip("fvcore")


def test_efficientnet_b0_counts_as_published() -> None:
    counts = fvcore_counts(catalog_spec("efficientnet_b0"))
    params, macs, activations = GOLDEN["efficientnet_b0"]
    assert (counts.params, counts.macs, counts.activations) == (params, macs, activations)
    assert counts.total > counts.macs  # batch norm is in fvcore's total


# full size on one thread: 0.1 to 1 s each below the bound, up to minutes above
QUICK_MACS = 1_000_000_000
ALSO_QUICK = ("resnet50",)
# its 476 GMACs at 800 px take fvcore more memory and time than they are worth: the same layers on smaller maps
SMALLER = {"efficientnet_l2": 64}


@pytest.mark.parametrize(
    "name",
    [
        name if macs < QUICK_MACS or name in ALSO_QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name, (_, macs, _) in GOLDEN.items()
    ],
)
def test_the_whole_catalog_counts_as_published(name: str) -> None:
    params, macs, activations = GOLDEN[name]
    spec = catalog_spec(name)
    if name in SMALLER:
        spec, macs = spec.with_(resolution=SMALLER[name]), cost_of(spec, resolution=SMALLER[name]).macs
    counts = verify(spec)
    assert (counts.params, counts.macs) == (params, macs)
    assert activations is None or counts.activations == activations


@pytest.mark.parametrize("name", ["efficientnet_b0", "efficientnet_l2"])
def test_torch_counts_two_per_multiply_add_at_full_size_without_memory(name: str) -> None:
    """FlopCounterMode on the meta device, where fvcore cannot trace; it counts convolutions and linear layers alone."""
    params, macs, _ = GOLDEN[name]
    spec = catalog_spec(name)
    with torch.device("meta"):
        net, pictures = build_net(spec).eval(), torch.empty(1, 3, spec.resolution, spec.resolution)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(pictures)
    assert counter.get_total_flops() == 2 * macs
    assert sum(parameter.numel() for parameter in net.parameters()) == params


@pytest.mark.parametrize(
    ("layer", "side", "macs", "activations"),
    [
        (nn.Conv2d(3, 8, 3, padding=1, bias=False), 7, 7 * 7 * 8 * 3 * 9, 7 * 7 * 8),
        (nn.Conv2d(4, 4, 5, stride=2, padding=2, groups=4), 7, 4 * 4 * 4 * 25, 4 * 4 * 4),
        (nn.Sequential(nn.Conv2d(2, 6, 1), nn.BatchNorm2d(6), nn.SiLU()), 5, 25 * 12, 25 * 6),
        (nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten(), nn.Linear(18, 10)), 3, 18 + 180, 18 + 10),
    ],
)
def test_operators_count_as_by_hand(layer: nn.Module, side: int, macs: int, activations: int) -> None:
    counts = fvcore_counts(layer, side)
    assert (counts.macs, counts.activations) == (macs, activations)


@hypothesis_settings(max_examples=hypothesis_settings.default.max_examples // 4)
@given(net_specs(max_resolution=33))
def test_fvcore_equals_the_closed_form_on_drawn_specs(spec: NetSpec) -> None:
    verify(spec)


def test_fvcore_equals_the_closed_form_without_activation_in_a_stage() -> None:
    linear = StageSpec("conv", 1, 2, 12, 1, skip=False, activation="identity")
    verify(NetSpec("linear", resolution=9, stem_width=8, stages=(linear, linear), stem_stride=1, head_width=16))


def test_verify_rejects_another_network() -> None:
    spec = catalog_spec("tinynet_e")
    with pytest.raises(VerificationError, match="macs of tinynet_e"):
        verify(spec, build_net(spec, num_classes=10))


def test_counting_leaves_the_network_and_random_state_alone(caplog: pytest.LogCaptureFixture) -> None:
    spec = catalog_spec("tinynet_e").with_(resolution=40)
    net = build_net(spec).train()
    before = torch.get_rng_state()
    fvcore_counts(net)
    fvcore_counts(spec)
    assert net.training
    assert torch.equal(torch.get_rng_state(), before)
    assert not caplog.records


def test_a_foreign_module_needs_a_resolution() -> None:
    with pytest.raises(SpecError, match="resolution"):
        fvcore_counts(nn.Conv2d(3, 4, 1))


def test_without_fvcore_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fvcore.nn", None)
    with pytest.raises(MissingPackageError, match="pip install fvcore"):
        fvcore_counts(nn.Conv2d(3, 4, 1), 8)


def test_latency_declares_how_it_was_measured() -> None:
    spec = catalog_spec("tinynet_e").with_(resolution=32)
    threads = torch.get_num_threads()
    measured = latency(spec, batch=2, warmup=1, repeats=4)
    assert 0 < measured.p25_ms <= measured.median_ms <= measured.p75_ms
    assert measured.iqr_ms == measured.p75_ms - measured.p25_ms
    assert (measured.batch, measured.resolution, measured.threads, measured.repeats) == (2, 32, 1, 4)
    assert torch.get_num_threads() == threads
    with pytest.raises(Exception, match="batch must be at least 1"):
        latency(spec, batch=0)
