"""fvcore's counts of a built network: the reference that the closed form in `arch.cost` must equal."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from scalesearch.arch.spec import NetSpec
from scalesearch.errors import MissingPackageError, SpecError
from scalesearch.nets.build import ImageClassifier, build_net

__all__ = ["FvcoreCounts", "fvcore_counts"]


@dataclass(frozen=True, slots=True)
class FvcoreCounts:
    """What fvcore counts for one picture (batch 1), in evaluation mode, traced on a CPU.

    Convention: one multiply-add is one. The EfficientNet paper calls `macs` FLOPs; a count in FLOPs is twice that.

    Attributes:
        macs: multiply-adds of convolutions and linear layers, `by_operator()["conv"] + ["linear"]`.
        total: fvcore's `total()`, which adds batch norm (and pooling, where a pooling operator is used); it depends
            on fvcore's defaults and is shown, never compared.
        activations: output elements of convolutions and linear layers.
        params: trainable parameters.
    """

    macs: int
    total: int
    activations: int
    params: int


def fvcore_counts(net_or_spec: nn.Module | NetSpec, resolution: int | None = None) -> FvcoreCounts:
    """Trace a network on a black picture and count.

    Args:
        net_or_spec: a module that takes (1, in_channels, resolution, resolution), or a spec to build.
        resolution: input side in pixels; the spec's own where it is None.

    Raises:
        MissingPackageError: fvcore cannot be imported.
        SpecError: a module that is not ours was given without a resolution.
    """
    fvcore_nn = _fvcore_nn()
    net, in_channels, resolution = _resolved(net_or_spec, resolution)
    picture = torch.zeros(1, in_channels, resolution, resolution)
    with _one_thread():
        by_operator = _silent(fvcore_nn.FlopCountAnalysis(net, picture)).by_operator()
        activations = _silent(fvcore_nn.ActivationCountAnalysis(net, picture)).by_operator()
    return FvcoreCounts(
        macs=int(by_operator["conv"] + by_operator["linear"]),
        total=int(sum(by_operator.values())),
        activations=int(activations["conv"] + activations["linear"]),
        params=sum(parameter.numel() for parameter in net.parameters()),
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Trace on one thread: a picture alone gains nothing from more, and beside busy workers they only wait."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _resolved(net_or_spec: nn.Module | NetSpec, resolution: int | None) -> tuple[nn.Module, int, int]:
    """A CPU copy in evaluation mode, its input channels and resolution."""
    if isinstance(net_or_spec, NetSpec):
        with torch.random.fork_rng(devices=[]):
            net: nn.Module = build_net(net_or_spec)
    else:
        net = copy.deepcopy(net_or_spec).cpu()
    net.eval()
    if isinstance(net, ImageClassifier):
        return net, net.spec.in_channels, resolution or net.spec.resolution
    first = next((module for module in net.modules() if isinstance(module, nn.Conv2d)), None)
    if resolution is None or first is None:
        raise SpecError("counting a foreign module needs a convolution and a resolution", way_out="pass resolution=")
    return net, first.in_channels, resolution


def _silent(analysis: Any) -> Any:
    """fvcore's own switches, because changing its logger would reach other threads."""
    return analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")


def _fvcore_nn() -> Any:
    try:
        with warnings.catch_warnings():
            # because importing it compiles losses nobody asked for, with a deprecated function of torch
            warnings.simplefilter("ignore")
            import fvcore.nn
    except ImportError as error:
        raise MissingPackageError(
            "counting with fvcore needs the package fvcore", value=str(error), way_out="pip install fvcore"
        ) from error
    return fvcore.nn
