"""Which waiting trials are trained as one network, and what becomes of them where that fails.

A group is several requests that differ in their seeds alone. It takes one slot, gives one record per member under the
member's own key, and a crash of it is charged to none of them: they run again one by one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from scalesearch.engine.base import TrialFn
from scalesearch.engine.settings import EngineSettings
from scalesearch.trial import TrialRecord, TrialRequest, run_group

__all__ = ["GroupFn", "apart", "first_group", "group_fn_beside", "group_limit", "take_group"]

GroupFn = Callable[[Sequence[TrialRequest]], list[TrialRecord]]


def group_fn_beside(trial_fn: TrialFn | None, group_fn: GroupFn | None) -> GroupFn | None:
    """What runs a group where `trial_fn` runs a trial; None where a trial function of its own has no such thing."""
    return run_group if trial_fn is None and group_fn is None else group_fn


def group_limit(settings: EngineSettings, group_fn: GroupFn | None) -> int:
    """The most seeds in a group.

    One where the settings leave it open, on every device: on a CPU grouping loses (docs/gpu.md), on a GPU nobody has
    measured it, and a group lets a search see fewer results before it asks for more.
    """
    return 1 if group_fn is None else settings.group_seeds or 1


def first_group(waiting: Sequence[TrialRequest], at_most: int) -> list[TrialRequest]:
    """The first that waits and those after it, in their order, that differ from it and each other in the seed alone."""
    first, seeds, found = waiting[0], set[int](), list[TrialRequest]()
    for request in waiting:
        if len(found) == at_most:
            break
        if request.seed not in seeds and replace(request, seed=first.seed) == first:
            seeds.add(request.seed)
            found.append(request)
    return found


def take_group(waiting: deque[TrialRequest], at_most: int) -> list[TrialRequest]:
    """`first_group`, removed from what waits; the others keep their order."""
    group = first_group(waiting, at_most)
    for request in group:
        waiting.remove(request)
    return group


def apart(record: TrialRecord, why: str | None) -> TrialRecord:
    """The record of a member that ran alone because its group failed; `why` None leaves it as it is."""
    if why is None:
        return record
    said = f"not grouped: the group failed ({' '.join(why.split())[:200]})"
    return replace(record, execution=f"{record.execution}; {said}" if record.execution else said)
