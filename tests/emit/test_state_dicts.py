"""State dicts by other libraries' names, and networks that then compute what theirs compute."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torchvision_ops import import_or_skip

import scalesearch as ss
from scalesearch.arch.blocks import StageSpec
from scalesearch.arch.catalog import catalog_names, catalog_spec
from scalesearch.arch.spec import NetSpec
from scalesearch.emit.layer_names import LAYOUTS
from scalesearch.emit.state_dicts import from_timm, from_torchvision, to_timm, to_torchvision
from scalesearch.errors import SpecError
from scalesearch.nets.build import build_net

SIDE = 64  # px; the last map is 2 x 2, so that batch norm has something to average
BATCH = 4

# our name -> timm's; every network with symmetric padding
TIMM = {
    **{f"efficientnet_b{i}": f"efficientnet_b{i}" for i in range(9)},
    **{f"efficientnet_lite{i}": f"efficientnet_lite{i}" for i in range(5)},
    **{f"efficientnet_v2_b{i}": f"tf_efficientnetv2_b{i}" for i in range(4)},
    **{f"efficientnet_v2_{size}": f"efficientnetv2_{size}" for size in "sml"},
    **{f"tinynet_{letter}": f"tinynet_{letter}" for letter in "abcde"},
    "mnasnet_a1": "semnasnet_100",
    "mnasnet_b1": "mnasnet_100",
    "mobilenet_v1": "mobilenetv1_100",
    "mobilenet_v2": "mobilenetv2_100",
    **{name: name for name in ("resnet18", "resnet50", "resnet101", "resnet152", "wide_resnet50_2")},
}
TORCHVISION = {
    **{f"efficientnet_b{i}": f"efficientnet_b{i}" for i in range(8)},
    **{f"efficientnet_v2_{size}": f"efficientnet_v2_{size}" for size in "sml"},
    "mobilenet_v2": "mobilenet_v2",
    **{name: name for name in ("resnet18", "resnet50", "resnet101", "resnet152", "wide_resnet50_2")},
}
QUICK_TIMM = {
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_lite0",
    "efficientnet_v2_b0",
    "tinynet_e",
    "mnasnet_a1",
    "mnasnet_b1",
    "mobilenet_v1",
    "mobilenet_v2",
    "resnet18",
    "resnet50",
}
QUICK_TORCHVISION = {"efficientnet_b0", "efficientnet_v2_s", "mobilenet_v2", "resnet50"}


def networks(names: dict[str, str], quick: set[str]) -> list[object]:
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


def timm_net(spec: NetSpec) -> nn.Module:
    timm, name = import_or_skip("timm"), TIMM[spec.name]
    options = {} if "resnet" in name else {"bn_eps": spec.norm_eps, "bn_momentum": spec.norm_momentum}
    # names with tf_ have TensorFlow's padding unless told otherwise
    padding = {"pad_type": ""} if name.startswith("tf_") else {}
    net: nn.Module = timm.create_model(name, pretrained=False, drop_rate=0.0, drop_path_rate=0.0, **options, **padding)
    return net


def torchvision_net(spec: NetSpec) -> nn.Module:
    models, options = import_or_skip("torchvision.models"), {}
    if spec.name.startswith("efficientnet"):
        options = {"dropout": 0.0, "stochastic_depth_prob": 0.0}
    elif spec.name.startswith("mobilenet"):
        options = {"dropout": 0.0}
    net: nn.Module = models.get_model(TORCHVISION[spec.name], weights=None, **options)
    if spec.name.startswith("efficientnet_b"):
        # torchvision's B0-B4 have torch's own settings instead of the release's
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps, module.momentum = spec.norm_eps, spec.norm_momentum
    return net


def randomise(net: nn.Module, x: Tensor) -> None:
    """Norms other than the identity, all different, so that no two can be swapped unseen.

    Their statistics are those of `x`, because a deep network whose norms do not normalise is chaotic: with random
    statistics, a change of B7's input by 1e-14 changes its output by 1e-4.
    """
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, 0.0, 0.2)
        norm.momentum = 1.0
    with torch.no_grad():
        net.train()(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def check_parity(
    spec: NetSpec,
    theirs: nn.Module,
    from_theirs: Callable[[dict[str, Tensor], NetSpec], dict[str, Tensor]],
    to_theirs: Callable[[dict[str, Tensor], NetSpec], dict[str, Tensor]],
) -> None:
    """Same output in evaluation mode; same output and statistics after a forward pass in training mode."""
    ours = build_net(spec, drop_path=0.0, dropout=0.0).double()
    x, fresh = torch.randn(2, BATCH, 3, SIDE, SIDE, dtype=torch.float64)
    randomise(theirs.double(), x)
    ours.load_state_dict(from_theirs(theirs.state_dict(), spec))
    with torch.no_grad():
        expected = theirs.eval()(x)
        assert expected.std() > 1e-3
        torch.testing.assert_close(ours.eval()(x), expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(ours.train()(fresh), theirs.train()(fresh), rtol=1e-5, atol=1e-5)
    converted = to_theirs(ours.state_dict(), spec)
    assert set(converted) == set(theirs.state_dict())
    for name, tensor in theirs.state_dict().items():
        torch.testing.assert_close(converted[name], tensor, rtol=1e-5, atol=1e-5)
    theirs.load_state_dict(converted)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("name", networks(TIMM, QUICK_TIMM))
def test_networks_compute_what_timms_compute(name: str) -> None:
    spec = catalog_spec(name)
    check_parity(spec, timm_net(spec), from_timm, to_timm)


@pytest.mark.parametrize("name", networks(TORCHVISION, QUICK_TORCHVISION))
def test_networks_compute_what_torchvisions_compute(name: str) -> None:
    spec = catalog_spec(name)
    check_parity(spec, torchvision_net(spec), from_torchvision, to_torchvision)


def test_all_catalog_networks_are_compared_with_timm_but_the_one_that_is_too_large() -> None:
    assert set(catalog_names()) - set(TIMM) == {"efficientnet_l2"}


SMALL = NetSpec(
    "small",
    resolution=32,
    stem_width=8,
    stages=(
        StageSpec("conv", 3, 1, 8, 1),
        StageSpec("fused_mbconv", 3, 2, 16, 2, expansion_ratio=4),
        StageSpec("mbconv", 3, 2, 24, 2, expansion_ratio=4, se_ratio=0.25),
    ),
    head_width=32,
    num_classes=5,
)
CONVERT = {"timm": (to_timm, from_timm), "torchvision": (to_torchvision, from_torchvision)}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_there_and_back_is_the_same_tensors_in_the_same_order(layout: str) -> None:
    there, back = CONVERT[layout]
    ours = build_net(SMALL).state_dict()
    again = back(there(ours, SMALL), SMALL)
    assert list(again) == list(ours)
    assert all(again[name] is tensor for name, tensor in ours.items())


def test_the_first_mismatch_is_named_in_one_line() -> None:
    theirs = to_timm(build_net(SMALL).state_dict(), SMALL)
    lacking = {name: tensor for name, tensor in theirs.items() if name not in ("conv_head.weight", "bn2.bias")}
    with pytest.raises(SpecError, match=r"of small must hold conv_head.weight; give") as caught:
        from_timm(lacking, SMALL)
    assert "\n" not in str(caught.value)
    with pytest.raises(SpecError, match=r"classifier.weight of small must have the shape \(7, 32\), got \(5, 32\)"):
        from_timm(theirs, SMALL.with_(num_classes=7))
    with pytest.raises(SpecError, match="no others, got 'epoch'"):
        from_timm({**theirs, "epoch": torch.tensor(3)}, SMALL)
    with pytest.raises(SpecError, match=r"bn1.bias of small must be a tensor, got 'float'"):
        from_timm({**theirs, "bn1.bias": 1.0}, SMALL)  # type: ignore[dict-item]
    with pytest.raises(SpecError, match="maps names to tensors, got 'list'"):
        from_timm([], SMALL)  # type: ignore[arg-type]
    # of the other network, the other way round
    with pytest.raises(SpecError, match=r"stages.2.1.se.reduce.weight"):
        to_timm({k: v for k, v in build_net(SMALL).state_dict().items() if not k.startswith("stages.2.1.se")}, SMALL)


def test_older_state_dicts_do_not_count_batches() -> None:
    theirs = to_timm(build_net(SMALL).state_dict(), SMALL)
    older = {name: tensor for name, tensor in theirs.items() if not name.endswith("num_batches_tracked")}
    build_net(SMALL).load_state_dict(from_timm(older, SMALL))


def mixed(**changes: object) -> NetSpec:
    return SMALL.with_(stages=(*SMALL.stages[:2], replace(SMALL.stages[2], **changes)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "layout", "reason"),
    [
        (mixed(se_ratio=0.0), "torchvision", "mbconv block without squeeze-excite"),
        (mixed(skip=False), "torchvision", "could add its input"),
        (mixed(activation="relu"), "torchvision", "EfficientNet blocks with relu"),
        (SMALL.with_(head_width=0), "torchvision", "without a head convolution"),
        (mixed(kind="basic", se_ratio=0.0, expansion_ratio=1), "timm", "only partly a ResNet"),
        (catalog_spec("resnet18").with_(head_width=64), "timm", "with a head convolution"),
        (catalog_spec("resnet18").with_(activation="silu"), "torchvision", "basic block with silu"),
        (catalog_spec("mobilenet_v1"), "torchvision", "without a head convolution"),
    ],
)
def test_what_the_other_library_cannot_be_is_refused(spec: NetSpec, layout: str, reason: str) -> None:
    with pytest.raises(SpecError, match=reason):
        CONVERT[layout][0]({}, spec)


def test_the_functions_are_public() -> None:
    assert ss.to_timm is to_timm
    assert ss.from_torchvision is from_torchvision
