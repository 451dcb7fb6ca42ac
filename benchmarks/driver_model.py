"""One driver and its workers as a discrete simulation: stragglers, crashing trials and dying nodes included.

What `driver_simulation.py` feeds with measured costs; it knows nothing of Ray or of ledgers.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CALM", "Costs", "Outcome", "Weather", "shortest_length", "simulate"]


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of the driver for one trial.

    Args:
        refill: to take a result and give the slot its next trial.
        refill_per_worker: what is added for every further trial that is under way.
        commit: to write the record to the ledger.
        ask: to find the next trial (a grid has a list; a search asks its strategy).
    """

    refill: float
    refill_per_worker: float
    commit: float
    ask: float = 0.0

    def taking(self, workers: int) -> float:
        """`refill` among so many workers."""
        return self.refill + self.refill_per_worker * workers

    def total(self, workers: int) -> float:
        """Everything for one trial."""
        return self.taking(workers) + self.commit + self.ask


@dataclass(frozen=True, slots=True)
class Weather:
    """What goes wrong: shares of trials and, for nodes, mean seconds between deaths of one node.

    Args:
        jitter: standard deviation of the logarithm of a trial's length.
        stragglers, slowness: share of trials that take `slowness` times as long.
        crashes: share of attempts that die half-way and are tried again.
        node_life: mean seconds until a node of `per_node` workers dies; `node_repair` until another takes its place.
    """

    jitter: float = 0.2
    stragglers: float = 0.02
    slowness: float = 5.0
    crashes: float = 0.01
    node_life: float = 24 * 3600.0
    node_repair: float = 120.0
    per_node: int = 8


CALM = Weather(jitter=0.0, stragglers=0.0, crashes=0.0, node_life=float("inf"))


@dataclass(slots=True)
class Outcome:
    """What a simulated study took.

    Attributes:
        seconds: until the last commit.
        useful: worker seconds of attempts that gave a result, by all worker seconds.
        lost: attempts that gave none.
        waits: mean seconds in the second half of the study that a free worker waited until its next trial was taken up.
        driver_busy: share of the time.
    """

    seconds: float
    useful: float
    lost: int
    waits: float
    driver_busy: float
    committed: int


@dataclass(slots=True)
class _State:
    """A study under way. Events are (time, number, kind, worker, attempt's number)."""

    events: list[tuple[float, int, str, int, int]] = field(default_factory=list)
    numbers: Any = field(default_factory=itertools.count)

    def at(self, when: float, kind: str, worker: int = -1, attempt: int = -1) -> None:
        heapq.heappush(self.events, (when, next(self.numbers), kind, worker, attempt))


def simulate(
    workers: int,
    trials: int,
    length: float,
    costs: Costs,
    *,
    weather: Weather = CALM,
    prefetch: bool = False,
    exponential: bool = False,
    seed: int = 0,
) -> Outcome:
    """One study: `workers` slots, one driver that does one thing at a time, first come, first served.

    With `prefetch` a slot is refilled before the result is committed, as long as a trial waits in stock (one for every
    slot); without it the driver commits first. Lengths have the mean `length` but for stragglers.
    """
    draw = random.Random(seed)
    state = _State()
    refills: deque[tuple[float, int, bool]] = deque()  # since when, worker, whether there is a result to commit
    commits: deque[int] = deque()
    to_start = trials
    stock = workers if prefetch else 0
    running: dict[int, tuple[float, float, int]] = {}  # worker -> start, end, attempt
    down: set[int] = set()
    attempt = itertools.count()
    busy = useful = waited = 0.0
    served = lost = committed = 0
    driver_free = True
    nodes = max(1, workers // weather.per_node)
    if weather.node_life != float("inf"):
        for node in range(nodes):
            state.at(draw.expovariate(1 / weather.node_life), "node dies", node)
    for worker in range(workers):
        refills.append((0.0, worker, False))
    now = 0.0

    def duration() -> float:
        if exponential:
            return draw.expovariate(1 / length)
        value = length * (draw.lognormvariate(-(weather.jitter**2) / 2, weather.jitter) if weather.jitter else 1.0)
        return value * (weather.slowness if draw.random() < weather.stragglers else 1.0)

    def begin_next() -> None:
        """The driver takes up the next thing there is."""
        nonlocal driver_free, busy, waited, served, stock
        while driver_free:
            if refills and (not prefetch or stock > 0 or not commits):
                since, worker, has_result = refills.popleft()
                if not has_result and (worker in down or to_start == 0):
                    continue
                if committed > trials // 2:  # at first every worker asks at once
                    waited += now - since
                    served += 1
                cost = costs.taking(workers) + (costs.ask if not prefetch else 0.0)
                if has_result and not prefetch:
                    cost += costs.commit
                busy, driver_free = busy + cost, False
                state.at(now + cost, "refilled" if not has_result else "taken", worker)
            elif commits:
                commits.popleft()
                cost = costs.commit + costs.ask
                busy, driver_free = busy + cost, False
                state.at(now + cost, "committed")
            else:
                return

    begin_next()
    while committed < trials:
        now, _, kind, worker, number = heapq.heappop(state.events)
        if kind in ("refilled", "taken"):
            driver_free = True
            if kind == "taken":
                if prefetch:
                    commits.append(worker)
                else:
                    committed += 1
            if to_start > 0 and worker not in down:
                to_start -= 1
                stock -= prefetch
                fails = draw.random() < weather.crashes
                seconds = duration() * (0.5 if fails else 1.0)
                identity = next(attempt)
                running[worker] = (now, now + seconds, identity)
                state.at(now + seconds, "crashes" if fails else "ends", worker, identity)
        elif kind == "committed":
            driver_free = True
            committed += 1
            stock += 1
        elif kind in ("ends", "crashes"):
            if worker not in running or running[worker][2] != number:
                continue
            start, end, _ = running.pop(worker)
            if kind == "ends":
                useful += end - start
            else:
                lost += 1
                to_start += 1
                stock += prefetch  # the trial is there already
            refills.append((now, worker, kind == "ends"))
        elif kind == "node dies":
            members = range(worker * weather.per_node, min(workers, (worker + 1) * weather.per_node))
            for member in members:
                down.add(member)
                if running.pop(member, None) is not None:
                    lost += 1
                    to_start += 1
                    stock += prefetch
            state.at(now + weather.node_repair, "node joins", worker)
        else:
            for member in range(worker * weather.per_node, min(workers, (worker + 1) * weather.per_node)):
                down.discard(member)
                refills.append((now, member, False))
            state.at(now + draw.expovariate(1 / weather.node_life), "node dies", worker)
        begin_next()
    return Outcome(now, useful / (now * workers), lost, waited / max(1, served), busy / now, committed)


def shortest_length(costs: Costs, workers: int, *, share: float = 0.9) -> float:
    """Seconds a trial must take so that the driver is not what such many workers wait for, in closed form.

    The driver serves one trial every `costs.total` seconds; so `workers` of them are fed while the length is at least
    workers * total. `share` is how busy the driver may be.
    """
    return workers * costs.total(workers) / share
