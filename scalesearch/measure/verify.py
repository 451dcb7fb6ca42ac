"""Ties the closed form to the real network: both count the same, to the last integer, or something is wrong."""

from __future__ import annotations

from torch import nn

from scalesearch.arch.cost import cost_of
from scalesearch.arch.spec import NetSpec
from scalesearch.errors import VerificationError
from scalesearch.measure.counts import FvcoreCounts, fvcore_counts

__all__ = ["verify"]


def verify(spec: NetSpec, net: nn.Module | None = None) -> FvcoreCounts:
    """Compare multiply-adds, parameters and activations of the closed form with fvcore's.

    Args:
        spec: the network.
        net: the module that claims to be it, for example after training; built where it is None.

    Raises:
        VerificationError: a count differs; a bug in scalesearch, or `net` is another network.
        MissingPackageError: fvcore cannot be imported.
    """
    counted = fvcore_counts(spec if net is None else net, spec.resolution)
    cost = cost_of(spec)
    for name in ("macs", "params", "activations"):
        ours, reference = getattr(cost, name), getattr(counted, name)
        if ours != reference:
            raise VerificationError(
                f"{name} of {spec.name} at {spec.resolution} px: the closed form says {ours}, fvcore counts {reference}"
            )
    return counted
