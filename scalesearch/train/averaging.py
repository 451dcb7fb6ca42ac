"""The moving average of a longer training's weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

__all__ = ["average_decay", "make_warm_average"]


def average_decay(decay: float, updates: int) -> float:
    """min(decay, (1 + n) / (10 + n)): the average forgets the initial weights quickly.

    As tf.train.ExponentialMovingAverage with num_updates, which EfficientNet's released code trains with.
    """
    return min(decay, (1 + updates) / (10 + updates))


def make_warm_average(net: nn.Module, decay: float) -> AveragedModel | None:
    """Exponential moving average of weights and running statistics; None where the decay is 0."""
    if decay == 0:
        return None

    @torch.no_grad()
    def update(averages: Sequence[Tensor], values: Sequence[Tensor], updates: Tensor | int) -> None:
        # torch calls this once for every kind of number
        if averages[0].is_floating_point():
            torch._foreach_lerp_(list(averages), list(values), 1 - average_decay(decay, int(updates)))
        else:  # counters
            for average, value in zip(averages, values, strict=True):
                average.copy_(value)

    return AveragedModel(net, multi_avg_fn=update, use_buffers=True)
