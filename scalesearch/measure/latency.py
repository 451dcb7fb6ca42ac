"""Measured time of one forward pass on this machine, with everything that it depends on next to the number."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch

from scalesearch.arch.spec import NetSpec
from scalesearch.errors import ConfigError
from scalesearch.nets.build import ImageClassifier, build_net
from scalesearch.nets.isolation import isolated, resolve_device

__all__ = ["Latency", "latency"]


@dataclass(frozen=True, slots=True)
class Latency:
    """Wall time of one forward pass in evaluation mode, float32, channels-last, random weights, input in place.

    Attributes:
        median_ms: median over the repeats, in milliseconds for the whole batch.
        p25_ms, p75_ms: quartiles; a wide gap means that something else was running.
        batch, resolution, threads, device, warmup, repeats: how it was measured.
        torch_version: of the library that ran it.
    """

    median_ms: float
    p25_ms: float
    p75_ms: float
    batch: int
    resolution: int
    threads: int
    device: str
    warmup: int
    repeats: int
    torch_version: str

    @property
    def iqr_ms(self) -> float:
        """Interquartile range in milliseconds."""
        return self.p75_ms - self.p25_ms


def latency(
    spec: NetSpec, *, batch: int = 1, threads: int = 1, device: str = "cpu", warmup: int = 5, repeats: int = 30
) -> Latency:
    """Time `repeats` forward passes one by one, after `warmup` that are not counted.

    Raises:
        ConfigError: a batch, thread or repeat count below 1 (repeats: 2).
        ResourceError: a GPU was asked for and there is none.
    """
    for name, value, low in (
        ("batch", batch, 1),
        ("threads", threads, 1),
        ("warmup", warmup, 0),
        ("repeats", repeats, 2),
    ):
        if value < low:
            raise ConfigError(f"latency {name} must be at least {low}", value=value)
    place = resolve_device(device)
    with isolated(seed=0, threads=threads, device=place), torch.inference_mode():
        net = build_net(spec).eval().to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
        pictures = torch.randn(batch, spec.in_channels, spec.resolution, spec.resolution, device=place)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        times = [_one_pass_ms(net, pictures) for _ in range(warmup + repeats)][warmup:]
    p25, median, p75 = statistics.quantiles(times, n=4, method="inclusive")
    return Latency(median, p25, p75, batch, spec.resolution, threads, str(place), warmup, repeats, torch.__version__)


def _one_pass_ms(net: ImageClassifier, pictures: torch.Tensor) -> float:
    started = time.perf_counter()
    net(pictures)
    if pictures.device.type == "cuda":
        torch.cuda.synchronize(pictures.device)
    return (time.perf_counter() - started) * 1e3
