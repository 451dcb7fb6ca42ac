"""Parameter groups, optimisers, the schedule's shape, the moving average."""

import pytest
import torch
from torch import nn

from scalesearch.arch.spec import NetSpec
from scalesearch.nets.build import build_net
from scalesearch.train.optimisation import (
    make_average,
    make_optimizer,
    make_schedule,
    parameter_groups,
    rate_factor,
)
from scalesearch.train.recipe import OPTIMIZERS, Recipe


def test_only_weights_of_convolutions_and_linear_layers_decay(small_net: NetSpec) -> None:
    net = build_net(small_net)
    decayed, free = parameter_groups(net, 0.1)
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    weights = {id(module.weight) for module in net.modules() if isinstance(module, nn.Conv2d | nn.Linear)}
    assert {id(parameter) for parameter in decayed["params"]} == weights  # type: ignore[attr-defined]
    everything = {id(parameter) for parameter in net.parameters()}
    assert {id(parameter) for parameter in free["params"]} == everything - weights  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_a_bowl(name: str) -> None:
    torch.manual_seed(0)
    net = nn.Linear(3, 1)
    optimizer = make_optimizer(net, Recipe(optimizer=name, learning_rate=0.02, weight_decay=0.0))
    x = torch.randn(32, 3)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = (net(x) - x.sum(1, keepdim=True)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4


def test_the_first_steps_of_rmsprop_are_tensorflows() -> None:
    """w -= m with m = momentum * m + rate * g / sqrt(0.9 * s + 0.1 * g^2 + 1e-3), s = 1 at first (tf.compat.v1)."""
    net = nn.Linear(1, 1, bias=False)
    nn.init.ones_(net.weight)
    optimizer = make_optimizer(net, Recipe(optimizer="rmsprop", learning_rate=0.1, momentum=0.5, weight_decay=0.0))
    weight, square, moved = 1.0, 1.0, 0.0
    for gradient in (0.01, 0.02, 2.0):
        net.weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
        square = 0.9 * square + 0.1 * gradient**2
        moved = 0.5 * moved + 0.1 * gradient / (square + 1e-3) ** 0.5
        weight -= moved
        # torch adds epsilon to the root instead of the square, at most sqrt(2) of a difference
        assert float(net.weight.detach()) == pytest.approx(weight, abs=0.05 * (1 - weight))


def test_schedule_rises_in_a_line_and_ends_at_zero() -> None:
    factors = [rate_factor(step, 100, 10) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[4] == pytest.approx(0.5)
    assert factors[9] == factors[10] == 1.0
    assert factors[55] == pytest.approx(0.5)
    assert 0 < factors[99] < 0.001
    assert factors[100] == pytest.approx(0.0, abs=1e-12)
    assert rate_factor(0, 1, 0) == 1.0


def test_the_optimizer_follows_the_schedule() -> None:
    net = nn.Linear(2, 2)
    recipe = Recipe(learning_rate=0.5, warmup=0.2)
    optimizer = make_optimizer(net, recipe)
    schedule = make_schedule(optimizer, recipe, steps=10)
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.5 * rate_factor(step, 10, 2) for step in range(10)])
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-12)


def test_the_average_follows_weights_and_running_statistics() -> None:
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    average = make_average(net, 0.9)
    assert average is not None
    for value in (1.0, 2.0):
        nn.init.constant_(net[0].weight, value)  # type: ignore[arg-type]
        net[1].running_mean.fill_(10 * value)  # type: ignore[union-attr, operator]
        average.update_parameters(net)
    # the first update copies, the second mixes: 0.9 * 1 + 0.1 * 2
    assert average.module[0].weight.item() == pytest.approx(1.1)
    assert average.module[1].running_mean.item() == pytest.approx(11.0)
    assert make_average(net, 0.0) is None
