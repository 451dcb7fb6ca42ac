"""The moving average of the weights without a look at the device."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

__all__ = ["DeviceAverage"]


class DeviceAverage:
    """Exponential moving average of weights and running statistics, as `make_average` keeps it.

    torch's own asks the device at every update whether it is the first one; here the first is told by the host, and
    counters are copied.

    Args:
        net: whose weights are averaged.
        decay: weight of the average at every update.
    """

    def __init__(self, net: nn.Module, decay: float):
        self.net = deepcopy(net)
        self._decay = decay
        ours, theirs = _tensors(self.net), _tensors(net)
        pairs = list(zip(ours, theirs, strict=True))
        self._averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        self._copied = [pair for pair in pairs if not pair[0].is_floating_point()]
        self._begun = False

    @torch.no_grad()
    def update(self) -> None:
        """Take the network's present weights in; the first update copies them."""
        ours, theirs = ([pair[side] for pair in self._averaged] for side in (0, 1))
        if self._begun:
            torch._foreach_lerp_(ours, theirs, 1 - self._decay)
        else:
            torch._foreach_copy_(ours, theirs)
        if self._copied:
            torch._foreach_copy_([pair[0] for pair in self._copied], [pair[1] for pair in self._copied])
        self._begun = True


def _tensors(net: nn.Module) -> list[torch.Tensor]:
    return [tensor.detach() for tensor in (*net.parameters(), *net.buffers())]
