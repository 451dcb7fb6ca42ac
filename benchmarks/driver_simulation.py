"""Where one driver is too slow for its workers: a simulation of thousands of them, fed with costs measured here.

    python benchmarks/driver_simulation.py --json f.json [--figure docs/figures/driver_saturation.png] [--full]

First what the driver does for a trial is measured on this machine: giving it to an actor, taking its result among many
that are pending, committing it. Then up to 3,000 workers and 100,000 trials are simulated, with stragglers, crashing
trials and dying nodes; docs/cluster.md shows the outcome.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "engine"))
sys.path.insert(0, str(Path(__file__).parent))

from driver_model import Costs, Weather, shortest_length, simulate
from rows import Row, add_json, figure, write_rows

LENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
WORKERS = (10, 100, 300, 1000, 3000)


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
