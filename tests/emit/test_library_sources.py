"""Networks registered with timm, and built from torchvision's classes: block strings, state dicts, what they refuse."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from emitted_nets import (
    B0,
    FUSED,
    GREY,
    LITE,
    MNAS,
    MOBILE,
    RESNET,
    RESNET_18,
    RESNET_32,
    SQUEEZED,
    WIDE_50,
    module_of,
)
from test_torch_source import assert_tidy
from torchvision_ops import import_or_skip

from scalesearch.arch.catalog import catalog_spec
from scalesearch.arch.spec import NetSpec
from scalesearch.emit.state_dicts import to_timm, to_torchvision
from scalesearch.emit.timm_blocks import block_strings
from scalesearch.emit.timm_source import timm_names, timm_source
from scalesearch.emit.torchvision_source import torchvision_source
from scalesearch.errors import SpecError
from scalesearch.nets.build import build_net

V1 = catalog_spec("mobilenet_v1").with_(name="one", resolution=64, num_classes=10)
FOR_TIMM = (B0, LITE, MOBILE, FUSED, MNAS, GREY, SQUEEZED, V1, RESNET_18, WIDE_50, RESNET_32)


def shortcut(spec: NetSpec, **changes: object) -> NetSpec:
    """A ResNet with another last stage."""
    return spec.with_(stages=(*spec.stages[:-1], replace(spec.stages[-1], **changes)))  # type: ignore[arg-type]


RESNET_REASONS = [
    (RESNET, "its blocks are of one kind, not basic and bottleneck"),
    (RESNET_18.with_(stages=RESNET_18.stages[:3]), "4 stages with strides 1, 2, 2, 2, not 1, 2, 2"),
    (RESNET_18.with_(head_width=64), "no head convolution"),
    (shortcut(RESNET_18, kernel_size=5), "kernels are 3x3"),
    (shortcut(RESNET_18, skip=False), "every block adds its input"),
    (shortcut(RESNET_18, activation="silu"), "one activation"),
    (shortcut(RESNET_18, expansion_ratio=0.5), "hidden width of a basic block is that of its output, 128, not 64"),
    (shortcut(WIDE_50, width=510), "a multiple of 4, not 510"),
    (shortcut(WIDE_50, expansion_ratio=0.25), "0.5 of the width everywhere, not 128"),
]


def test_block_strings_as_timm_writes_them() -> None:
    assert block_strings(catalog_spec("efficientnet_b0")) == (
        ("ds_r1_k3_s1_e1_c16_se0.25",),
        ("ir_r2_k3_s2_e6_c24_se0.25",),
        ("ir_r2_k5_s2_e6_c40_se0.25",),
        ("ir_r3_k3_s2_e6_c80_se0.25",),
        ("ir_r3_k5_s1_e6_c112_se0.25",),
        ("ir_r4_k5_s2_e6_c192_se0.25",),
        ("ir_r1_k3_s1_e6_c320_se0.25",),
    )
    assert block_strings(FUSED)[:2] == (("cn_r2_k3_s1_e1_c16_skip",), ("er_r2_k3_s2_e4_c24",))
    assert block_strings(MNAS)[0] == ("ds_r1_k3_s1_e1_c8_noskip",)


def test_timm_knows_the_networks(tmp_path: Path) -> None:
    timm = import_or_skip("timm")
    text = timm_source(FOR_TIMM)
    assert_tidy(text)
    module_of(text, tmp_path, "small_family_timm")
    for spec, name in zip(FOR_TIMM, timm_names(FOR_TIMM), strict=True):
        ours = build_net(spec).double().eval()
        theirs = timm.create_model(name).double().eval()
        theirs.load_state_dict(to_timm(ours.state_dict(), spec))
        assert next(m.eps for m in theirs.modules() if hasattr(m, "eps")) == spec.norm_eps
        pictures = torch.randn(2, spec.in_channels, spec.resolution, spec.resolution, dtype=torch.float64)
        with torch.no_grad():
            torch.testing.assert_close(theirs(pictures), ours(pictures), rtol=1e-9, atol=1e-10)


def test_create_model_as_timms_train_script_calls_it(tmp_path: Path) -> None:
    timm = import_or_skip("timm")
    module_of(timm_source([B0.with_(name="one_b0")]), tmp_path, "one_timm")
    net = timm.create_model(
        "one_b0",
        pretrained=False,
        in_chans=1,
        num_classes=7,
        drop_rate=0.4,
        drop_path_rate=0.5,
        drop_block_rate=None,
        global_pool=None,
        bn_momentum=0.3,
        bn_eps=None,
        scriptable=False,
        checkpoint_path="",
    )
    assert net(torch.zeros(2, 1, 64, 64)).shape == (2, 7)
    assert (net.drop_rate, net.bn1.momentum, net.bn1.eps) == (0.4, 0.3, B0.norm_eps)
    assert import_or_skip("timm.data").resolve_data_config({}, model=net)["input_size"] == (3, 64, 64)
    assert net.blocks[-2][-1].drop_path.drop_prob == pytest.approx(
        [block.drop_path.rate for block in build_net(B0, drop_path=0.5).blocks() if block.spec.residual][-1]
    )


def test_a_resnet_as_timms_train_script_calls_it(tmp_path: Path) -> None:
    timm = import_or_skip("timm")
    module_of(timm_source([RESNET_18.with_(name="one_resnet")]), tmp_path, "resnet_timm")
    net = timm.create_model("one_resnet", in_chans=1, num_classes=7, drop_rate=0.4, bn_momentum=0.3)
    assert net(torch.zeros(2, 1, 64, 64)).shape == (2, 7)
    assert (net.drop_rate, net.bn1.momentum, net.bn1.eps) == (0.4, 0.3, RESNET_18.norm_eps)
    assert net.layer1[0].conv1.in_channels == net.bn1.num_features == RESNET_18.stem_width
    assert net.layer4[-1].drop_path.drop_prob == pytest.approx(
        [block.drop_path.rate for block in build_net(RESNET_18).blocks()][-1]
    )


def test_catalog_names_do_not_replace_timms() -> None:
    assert timm_names([catalog_spec("efficientnet_b0"), B0]) == ("scaled_efficientnet_b0", "small_b0")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        *RESNET_REASONS,
        (FUSED.with_(stem_pool=True, resolution=64), "max pool"),
        (FUSED.with_(stages=(FUSED.stages[0], RESNET.stages[0])), "no basic block"),
        (FUSED.with_(stages=(replace(FUSED.stages[1], expansion_ratio=1.1),)), "multiples of 8"),
        (FUSED.with_(activation="identity"), "no activation identity"),
    ],
)
def test_what_timm_cannot_express(spec: NetSpec, reason: str) -> None:
    with pytest.raises(SpecError, match=reason) as caught:
        timm_source([spec])
    assert "\n" not in str(caught.value)


def test_squeeze_widths_that_timm_rounds_otherwise(tmp_path: Path) -> None:
    """int(0.25 * 15) is 3, timm's round(...) 4: the ratio is written so that it gives 3."""
    timm = import_or_skip("timm")
    stage = replace(FUSED.stages[2], width=24, expansion_ratio=8, depth=1)
    spec = FUSED.with_(name="odd", stem_width=15, stages=(stage,))
    module_of(timm_source([spec]), tmp_path, "odd_timm")
    assert timm.create_model("odd").blocks[0][0].se.conv_reduce.out_channels == 3


def test_torchvision_builds_the_networks(tmp_path: Path) -> None:
    import_or_skip("torchvision")
    mobile = catalog_spec("mobilenet_v2").with_(name="wide_mobile", resolution=64, num_classes=10)
    res18 = RESNET_18.with_(drop_path=0.0, dropout=0.0)
    specs = (B0, FUSED, mobile, res18, WIDE_50, RESNET_32)
    text = torchvision_source(specs)
    assert_tidy(text)
    module = module_of(text, tmp_path, "small_torchvision")
    for spec in specs:
        ours = build_net(spec).double().eval()
        theirs = getattr(module, spec.name)().double().eval()
        theirs.load_state_dict(to_torchvision(ours.state_dict(), spec))
        pictures = torch.randn(2, spec.in_channels, spec.resolution, spec.resolution, dtype=torch.float64)
        with torch.no_grad():
            torch.testing.assert_close(theirs(pictures), ours(pictures), rtol=1e-9, atol=1e-10)
    assert "MBConvConfig(6, 3, 2, 8, 8, 2)" in text
    del sys.modules["small_torchvision"]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        *RESNET_REASONS,
        (RESNET_18, "no stochastic depth, drop_path is 0.3"),
        (RESNET_18.with_(drop_path=0.0), "no dropout, which is 0.2"),
        (WIDE_50.with_(activation="silu"), "activation is relu, not silu"),
        (V1, "which has no MobileNetV1"),
        (MNAS, "activation is silu, not relu"),
        (MOBILE, "begins with 3 channels and 32"),
        (catalog_spec("mobilenet_v2").with_(drop_path=0.2), "no stochastic depth"),
        (catalog_spec("efficientnet_lite0").with_(drop_path=0.0), "not mbconv 5x5"),
        (GREY, "stem is 3x3 with stride 2"),
        (FUSED.with_(in_channels=1), "3 channels, not 1"),
        (FUSED.with_(head_width=0), "always has a head"),
        (FUSED.with_(stages=(replace(FUSED.stages[2], se_ratio=0.0),)), "squeeze width"),
        (FUSED.with_(stages=(replace(FUSED.stages[1], se_ratio=0.25),)), "no squeeze-excite"),
        (FUSED.with_(stages=(replace(FUSED.stages[0], skip=False),)), "adds the input"),
        (FUSED.with_(stages=(replace(FUSED.stages[1], expansion_ratio=1.1),)), "multiples of 8"),
    ],
)
def test_what_torchvision_cannot_express(spec: NetSpec, reason: str) -> None:
    with pytest.raises(SpecError, match=reason) as caught:
        torchvision_source([spec])
    assert "\n" not in str(caught.value)
