"""Slots of engine=ray: an actor each, and what it is doing."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from scalesearch.engine.base import TrialFn
from scalesearch.engine.ray_worker import TrialWorker
from scalesearch.engine.resources import Allotment
from scalesearch.engine.settings import EngineSettings
from scalesearch.trial import TrialRequest

__all__ = ["Slot", "SlotMaker"]


@dataclass(slots=True, eq=False)
class Slot:
    """One actor: starting (not ready), idle (no pending result) or running.

    Attributes:
        node: its id; empty on this machine alone.
        alone: its trial ran out of memory beside others.
    """

    actor: Any
    pending: Any
    since: float
    node: str = ""
    ready: bool = False
    worker: str = "a starting worker"
    request: TrialRequest | None = None
    attempt: int = 0
    alone: bool = False

    def kill(self) -> None:
        """End the actor."""
        import ray

        with suppress(Exception):  # it may be dead, or Ray gone
            ray.kill(self.actor, no_restart=True)


class SlotMaker:
    """Makes actors that reserve what `share` says; Ray must be connected."""

    def __init__(self, trial_fn: TrialFn | None, settings: EngineSettings, share: Allotment):
        import ray

        self._trial_fn = trial_fn
        self._threads = max(1, int(settings.cpus_per_trial))
        self._actor_class: Any = ray.remote(TrialWorker)
        self._share = {"num_cpus": share.cpus, "num_gpus": share.gpus, "max_restarts": 0}

    def new(self, node: str = "") -> Slot:
        """A slot whose actor begins to start, on the node of that id or where Ray puts it."""
        where: Any = "SPREAD"
        if node:
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

            where = NodeAffinitySchedulingStrategy(node, soft=False)
        actor = self._actor_class.options(**self._share, scheduling_strategy=where).remote(self._trial_fn)
        return Slot(actor, pending=actor.warm_up.remote(self._threads), since=time.monotonic(), node=node)
