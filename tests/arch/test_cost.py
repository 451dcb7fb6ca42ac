"""The closed form against published numbers, exactly."""

import pytest
from golden import GOLDEN

from scalesearch.arch.catalog import catalog_names, catalog_spec
from scalesearch.arch.cost import Cost, cost_of, part_costs
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
