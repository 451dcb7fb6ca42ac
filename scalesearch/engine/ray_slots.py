"""Slots of engine=ray: an actor each, and what it is doing."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from scalesearch.engine.base import TrialFn
from scalesearch.engine.grouping import GroupFn
from scalesearch.engine.ray_worker import TrialWorker
from scalesearch.engine.resources import Allotment
from scalesearch.engine.settings import EngineSettings
from scalesearch.trial import TrialRequest

__all__ = ["Slot", "SlotMaker", "Work"]


class Work(NamedTuple):
    """What waits for a slot: a trial or a group, its attempt, and why the group that the trial was in failed."""

    requests: tuple[TrialRequest, ...]
    attempt: int = 1
    why_apart: str | None = None


@dataclass(slots=True, eq=False)
class Slot:
    """One actor: starting (not ready), idle (no pending result) or running.

    Attributes:
        node: its id; empty on this machine alone.
        requests: what it has; more than one are a group of seeds.
        why_apart: why the group that its trial was in failed.
        alone: its trial ran out of memory beside others.
    """

    actor: Any
    pending: Any
    since: float
    node: str = ""
    ready: bool = False
    worker: str = "a starting worker"
    requests: tuple[TrialRequest, ...] = ()
    attempt: int = 0
    why_apart: str | None = None
    alone: bool = False

    def kill(self) -> None:
        """End the actor."""
        import ray

        with suppress(Exception):  # it may be dead, or Ray gone
            ray.kill(self.actor, no_restart=True)


class SlotMaker:
    """Makes actors that reserve what `share` says; Ray must be connected."""

    def __init__(self, trial_fn: TrialFn | None, group_fn: GroupFn | None, settings: EngineSettings, share: Allotment):
        import ray

        self._functions = (trial_fn, group_fn)
        self._threads = max(1, int(settings.cpus_per_trial))
        self._actor_class: Any = ray.remote(TrialWorker)
        self._share = {"num_cpus": share.cpus, "num_gpus": share.gpus, "max_restarts": 0}

    def new(self, node: str = "") -> Slot:
        """A slot whose actor begins to start, on the node of that id or where Ray puts it."""
        where: Any = "SPREAD"
        if node:
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

            where = NodeAffinitySchedulingStrategy(node, soft=False)
        actor = self._actor_class.options(**self._share, scheduling_strategy=where).remote(*self._functions)
        return Slot(actor, pending=actor.warm_up.remote(self._threads), since=time.monotonic(), node=node)
