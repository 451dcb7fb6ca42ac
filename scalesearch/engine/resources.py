"""What a machine or cluster has, and whether the slots fit on it: checked before anything starts.

Ray itself waits for ever for a worker that fits nowhere.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scalesearch.cores import usable_cores
from scalesearch.engine.settings import EngineSettings
from scalesearch.errors import ResourceError

__all__ = ["Allotment", "Node", "allot", "places", "this_machine"]


@dataclass(frozen=True, slots=True)
class Node:
    """Cores and GPUs of one machine.

    Attributes:
        id: Ray's name of a cluster's node; empty for this machine.
        address: "HOST:PORT" where the node itself answers; empty where nobody asks.
    """

    cpus: float
    gpus: float
    id: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Allotment:
    """Slots that fit, and what each of them reserves."""

    slots: int
    cpus: float
    gpus: float


def this_machine() -> Node:
    """Cores and GPUs that this process may use."""
    return Node(cpus=usable_cores(), gpus=_visible_gpus())


def allot(settings: EngineSettings, nodes: Sequence[Node], *, where: str) -> Allotment:
    """The slots for `settings` on `nodes`; a slot never spans two nodes.

    Raises:
        ResourceError: fewer fit than were asked for, or none.
    """
    cpus = settings.cpus_per_trial
    gpus = settings.gpus_per_trial
    if gpus is None:
        gpus = 1.0 if any(node.gpus for node in nodes) else 0.0
    room = sum(_slots_on(node, cpus, gpus) for node in nodes)
    slots = room if settings.slots is None else settings.slots
    if slots > room or room == 0:
        there = f"{sum(node.cpus for node in nodes):g} cores and {sum(node.gpus for node in nodes):g} GPUs"
        raise ResourceError(
            f"{max(1, slots)} slots x ({cpus:g} cores + {gpus:g} GPUs) must fit on {where}",
            value=f"{there} on {len(nodes)} node{'s' * (len(nodes) != 1)}",
            way_out=f"ask for at most engine.slots={room}" if room else "lower engine.cpus_per_trial or gpus_per_trial",
        )
    return Allotment(slots, cpus, gpus)


def places(nodes: Sequence[Node], taken: Mapping[str, int], share: Allotment, *, most: int | None) -> list[str]:
    """Nodes by id on which further slots fit, one entry for each, the emptiest node first.

    Args:
        taken: slots that stand on each node already, by its id.
        share: what one slot reserves; its number of slots is not read.
        most: slots in all; None is as many as fit.
    """
    there = Counter({node.id: taken.get(node.id, 0) for node in nodes})
    room = {node.id: _slots_on(node, share.cpus, share.gpus) for node in nodes}
    chosen: list[str] = []
    while most is None or there.total() < most:
        free = [node.id for node in nodes if there[node.id] < room[node.id]]
        if not free:
            break
        chosen.append(min(free, key=lambda name: there[name]))
        there[chosen[-1]] += 1
    return chosen


def _slots_on(node: Node, cpus: float, gpus: float) -> int:
    # a hair of tolerance, because 3 x 0.1 is not 0.3 in floating point
    by_cpu = math.floor(node.cpus / cpus + 1e-9)
    return by_cpu if gpus == 0 else min(by_cpu, _slots_by_gpu(node.gpus, gpus))


def _slots_by_gpu(there: float, each: float) -> int:
    """Shares below 1 lie within one GPU: 0.4 fits twice on each."""
    if each >= 1:
        return math.floor(there / each + 1e-9)
    return math.floor(there) * math.floor(1 / each + 1e-9)


def _visible_gpus() -> int:
    """NVIDIA devices, as CUDA_VISIBLE_DEVICES restricts them; found without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    return sum(1 for device in Path("/dev").glob("nvidia[0-9]*") if device.name[len("nvidia") :].isdigit())
