"""Where one driver is too slow for its workers: a simulation of thousands of them, fed with costs measured here.

    python benchmarks/driver_simulation.py --json f.json [--figure docs/figures/driver_saturation.png] [--full]

First what the driver does for a trial is measured on this machine: giving it to an actor, taking its result among many
that are pending, committing it. Then up to 3,000 workers and 100,000 trials are simulated, with stragglers, crashing
trials and dying nodes; docs/cluster.md shows the outcome.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
import statistics
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "engine"))
sys.path.insert(0, str(Path(__file__).parent))

from rows import Row, add_json, figure, write_rows

LENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
WORKERS = (10, 100, 300, 1000, 3000)


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


def measured_costs(trials: int = 300) -> Costs:
    """The driver's seconds on this machine: a real ledger, real Ray actors, trials that do nothing."""
    import ray
    import trial_stubs as stubs

    from scalesearch.engine.ray_engine import RayEngine
    from scalesearch.engine.settings import EngineSettings
    from scalesearch.store.ledger import Ledger

    requests = [stubs.request(seed) for seed in range(trials)]
    with tempfile.TemporaryDirectory() as folder, Ledger.create_or_open(f"{folder}/ledger.db") as ledger:
        commits = []
        for request in requests:
            record, begun = stubs.steady(request), time.perf_counter()
            ledger.commit(record)
            commits.append(time.perf_counter() - begun)
    ray.cloudpickle.register_pickle_by_value(stubs)
    with RayEngine(EngineSettings(slots=1), trial_fn=stubs.steady) as engine:
        engine.wait_ready()
        spent = []
        for request in requests:
            begun = time.thread_time()
            engine.submit(request)
            record = engine.next_done()
            spent.append(time.thread_time() - begun)
            assert record is not None
        few, many = _waiting_seconds(ray, 10), _waiting_seconds(ray, 1000)
    per_worker = max(0.0, (many - few) / 990)
    return Costs(statistics.median(spent), per_worker, statistics.median(commits))


def _waiting_seconds(ray: Any, pending: int, rounds: int = 50) -> float:
    """Seconds of this thread for one `ray.wait` among so many results of which one has come."""

    @ray.remote(num_cpus=0)
    class Sleeper:
        def sleep(self, seconds: float) -> None:
            time.sleep(seconds)

    sleeper = Sleeper.remote()
    ray.get(sleeper.sleep.remote(0))
    waiting = [sleeper.sleep.remote(600) for _ in range(pending)]
    done = ray.put(0)
    spent = []
    for _ in range(rounds):
        begun = time.thread_time()
        ray.wait([*waiting, done], num_returns=1, timeout=0.2)
        spent.append(time.thread_time() - begun)
    ray.kill(sleeper)
    return statistics.median(spent)


def utilisations(costs: Costs, *, prefetch: bool, full: bool) -> list[dict[str, Any]]:
    """One row for each number of workers and length."""
    rows = []
    for workers, length in itertools.product(WORKERS, LENGTHS):
        trials = 100_000 if full else 100 * workers  # as many for each, so that the end weighs alike
        got = simulate(workers, trials, length, costs, weather=Weather(), prefetch=prefetch)
        rows.append(
            {
                "workers": workers,
                "trial_seconds": length,
                "trials": trials,
                "prefetch": prefetch,
                "utilisation": round(got.useful, 4),
                "driver_busy": round(got.driver_busy, 4),
                "attempts_lost": got.lost,
                "hours": round(got.seconds / 3600, 3),
            }
        )
    return rows


def shortest_length(costs: Costs, workers: int, *, share: float = 0.9) -> float:
    """Seconds a trial must take so that the driver is not what such many workers wait for, in closed form.

    The driver serves one trial every `costs.total` seconds; so `workers` of them are fed while the length is at least
    workers * total. `share` is how busy the driver may be.
    """
    return workers * costs.total(workers) / share


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Utilisation over length, a line for each number of workers; the CSV beside it holds the points."""
    import matplotlib as mpl
    import pandas as pd

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    frame = pd.DataFrame(rows)
    frame.to_csv(path.with_suffix(".csv"), index=False)
    figure_, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    shades = plt.get_cmap("viridis")
    counts = sorted(set(frame["workers"]))
    for number, workers in enumerate(counts):
        part = frame[(frame["workers"] == workers) & frame["prefetch"]]
        axes.plot(
            part["trial_seconds"], 100 * part["utilisation"], marker="o", markersize=3.5,
            color=shades(number / len(counts)), label=f"{workers:,}",
        )  # fmt: skip
    axes.set(xscale="log", ylim=(0, 100), xlabel="mean length of a trial (s)", ylabel="workers busy with results (%)")
    axes.legend(title="workers", frameon=False, loc="lower right")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure_.savefig(path, dpi=130)
    plt.close(figure_)


def main() -> None:
    """Measure, simulate, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    add_json(parser)
    parser.add_argument("--figure", type=Path, metavar="FILE.png", help="draw utilisation over length, with its CSV")
    parser.add_argument("--full", action="store_true", help="100,000 trials for every point instead of 100 a worker")
    parser.add_argument("--ask", type=float, default=0.0, help="seconds a strategy needs for a proposal")
    parser.add_argument(
        "--costs", type=float, nargs=2, metavar=("REFILL_MS", "COMMIT_MS"), help="take these instead of measuring"
    )
    options = parser.parse_args()
    costs = Costs(options.costs[0] / 1e3, 0.0, options.costs[1] / 1e3) if options.costs else measured_costs()
    costs = replace(costs, ask=options.ask)
    print(f"refill {1e3 * costs.refill:.2f} ms + {1e6 * costs.refill_per_worker:.2f} us a worker, ", end="")
    print(f"commit {1e3 * costs.commit:.2f} ms, ask {1e3 * costs.ask:.2f} ms")
    rows = utilisations(costs, prefetch=True, full=options.full)
    measured: list[Row] = [
        figure("driver: take a result and refill its slot", 1e3 * costs.refill, unit="ms", repetitions=300),
        figure("driver: the same, added by 1,000 workers", 1e6 * costs.refill_per_worker, unit="ms", repetitions=50),
        figure("driver: commit", 1e3 * costs.commit, unit="ms", repetitions=300),
    ]
    figures = [] if options.costs else measured
    for workers in WORKERS:
        name = f"simulated driver: shortest trial that feeds {workers:,} workers"
        figures.append(figure(name, shortest_length(costs, workers), unit="s"))
    for row in rows:
        if row["prefetch"] and row["workers"] == 1000:
            name = f"simulated: 1,000 workers, 100,000 trials of {row['trial_seconds']:g} s, workers busy with results"
            figures.append(figure(name, 100 * row["utilisation"], unit="%"))
    for row in rows:
        print(row)
    if options.figure is not None:
        draw(rows, options.figure)
    if options.json is not None:
        write_rows(options.json, figures)


if __name__ == "__main__":
    main()
