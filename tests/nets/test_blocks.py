"""Blocks: shapes, layers, parameter counts, and the pieces they are made of."""

import pytest
import torch
from torch.nn import functional

from scalesearch.arch.cost import block_cost
from scalesearch.arch.spec import ACTIVATIONS, StageSpec
from scalesearch.nets.blocks import Block, DropPath, NormSettings, SqueezeExcite, make_block

NORM = NormSettings(eps=1e-3, momentum=0.01)

LAYERS = {
    "mbconv": ("expand", "depthwise", "se", "project"),
    "depthwise_separable": ("depthwise", "se", "project"),
    "fused_mbconv": ("expand", "se", "project"),
    "conv": ("conv", "se"),
    "depthwise_separable_act": ("depthwise", "se", "project"),
}


def block_of(
    kind: str, *, stride: int = 1, width: int = 8, se: float = 0.25, skip: bool = True, **more: object
) -> Block:
    expansion = 3 if kind in ("mbconv", "fused_mbconv") else 1
    stage = StageSpec(kind, 3, stride, width, 1, expansion_ratio=expansion, se_ratio=se, skip=skip)
    torch.manual_seed(0)
    return make_block(stage.block(8, first=True, activation="silu"), norm=NORM, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("se", [0.0, 0.25])
def test_every_kind_has_its_layers_shape_and_parameters(kind: str, stride: int, se: float) -> None:
    block = block_of(kind, stride=stride, width=12, se=se)
    names = [name for name, _ in block.named_children() if name != "drop_path"]
    assert names == [name for name in LAYERS[kind] if se or name != "se"]
    assert block(torch.randn(2, 8, 7, 7)).shape == (2, 12, -(-7 // stride), -(-7 // stride))
    assert sum(p.numel() for p in block.parameters()) == block_cost(block.spec, 7).params


@pytest.mark.parametrize("kind", LAYERS)
def test_residual_adds_the_input_where_stride_and_widths_allow(kind: str) -> None:
    x = torch.randn(2, 8, 5, 5)
    with_skip, without = block_of(kind).eval(), block_of(kind, skip=False).eval()
    without.load_state_dict(with_skip.state_dict())
    torch.testing.assert_close(with_skip(x), without(x) + x)
    assert not block_of(kind, stride=2).spec.residual
    assert not block_of(kind, width=12).spec.residual


@pytest.mark.parametrize(
    ("kind", "layers"), [("basic", ["conv1", "conv2"]), ("bottleneck", ["reduce", "conv", "expand"])]
)
@pytest.mark.parametrize(("stride", "width"), [(1, 8), (1, 12), (2, 8)])
def test_residual_blocks_project_their_input_where_shapes_differ(
    kind: str, layers: list[str], stride: int, width: int
) -> None:
    stage = StageSpec(kind, 3, stride, width, 1, expansion_ratio=0.5)
    block = make_block(stage.block(8, first=True, activation="relu"), norm=NORM)
    names = [name for name, _ in block.named_children() if name not in ("drop_path", "activation")]
    assert names == [*layers, *(["shortcut"] if (stride, width) != (1, 8) else [])]
    assert sum(p.numel() for p in block.parameters()) == block_cost(block.spec, 7).params
    x = torch.randn(2, 8, 7, 7)
    out = block(x)
    assert out.shape == (2, width, -(-7 // stride), -(-7 // stride))
    # a branch whose last norm is zero leaves the shortcut alone
    assert block.closing_norm is not None
    torch.nn.init.zeros_(block.closing_norm.weight)
    shortcut = x if block.shortcut is None else block.shortcut(x)
    torch.testing.assert_close(block(x), functional.relu(shortcut))


def test_a_plain_basic_block_is_activated_and_adds_nothing() -> None:
    stage = StageSpec("basic", 3, 1, 8, 1, skip=False)
    block = make_block(stage.block(8, first=True, activation="relu"), norm=NORM).eval()
    assert block.closing_norm is None
    x = torch.randn(2, 8, 5, 5)
    inner = block.get_submodule("conv2")(block.get_submodule("conv1")(x))
    torch.testing.assert_close(block(x), functional.relu(inner))


def test_squeeze_excite_is_two_convolutions_on_the_pooled_map() -> None:
    torch.manual_seed(0)
    se = SqueezeExcite(6, 2, activation="relu")
    x = torch.randn(3, 6, 4, 4)
    pooled = x.mean((2, 3), keepdim=True)
    gate = torch.sigmoid(se.expand(functional.relu(se.reduce(pooled))))
    torch.testing.assert_close(se(x), x * gate)


def test_drop_path_drops_whole_pictures_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    layer = DropPath(0.25)
    out = layer(torch.ones(4000, 2, 3, 3))
    kept = out[:, 0, 0, 0] != 0
    assert torch.equal(out != 0, kept[:, None, None, None].expand_as(out))
    assert 0.70 < kept.float().mean() < 0.80
    torch.testing.assert_close(out[kept], torch.full_like(out[kept], 1 / 0.75))
    assert torch.equal(layer.eval()(out), out)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_trains(activation: str) -> None:
    stage = StageSpec("mbconv", 3, 1, 8, 1, expansion_ratio=2, se_ratio=0.25, activation=activation)
    block = make_block(stage.block(8, first=True, activation="silu"), norm=NORM)
    block(torch.randn(4, 8, 6, 6)).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in block.parameters())


def test_a_pointwise_stage_without_activation_is_a_strided_linear_map() -> None:
    stage = StageSpec("conv", 1, 2, 12, 1, activation="identity")
    block = make_block(stage.block(8, first=True, activation="silu"), norm=NORM).eval()
    x = torch.randn(2, 8, 7, 7)
    weight = block.get_submodule("conv.conv").weight
    assert isinstance(weight, torch.Tensor)
    # a fresh norm divides by sqrt(1 + eps); nothing clips what is negative
    torch.testing.assert_close(block(x), functional.conv2d(x[:, :, ::2, ::2], weight) / (1 + NORM.eps) ** 0.5)


def test_closing_norm_is_the_last_one_and_only_without_an_activation_after_it() -> None:
    block = block_of("mbconv")
    assert block.closing_norm is block.project.norm  # type: ignore[union-attr]
    assert block_of("conv").closing_norm is None
    assert block_of("depthwise_separable_act").closing_norm is None
    assert block_of("conv", se=0.0).closing_norm is None
    assert block_of("mbconv", stride=2).closing_norm is None
