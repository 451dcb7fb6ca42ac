"""Where torch runs, and that it leaves nothing behind: device, random state, thread count."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from scalesearch.errors import ConfigError, ResourceError

__all__ = ["derived_seed", "isolated", "resolve_device"]


def derived_seed(seed: int, purpose: str) -> int:
    """A seed of 63 bits for one purpose, so that data order does not depend on how many weights were drawn."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:8], "big") >> 1


@contextmanager
def isolated(*, seed: int, threads: int, device: torch.device) -> Iterator[None]:
    """Seed torch's generators and set the thread count inside; put both back as they were afterwards."""
    before = torch.get_num_threads()
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derived_seed(seed, "weights"))
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def resolve_device(name: str) -> torch.device:
    """ "auto" is the GPU where there is one, else the CPU.

    Raises:
        ResourceError: a GPU was asked for and there is none.
        ConfigError: not a device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError("device must be auto, cpu or cuda", value=name) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ResourceError("device cuda needs a GPU that torch can use", value="none", way_out="use device=cpu")
    return device
