"""How long a run's report and the analysis of its rows take, and how large the page is.

    python benchmarks/report.py [--json FILE] [--trials 1000] [--rows 10000] [--repeats 3]          # 1 minute

The run is a real search of so many trials over a made table of NAS-Bench-Macro's networks (accuracies of a known law;
nothing is trained), reported by `scalesearch report` as a user calls it, start-up included. The rows are those of
studies with known laws and the noise of short trainings. Every call uses one thread: "CPU s" is what it computes,
whatever else the machine does, and "s" is what passes on the clock meanwhile. No other tool makes such a page, so there
is no peer.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from rows import Row, add_json, figure, write_rows

import scalesearch as ss
from scalesearch.analysis.evidence import judge
from scalesearch.analysis.fidelity import rank_agreement
from scalesearch.analysis.surface import judge_surface
from scalesearch.arch.layer_space import LayerSpace
from scalesearch.arch.space_settings import LayerPlan, SpaceSettings
from scalesearch.studies.axes_comparisons import compare_curves
from scalesearch.studies.axes_fits import fit_lines, joint_law_of

LINES = {"width": 0.40, "depth": 0.25, "resolution": 0.35, "compound": 0.50}  # exponents of error over cost
COSTS = 25  # per line
NOISE = 0.006  # sd of the accuracy of a short training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000, help="of the reported run")
    parser.add_argument("--rows", type=int, default=10_000, help="that are analysed")
    parser.add_argument("--repeats", type=int, default=3, help="timed rounds; the median counts")
    add_json(parser)
    args = parser.parse_args()
    rows = []
    for row in itertools.chain(report_rows(args.trials, args.repeats), analysis_rows(args.rows, args.repeats)):
        print(f"{row.name:<72} {row.ours:>8.2f} {row.unit}", flush=True)
        rows.append(row)
    write_rows(args.json, rows)


def report_rows(trials: int, repeats: int) -> Iterator[Row]:
    """Time and size of the page of one search."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "results.csv"
        write_table(table)
        command = [sys.executable, "-m", "scalesearch"]
        searched = ["search", "--target-flops", "60M", "--name", "made", "--runs-dir", folder, f"trials={trials}"]
        searched += ["space=nas_bench_macro", "evaluator=table", f"evaluator.path={table}", "strategy=random"]
        searched += ["budget.low=null", "budget.high=null", "minutes=null"]
        run = Path(folder) / "search" / "made"
        subprocess.run([*command, *searched], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        done = len(ss.load_run(run).trials)
        assert done >= trials, f"the search ended after {done} of {trials} trials"
        pages = {"report.html": [str(run)], "two.html": [str(run), str(run), "--out", str(run / "two.html")]}
        for page, arguments in pages.items():
            of = f"report of a run of {done:,} trials" if page == "report.html" else f"two runs of {done:,} trials"
            yield from timed(of, lambda given=arguments: report(command, given), repeats)
            yield figure(f"{of}: page", (run / page).stat().st_size / 1e6, unit="MB", repetitions=1)


def report(command: list[str], arguments: list[str]) -> None:
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    subprocess.run([*command, "report", *arguments], check=True, stdout=subprocess.DEVNULL, env=os.environ | one_thread)


def analysis_rows(n: int, repeats: int) -> Iterator[Row]:
    """Each judgement over about `n` rows, and those of a study of axes together."""
    seen = observations(n)
    axes = {
        "curves, knees and trends": lambda: fit_lines(seen, list(LINES), points_per_doubling=1.0, confidence=0.95),
        "comparisons at equal cost": lambda: compare_curves(seen, 0.95),
        "joint law": lambda: joint_law_of(seen, 0.95),
        "intervals of every network": lambda: judge(contest(seen), n_bootstrap=1),
    }
    yield from timed(f"analysis of {len(seen):,} rows, axes: all of it", lambda: [call() for call in axes.values()], 1)
    for name, call in axes.items():
        yield from timed(f"analysis of {len(seen):,} rows, axes: {name}", call, repeats)
    raced = contest(seen)
    candidates = seen.drop_duplicates("network").assign(candidate=lambda table: table["network"])
    pooled = seen.assign(candidate=seen["network"])
    scores = pd.DataFrame({"proxy": np.random.default_rng(0).random(200)}).assign(full=lambda t: t["proxy"] ** 2)
    others: dict[str, Callable[[], object]] = {
        f"analysis of {len(seen):,} rows, grid: race": lambda: judge(raced),
        f"analysis of {len(seen):,} rows, grid: one law over all of them": lambda: judge_surface(pooled, candidates),
        "rank agreement of 200 networks": lambda: rank_agreement(scores),
    }
    for name, call in others.items():
        yield from timed(name, call, repeats)


def observations(n: int) -> pd.DataFrame:
    """What `axes_fits` takes: so many rows of four lines of 25 costs, with paired seeds."""
    rng = np.random.default_rng(0)
    seeds = max(2, n // (len(LINES) * COSTS))
    shift = NOISE * rng.standard_normal(seeds)
    tables = []
    for line, exponent in LINES.items():
        ratio = np.geomspace(0.25, 8, COSTS)
        error = 0.12 + 0.08 * ratio**-exponent
        grown = {axis: ratio ** (0.5 if axis == line else 0.02) for axis in ("width", "depth", "resolution")}
        if line == "compound":
            grown = {"width": ratio**0.15, "depth": ratio**0.30, "resolution": ratio**0.20}
        points = pd.DataFrame({**grown, "macs": np.round(4e8 * ratio), "proxy_macs": np.round(2e6 * ratio)})
        points = points.assign(curve=line, budget=np.round(ratio, 6), network=[f"{line} {r:.4g}" for r in ratio])
        rows = points.loc[points.index.repeat(seeds)].reset_index(drop=True)
        rows["seed"] = np.tile(np.arange(seeds), COSTS)
        rows["accuracy"] = 1 - np.repeat(error, seeds) + np.tile(shift, COSTS) + NOISE * rng.standard_normal(len(rows))
        tables.append(rows)
    return pd.concat(tables, ignore_index=True).assign(data="made", recipe="made")


def contest(seen: pd.DataFrame) -> pd.DataFrame:
    """The same rows as `judge` takes them."""
    return seen[["network", "seed", "accuracy"]].rename(columns={"network": "candidate", "accuracy": "value"})


def write_table(path: Path) -> None:
    """NAS-Bench-Macro's space with accuracies of a known law, as `evaluator=table` reads it."""
    plan = LayerPlan(
        name="nas_bench_macro", resolution=32, stem_width=32, stem_stride=1, widths=(64, 128, 256), depths=(2, 3, 3),
        strides=(2, 2, 2), head_width=1280, num_classes=10, in_channels=3, activation="relu", dropout=0.0,
        drop_path=0.0, norm_eps=1e-5, norm_momentum=0.1, se_ratio=0.0,
    )  # fmt: skip
    space = LayerSpace(SpaceSettings(kind="layers", ops=("identity", "mbconv_e3_k3", "mbconv_e6_k5"), layers=plan))
    rng = np.random.default_rng(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["arch", "acc_seed0", "acc_seed1", "acc_seed2", "params", "flops"])
        for point in itertools.product(range(3), repeat=8):
            cost = ss.cost_of(space.decode(point))
            good = 93 - 40 * np.exp(-0.35 * sum(point))
            found = np.round(good + 0.2 * rng.standard_normal(3), 2)
            writer.writerow(["".join(map(str, point)), *found, cost.params, cost.macs])


def timed(name: str, call: Callable[[], object], repeats: int) -> Iterator[Row]:
    """Medians of what a call and its child processes compute, and of what passes on the clock."""
    spent = []
    for _ in range(repeats):
        wall, used = time.perf_counter(), cpu_seconds()
        call()
        spent.append((cpu_seconds() - used, time.perf_counter() - wall))
    for unit, seconds in zip(("CPU s", "s"), zip(*spent, strict=True), strict=True):
        yield figure(name, statistics.median(seconds), unit=unit, repetitions=repeats)


def cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    own = os.times()
    return own.user + own.system + own.children_user + own.children_system


if __name__ == "__main__":
    main()
