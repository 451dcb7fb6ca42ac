"""A network with folded norms computes the same."""

import pytest
import torch
from torch import nn

from scalesearch.arch.catalog import catalog_spec
from scalesearch.nets.build import ImageClassifier, build_net
from scalesearch.nets.folding import folded


def with_statistics(name: str) -> ImageClassifier:
    """A network of a quarter of the resolution whose norms have seen something."""
    spec = catalog_spec(name)
    torch.manual_seed(0)
    net = build_net(spec.with_(resolution=spec.resolution // 4), num_classes=10)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.2)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(std=0.2)
    return net.eval()


@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenet_v1", "resnet18", "efficientnet_v2_b0"])
def test_logits_agree_and_the_network_stays(name: str) -> None:
    net = with_statistics(name)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    judge = folded(net)
    x = torch.randn(3, 3, net.spec.resolution, net.spec.resolution)
    with torch.no_grad():
        expected = net(x)
        torch.testing.assert_close(judge(x), expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in judge.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
