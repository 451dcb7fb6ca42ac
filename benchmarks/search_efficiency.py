"""How many trainings each strategy needs, on results that are known already.

    python benchmarks/search_efficiency.py --table FILE.csv [--seeds N] [--strategies a,b] [--json FILE] [--scaling]

The table is NAS-Bench-Macro (Su et al., arXiv 2103.11922; CSV columns arch, mean_acc, flops): 3969 networks of 8
layers. The objective is mean_acc * (flops / T)^-0.07 with T the table's median; evaluations are distinct networks. Per
strategy: evaluations until one of the best 1 %, of the best 0.1 % and the best network itself is found (median and
90th percentile over seeds), and regret (best objective less best found, median) after 50, 100 and 200. A run that did
not get there within its cap counts as the cap, printed as >cap. ms_per_ask is CPU time on one core of one ask and
tell, the first left out; that one sets up and stands under setup_ms. `--scaling` times the surrogate around 1,000
told results. Optuna's Gaussian process takes tenths of a second per ask, so it has its own number of seeds.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: driver time is meant on one core

import argparse
import csv
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
from rows import Row, add_json, figure, write_rows

import scalesearch as ss
from scalesearch.arch.space import CostWindow, LayerSpace, Point, SpaceSettings, StageSpace
from scalesearch.arch.space_settings import LayerPlan
from scalesearch.errors import DataError, InputError, UnknownNameError
from scalesearch.objective import SOFT, Objective
from scalesearch.search.problem import Problem
from scalesearch.search.registry import STRATEGIES, make_strategy
from scalesearch.search.strategy import Outcome, Strategy

COLUMNS: Final = ("arch", "mean_acc", "flops")
PLAN: Final = LayerPlan(name="nas_bench_macro", widths=(64, 128, 256), depths=(2, 3, 3), strides=(2, 2, 2))
OPS: Final = ("identity", "mbconv_e3_k3", "mbconv_e6_k5")
GOALS: Final = {"top1pct": 0.01, "top01pct": 0.001, "best": 0.0}  # share of the networks, at least one
REGRETS: Final = (50, 100, 200)
SLOW: Final = {"gp"}  # tenths of a second per ask: fewer seeds, and the rows say how many
SCALING_FROM, SCALING_TO = 900, 1150  # told results; the surrogate refits once in between


@dataclass(frozen=True, slots=True)
class Table:
    """The problem, and what every point of its pool is worth.

    outcomes: by point. rank: 0 is the best objective. best: that objective.
    """

    problem: Problem
    outcomes: dict[Point, Outcome]
    rank: dict[Point, int]
    best: float


@dataclass(frozen=True, slots=True)
class Run:
    """One seed: `ranks` and `values` in the order of evaluation, seconds per ask and tell."""

    ranks: list[int]
    values: list[float]
    seconds: list[float]


def main() -> None:
    args = arguments()
    try:
        table = read_table(args.table)
        names = args.strategies.split(",")
        for name in names:
            if name not in STRATEGIES:
                raise UnknownNameError.of("strategy", name, STRATEGIES)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"{len(table.rank)} networks, T = {table.problem.target:,.0f} macs, best objective {table.best:.6f}")
    print(HEADER)
    rows = []
    for name in names:
        # random search costs nothing: it may look at everything
        cap = len(table.rank) if name == "random" else min(args.budget, len(table.rank))
        seeds = min(args.seeds, args.slow_seeds) if name in SLOW else args.seeds
        rows.append(row_of(table, name, [run(table, name, seed, cap) for seed in range(seeds)], cap))
        print(line_of(rows[-1]), flush=True)
    if args.scaling:
        scaling = scaling_rows(table)
        print_scaling(scaling)
        rows.extend({"strategy": "surrogate", "seeds": 1, f"ms_per_ask_1000_{s['on']}": s["mean_ms"]} for s in scaling)
    write_rows(args.json, figures_of(rows))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True, help="CSV with the columns arch, mean_acc, flops")
    parser.add_argument("--strategies", default=",".join(STRATEGIES), help="names with commas between")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--slow-seeds", type=int, default=10, help=f"for {', '.join(sorted(SLOW))}")
    parser.add_argument("--budget", type=int, default=400, help="cap on evaluations, but for random search")
    parser.add_argument("--scaling", action="store_true", help="time the surrogate around 1,000 told results")
    add_json(parser)
    args = parser.parse_args()
    for name in ("seeds", "slow_seeds", "budget"):
        if getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    return args


def read_table(path: Path, objective: Objective = SOFT) -> Table:
    """The table as a problem whose pool is its networks.

    Raises:
        DataError: no such file, missing columns, no rows, a number that is none.
        SpecError: a code that is no network of the space.
    """
    try:
        with path.open(newline="") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("the table must be a readable CSV", value=path, way_out=str(error)) from None
    missing = [column for column in COLUMNS if not lines or column not in lines[0]]
    if missing:
        raise DataError("the table must have the columns arch, mean_acc, flops", value=f"{path} without {missing}")
    space = LayerSpace(SpaceSettings(kind="layers", ops=OPS, layers=PLAN))
    try:
        known = {
            space.point_of_code(line["arch"]): (float(line["mean_acc"]) / 100, float(line["flops"])) for line in lines
        }
    except (TypeError, ValueError) as error:
        raise DataError("mean_acc and flops must be numbers", value=error) from None
    target = statistics.median(flops for _, flops in known.values())
    problem = Problem(space, objective, target, pool=list(known))
    outcomes = {
        point: Outcome(objective(accuracy, flops, target), accuracy, flops)
        for point, (accuracy, flops) in known.items()
    }
    order = sorted(outcomes, key=lambda point: -(outcomes[point].value or 0.0))
    return Table(problem, outcomes, {point: i for i, point in enumerate(order)}, outcomes[order[0]].value or 0.0)


def run(table: Table, name: str, seed: int, cap: int) -> Run:
    """Evaluate until the best network is found or the cap is reached."""
    strategy = make_strategy(name, table.problem, seed)
    done = Run([], [], [])
    while len(done.ranks) < cap and 0 not in done.ranks[-1:]:
        point, seconds = step(strategy, table.outcomes.__getitem__)
        if point is None:
            break
        done.ranks.append(table.rank[point])
        done.values.append(table.outcomes[point].value or 0.0)
        done.seconds.append(seconds)
    return done


def step(strategy: Strategy, outcome_of: Callable[[Point], Outcome]) -> tuple[Point | None, float]:
    """One ask and tell, and the CPU seconds they took."""
    start = time.process_time()
    ask = strategy.ask()
    if ask is None:
        return None, time.process_time() - start
    asked = time.process_time() - start
    outcome = outcome_of(ask.point)
    start = time.process_time()
    strategy.tell(ask.point, outcome)
    return ask.point, asked + time.process_time() - start


def row_of(table: Table, name: str, runs: list[Run], cap: int) -> dict[str, Any]:
    """One JSON row."""
    row: dict[str, Any] = {"strategy": name, "seeds": len(runs), "cap": cap}
    for goal, share in GOALS.items():
        within = max(1, math.ceil(share * len(table.rank)))
        needed = [next((i + 1 for i, rank in enumerate(one.ranks) if rank < within), None) for one in runs]
        counted = [cap if n is None else n for n in needed]
        row[f"median_{goal}"] = float(np.median(counted))
        row[f"p90_{goal}"] = float(np.percentile(counted, 90))
        row[f"not_reached_{goal}"] = needed.count(None)
    for after in REGRETS:
        # runs end at the best network, after which there is nothing to regret
        row[f"regret_{after}"] = float(np.median([table.best - max(one.values[:after]) for one in runs]))
    later = [seconds for one in runs for seconds in one.seconds[1:]]
    row["ms_per_ask"] = 1e3 * statistics.fmean(later) if later else 0.0
    row["setup_ms"] = 1e3 * statistics.fmean(one.seconds[0] for one in runs)
    return row


def figures_of(rows: list[dict[str, Any]]) -> list[Row]:
    """The rows as named figures; random search on the same table is the peer."""
    random = next((row for row in rows if row["strategy"] == "random"), {})
    figures = []
    for row in rows:
        for name, value in row.items():
            if name in ("strategy", "seeds", "cap"):
                continue
            unit = "ms" if "ms" in name else ("objective" if "regret" in name else "evaluations")
            unit = "runs" if name.startswith("not_reached") else unit
            peer = random.get(name) if row is not random and unit == "evaluations" else None
            named = f"search, {row['strategy']}: {name}"
            figures.append(figure(named, value, peer, unit=unit, repetitions=row["seeds"]))
    return figures


HEADER: Final = (
    f"{'strategy':<16}{'seeds':>6}{'top 1 %':>10}{'p90':>7}{'top 0.1 %':>12}{'p90':>7}{'best':>9}{'p90':>7}"
    f"{'regret 50':>12}{'100':>10}{'200':>10}{'ms/ask':>9}"
)


def line_of(row: dict[str, Any]) -> str:
    """The row as one line under `HEADER`."""
    widths = {"top1pct": (10, 7), "top01pct": (12, 7), "best": (9, 7)}
    line = f"{row['strategy']:<16}{row['seeds']:>6}"
    for goal, (wide, narrow) in widths.items():
        for column, width in ((f"median_{goal}", wide), (f"p90_{goal}", narrow)):
            value = row[column]
            # what reached the cap may have needed any number beyond it
            text = f">{row['cap']}" if value >= row["cap"] and row[f"not_reached_{goal}"] else f"{value:.1f}"
            line += f"{text:>{width}}"
    regrets = "".join(
        f"{row[f'regret_{after}']:>{width}.5f}" for after, width in zip(REGRETS, (12, 10, 10), strict=True)
    )
    return f"{line}{regrets}{row['ms_per_ask']:>9.2f}"


def scaling_rows(table: Table) -> list[dict[str, Any]]:
    """CPU time of the surrogate's ask and tell around 1,000 told results, on the pool and on a generative space."""
    around = StageSpace(ss.load_spec("efficientnet_b0"), SpaceSettings())
    window = CostWindow("macs", 200e6, 440e6)
    generative = Problem(around, SOFT, 400e6, window=window)
    return [
        timed("pool", make_strategy("surrogate", table.problem), table.outcomes.__getitem__),
        timed("space", make_strategy("surrogate", generative), lambda point: invented(generative, point)),
    ]


def timed(on: str, strategy: Strategy, outcome_of: Callable[[Point], Outcome]) -> dict[str, Any]:
    """Milliseconds per ask and tell from SCALING_FROM to SCALING_TO told results."""
    seconds = [step(strategy, outcome_of)[1] for _ in range(SCALING_TO)][SCALING_FROM:]
    milliseconds = [1e3 * value for value in seconds]
    return {
        "on": on,
        "mean_ms": statistics.fmean(milliseconds),
        "median_ms": statistics.median(milliseconds),
        "max_ms": max(milliseconds),
    }


def invented(problem: Problem, point: Point) -> Outcome:
    """A made-up result: error falls with macs as a power law, and every choice has an effect of its own."""
    macs = float(problem.costs(point).macs)
    effects = sum(Random(f"{i}/{choice}").gauss(0, 0.03) for i, choice in enumerate(point))
    accuracy = 1 - 0.25 * math.exp(effects) * (macs / problem.target) ** -0.2
    return Outcome(problem.objective(accuracy, macs, problem.target), accuracy, macs)


def print_scaling(rows: list[dict[str, Any]]) -> None:
    """The second table."""
    print(f"\nsurrogate, ms of CPU per ask and tell from {SCALING_FROM} to {SCALING_TO} told results (one refit in it)")
    print(f"{'candidates':<40}{'mean':>9}{'median':>9}{'worst':>9}")
    names = {"pool": "pool of the table", "space": "stages of efficientnet_b0, 200M to 440M"}
    for row in rows:
        print(f"{names[row['on']]:<40}{row['mean_ms']:>9.1f}{row['median_ms']:>9.1f}{row['max_ms']:>9.1f}")


if __name__ == "__main__":
    main()
