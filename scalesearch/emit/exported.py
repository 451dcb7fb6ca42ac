"""A network as an exported program (`torch.export`), which runs without its source.

A .pt2 file is unpickled when it is loaded, so a file from a stranger can run anything: scalesearch loads none but the
one that it has just written, to check it, and nobody should load one that comes from elsewhere. Weights travel as
safetensors (`emit.weights`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import nn

from scalesearch.errors import VerificationError

__all__ = ["save_exported"]

_BATCHES: Final = (1, 3)


def save_exported(net: nn.Module, path: Path, *, in_channels: int, resolution: int) -> float:
    """Export `net` in evaluation mode with any batch size, write it, read it back and compare the outputs.

    Args:
        path: the .pt2 file; its folder is the caller's temporary one, the file is not written atomically.

    Returns:
        the largest difference of any logit on random pictures, over the largest logit.

    Raises:
        VerificationError: the program does not give what the network gives.
    """
    net = net.eval()
    pictures = torch.zeros(2, in_channels, resolution, resolution)
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(net, (pictures,), dynamic_shapes=({0: batch},))
    torch.export.save(program, path)
    again = torch.export.load(path).module()
    difference = 0.0
    generator = torch.Generator().manual_seed(0)
    for size in _BATCHES:
        pictures = torch.randn(size, in_channels, resolution, resolution, generator=generator)
        with torch.no_grad():
            expected, got = net(pictures), again(pictures)
        difference = max(difference, float((expected - got).abs().max() / expected.abs().max().clamp(min=1e-12)))
    if not difference <= 1e-5:
        raise VerificationError(f"{path.name} gives other logits than the network: {difference:.1e} of the largest")
    return difference
