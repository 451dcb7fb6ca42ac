"""Several networks of one shape as one: their channels side by side, none of them seeing another's.

Training one small network leaves most of a GPU idle. S networks that differ in their weights alone (the seeds of one
trial) become one network of S times the width: convolutions with S times the groups, batch norm over S times the
channels, and a matrix product per network where there is a linear layer. Channel c of network s is channel s * C + c.
Every weight belongs to one network, so the gradient of the sum of their losses is each network's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from scalesearch.nets.blocks import DropPath, SqueezeExcite, global_average
from scalesearch.nets.build import ImageClassifier

__all__ = ["GroupedLinear", "GroupedSqueezeExcite", "group_nets", "reason_against_grouping", "ungroup"]


class GroupedLinear(nn.Module):
    """One linear layer for each of `members` networks."""

    def __init__(self, layers: Sequence[nn.Linear]):
        super().__init__()
        self.members = len(layers)
        # the bias in one row, because what has one axis takes no weight decay
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        self.bias = nn.Parameter(torch.cat([layer.bias.detach() for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, members * features) -> (batch, members, outputs)."""
        apart = x.view(x.shape[0], self.members, -1)
        return torch.einsum("bsf,sof->bso", apart, self.weight) + self.bias.view(self.members, -1)


class GroupedSqueezeExcite(nn.Module):
    """Channel attention within each network."""

    def __init__(self, gates: Sequence[SqueezeExcite]):
        super().__init__()
        self.reduce = _conv([gate.reduce for gate in gates])
        self.activation = deepcopy(gates[0].activation)
        self.expand = _conv([gate.expand for gate in gates])

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`, (batch, members * width, side, side)."""
        hidden = self.activation(_per_member(self.reduce, global_average(x, training=self.training)))
        return x * _per_member(self.expand, hidden).sigmoid()[:, :, None, None]


def reason_against_grouping(net: ImageClassifier) -> str | None:
    """Why networks like this one cannot be trained as one; None where they can.

    Random numbers of dropout come from one stream, so that networks side by side would not get those they get alone.
    """
    for module in net.modules():
        random = (isinstance(module, DropPath) and module.rate) or (isinstance(module, nn.Dropout) and module.p)
        if random:
            return "dropout and drop-path draw other random numbers side by side than alone"
        held = next(module.parameters(recurse=False), None)
        if held is not None and not isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear):
            return f"a {type(module).__name__} cannot be grouped"
    return None


def group_nets(nets: Sequence[ImageClassifier]) -> ImageClassifier:
    """Networks of one shape as one that maps (batch, members * channels, side, side) to (batch, members, classes).

    The order of networks is that of channels; weights are copied. There must be no reason against it.
    """
    assert reason_against_grouping(nets[0]) is None
    grouped = deepcopy(nets[0])
    _replace(grouped, nets)
    return grouped


def ungroup(grouped: nn.Module, like: ImageClassifier, member: int) -> ImageClassifier:
    """One network of a group, with copies of its weights and statistics, on their device.

    Args:
        like: a network of the group's shape.
        member: which one, from 0.
    """
    alone = deepcopy(like).to(next(grouped.parameters()))
    shapes = alone.state_dict()
    own = {}
    for name, tensor in grouped.state_dict().items():
        shape = shapes[name].shape
        rows = tensor.numel() // max(1, shapes[name].numel())
        own[name] = tensor.reshape(rows, *shape)[member if rows > 1 else 0] if shape else tensor
    alone.load_state_dict(own)
    return alone


def _replace(target: nn.Module, sources: Sequence[nn.Module]) -> None:
    """Put grouped layers in the place of the children of `target`."""
    for name, child in target.named_children():
        theirs = [source.get_submodule(name) for source in sources]
        fresh = _grouped(theirs)
        if fresh is None:
            _replace(child, theirs)
        else:
            fresh.train(child.training)
            setattr(target, name, fresh)


def _grouped(layers: Sequence[nn.Module]) -> nn.Module | None:
    """The grouped form of one layer; None where its children are grouped one by one."""
    first = layers[0]
    if isinstance(first, SqueezeExcite):
        return GroupedSqueezeExcite([layer for layer in layers if isinstance(layer, SqueezeExcite)])
    if isinstance(first, nn.Conv2d):
        return _conv([layer for layer in layers if isinstance(layer, nn.Conv2d)])
    if isinstance(first, nn.BatchNorm2d):
        return _norm([layer for layer in layers if isinstance(layer, nn.BatchNorm2d)])
    if isinstance(first, nn.Linear):
        return GroupedLinear([layer for layer in layers if isinstance(layer, nn.Linear)])
    return None


def _conv(layers: Sequence[nn.Conv2d]) -> nn.Conv2d:
    """One convolution whose groups are those of all layers."""
    first, members = layers[0], len(layers)
    weight = torch.cat([layer.weight.detach() for layer in layers])
    conv = nn.Conv2d(
        members * first.in_channels,
        members * first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        stride=first.stride,  # type: ignore[arg-type]
        padding=first.padding,  # type: ignore[arg-type]
        groups=members * first.groups,
        bias=first.bias is not None,
        device="meta",
    )
    conv.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
    if first.bias is not None:
        conv.bias = nn.Parameter(torch.cat([layer.bias.detach() for layer in layers if layer.bias is not None]))
    return conv


def _norm(layers: Sequence[nn.BatchNorm2d]) -> nn.BatchNorm2d:
    first = layers[0]
    norm = nn.BatchNorm2d(len(layers) * first.num_features, eps=first.eps, momentum=first.momentum)
    norm = norm.to(first.weight.device, first.weight.dtype)
    for name, tensor in norm.state_dict().items():
        theirs = [layer.state_dict()[name] for layer in layers]
        tensor.copy_(torch.cat(theirs) if tensor.ndim else theirs[0])
    return norm


def _per_member(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A grouped 1x1 convolution on 1x1 maps, (batch, members * width) -> (batch, members * out_width)."""
    members = conv.groups
    weight = conv.weight.view(members, -1, conv.weight.shape[1])
    out = torch.einsum("bsi,soi->bso", x.view(x.shape[0], members, -1), weight).flatten(1)
    assert conv.bias is not None
    return out + conv.bias
