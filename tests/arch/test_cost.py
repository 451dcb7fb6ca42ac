"""The closed form against published numbers, exactly."""

import pytest
from golden import GOLDEN

from scalesearch.arch.catalog import catalog_names, catalog_spec
from scalesearch.arch.cost import Cost, cost_of, part_costs
from scalesearch.arch.scaling import scale_net
from scalesearch.errors import SpecError


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    params, macs, activations = GOLDEN[name]
    cost = cost_of(catalog_spec(name))
    assert (cost.params, cost.macs) == (params, macs)
    if activations is not None:
        assert cost.activations == activations


def test_every_catalog_network_has_a_golden_row() -> None:
    assert set(catalog_names()) == set(GOLDEN)


def test_parts_add_up_to_the_whole() -> None:
    spec = catalog_spec("efficientnet_b3")
    total = Cost()
    for part in part_costs(spec):
        total += part.cost
    assert total == cost_of(spec)
    assert [part.name for part in part_costs(spec)][:2] == ["stem", "stage1"]


def test_parts_of_a_resnet_name_the_pool_and_add_up() -> None:
    spec = catalog_spec("resnet50")
    parts = part_costs(spec)
    assert [part.name for part in parts] == ["stem", "pool", *(f"stage{i}" for i in range(1, 5)), "classifier"]
    assert [part.resolution for part in parts] == [112, 56, 56, 28, 14, 7, 1]
    assert parts[1].cost == Cost()
    assert sum(part.cost.macs for part in parts) == cost_of(spec).macs


@pytest.mark.parametrize(
    ("name", "depth", "width", "resolution", "published"),
    [
        ("mobilenet_v1", 1, 2, 224, 2.2e9),
        ("mobilenet_v1", 1, 1, 448, 2.2e9),
        ("mobilenet_v2", 4, 1, 224, 1.2e9),
        ("mobilenet_v2", 1, 2, 224, 1.1e9),
        ("mobilenet_v2", 1, 1, 448, 1.2e9),
        ("resnet50", 4, 1, 224, 16.2e9),
        ("resnet50", 1, 2, 224, 14.7e9),
        ("resnet50", 1, 1, 448, 16.4e9),
    ],
)
def test_other_peoples_networks_scaled_as_in_table_3(
    name: str, depth: float, width: float, resolution: int, published: float
) -> None:
    """EfficientNet (arXiv 1905.11946), table 3; its ResNet-50 at depth x 4 costs a tenth more than ours."""
    scaled = scale_net(catalog_spec(name), depth=depth, width=width, resolution=resolution)
    assert cost_of(scaled).macs == pytest.approx(published, rel=0.11)


def test_resolution_changes_macs_and_not_params() -> None:
    spec = catalog_spec("efficientnet_b0")
    small, large = cost_of(spec, resolution=128), cost_of(spec)
    assert small.params == large.params
    assert small.macs < large.macs / 2.9
    # B1 at its own resolution is not B1 at B0's
    assert cost_of(catalog_spec("efficientnet_b1"), resolution=224).macs < 686_802_832


def test_resolution_below_the_total_stride_is_refused() -> None:
    with pytest.raises(SpecError, match="total stride"):
        cost_of(catalog_spec("efficientnet_b0"), resolution=31)
