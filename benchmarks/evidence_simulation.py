"""How often does a grid name the right winner, and how often a wrong one? Simulated grids through the real code.

    python benchmarks/evidence_simulation.py --grids 2000 --json evidence.json       # about 10 s a row, one core

Every row plays complete grids with scalesearch.search.race and judges them with scalesearch.analysis.evidence. A
training is worth quality + seed effect + noise; sigma, the noise sd of one training, is 1, so effects are in units of
it. Results are the same for the same --grids, --seed and --only.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rows import Row as Figure
from rows import add_json, figure, write_rows

from scalesearch.analysis.evidence import judge
from scalesearch.search.race import Race, RaceSettings

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is simulated: `n_best` candidates are `effect` sigma better than the others (effect 0: all are equal)."""

    part: str
    candidates: int
    effect: float
    n_best: int = 1
    noise: str = "normal"  # normal, t4, unequal, noisy-best, missing
    seed_sd: float = 1.0
    max_trainings: int | None = None
    keep: float = 0.5
    confidence: float = 0.95

    @property
    def best(self) -> range:
        return range(self.n_best if self.effect else self.candidates)


@dataclass(frozen=True, slots=True)
class Row:
    """What a scenario gave: rates over the grids, with 95 % Wilson intervals."""

    false_lone: float  # a lone winner is named that is not the only best candidate
    false_lone_low: float
    false_lone_high: float
    found: float | None  # named are exactly the best candidates; None where all are equal
    found_low: float | None
    found_high: float | None
    left_out: float  # share of the best candidates that are neither winner nor tie
    trainings_mean: float
    trainings_p90: float
    seconds: float


def scenarios() -> list[Scenario]:
    """The table of docs/evidence.md."""
    effects = ((0.0, 1), (1.0, 1), (2.0, 1), (3.0, 1), (2.0, 2))
    size = [Scenario("size", k, effect, n) for k in (8, 12, 16, 24) for effect, n in effects]
    short = ((0.0, 1), (2.0, 1), (2.0, 2))
    noises = ("t4", "unequal", "noisy-best", "missing")
    noise = [Scenario("noise", 16, effect, n, noise) for noise in noises for effect, n in short]
    seeds = [Scenario("noise", 16, effect, n, seed_sd=0.0) for effect, n in short]
    budgets = [Scenario("budget", 16, effect, n, max_trainings=b) for b in (48, 60, 75, 120) for effect, n in short[:2]]
    no_halving = [Scenario("no halving", 16, effect, n, keep=1.0) for effect, n in short]
    # one-sided level 0.05 / ((K - 1) * LOOKS) instead of 0.05 / (2 * LOOKS)
    strict = [Scenario("corrected for K", 16, effect, n, confidence=1 - 0.05 * 2 / 15) for effect, n in short]
    return size + noise + seeds + budgets + no_halving + strict


def simulate(scenario: Scenario, grids: int, seed: int) -> Row:
    """Play `grids` grids of a scenario."""
    start = time.perf_counter()
    settings = RaceSettings(max_trainings=scenario.max_trainings, keep=scenario.keep, confidence=scenario.confidence)
    names = [f"c{i:02d}" for i in range(scenario.candidates)]
    rng = np.random.default_rng(seed)
    best = {names[i] for i in scenario.best}
    false_lone = found = left_out = 0
    trainings = []
    for _ in range(grids):
        named, used = play(draw(scenario, settings.max_seeds, rng), names, settings)
        false_lone += len(named) == 1 and named != best
        found += named == best
        left_out += len(best - named)
        trainings.append(used)
    false_low, false_high = wilson(false_lone, grids)
    found_low, found_high = wilson(found, grids)
    known = scenario.effect > 0
    return Row(
        false_lone=false_lone / grids,
        false_lone_low=false_low,
        false_lone_high=false_high,
        found=found / grids if known else None,
        found_low=found_low if known else None,
        found_high=found_high if known else None,
        left_out=left_out / grids / len(best),
        trainings_mean=float(np.mean(trainings)),
        trainings_p90=float(np.quantile(trainings, 0.9)),
        seconds=time.perf_counter() - start,
    )


def draw(scenario: Scenario, n_seeds: int, rng: np.random.Generator) -> Floats:
    """Values (K, S) of all trainings a grid could ask for; NaN is a training that fails."""
    shape = (scenario.candidates, n_seeds)
    noise = rng.standard_normal(shape)
    if scenario.noise == "t4":
        noise = rng.standard_t(4, shape) / math.sqrt(2)  # variance 1
    elif scenario.noise == "unequal":
        sd = np.where(np.arange(scenario.candidates) % 2 == 0, 1.0, 2.0)
        noise *= rng.permutation(sd)[:, None] / math.sqrt(2.5)  # mean variance 1
    elif scenario.noise == "noisy-best":
        noise[:2] *= 2.0
    elif scenario.noise == "missing":
        noise[rng.random(shape) < 0.05] = math.nan
    quality = np.zeros(scenario.candidates)
    quality[: scenario.n_best] = scenario.effect
    return quality[:, None] + scenario.seed_sd * rng.standard_normal(n_seeds) + noise


def play(values: Floats, names: list[str], settings: RaceSettings) -> tuple[set[str], int]:
    """Race and judge one grid: the winner with its ties, and the trainings it took."""
    results = {
        (name, s): None if math.isnan(value) else float(value)
        for name, row in zip(names, values, strict=True)
        for s, value in enumerate(row)
    }
    units = Race(names, settings).units(results)
    rows = [(name, s, results[name, s]) for name, s in units]
    table = pd.DataFrame(rows, columns=["candidate", "seed", "value"])
    verdict = judge(table, confidence=settings.confidence, n_bootstrap=1)
    return {verdict.winner, *verdict.ties}, len(units)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % score interval of a proportion (Wilson 1927)."""
    z, p = 1.959964, hits / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def figures_of(scenario: Scenario, row: Row, grids: int) -> list[Figure]:
    """The row as named figures."""
    changed = "".join(
        f", {name} {value:g}" if isinstance(value, float) else f", {name} {value}"
        for name, value in asdict(scenario).items()
        if name not in ("part", "candidates", "effect", "n_best") and value != asdict(Scenario("", 1, 0.0))[name]
    )
    best = f"{scenario.n_best} better by {scenario.effect:g} sigma" if scenario.effect else "all equal"
    name = f"evidence, {scenario.part}: K {scenario.candidates}, {best}{changed}"
    shares = {"wrong lone winner": row.false_lone, "found": row.found, "best left out": row.left_out}
    figures = [
        figure(f"{name}: {what}", value, unit="share of grids", repetitions=grids) for what, value in shares.items()
    ]
    return [*figures, figure(f"{name}: trainings", row.trainings_mean, unit="trainings a grid", repetitions=grids)]


def main() -> None:
    """Print one line per scenario and write the rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grids", type=int, default=2000, help="simulated grids per row")
    parser.add_argument("--seed", type=int, default=1, help="of the simulation")
    parser.add_argument("--only", default="", help="only the parts whose name starts so: size, noise, budget, ...")
    add_json(parser)
    options = parser.parse_args()
    print(
        f"{'part':16}{'K':>3} {'effect':>8} {'noise':>10} {'seed sd':>7} {'budget':>6}  "
        f"{'false lone winner':>22}  {'found':>17}  {'left out':>8}  trainings mean/p90"
    )
    figures: list[Figure] = []
    for scenario in scenarios():
        if not scenario.part.startswith(options.only):
            continue
        row = simulate(scenario, options.grids, options.seed)
        figures += figures_of(scenario, row, options.grids)
        budget = RaceSettings(max_trainings=scenario.max_trainings).budget(scenario.candidates)
        effect = f"{scenario.n_best} x {scenario.effect:g}" if scenario.effect else "none"
        found = "" if row.found is None else f"{row.found:6.1%} ({row.found_low:.0%}-{row.found_high:.0%})"
        print(
            f"{scenario.part:16}{scenario.candidates:3} {effect:>8} {scenario.noise:>10} {scenario.seed_sd:7g} "
            f"{budget:6}  {row.false_lone:7.2%} ({row.false_lone_low:5.2%}-{row.false_lone_high:5.2%})  {found:>17}  "
            f"{row.left_out:8.1%}  {row.trainings_mean:.1f}/{row.trainings_p90:.0f}",
            flush=True,
        )
    write_rows(options.json, figures)


if __name__ == "__main__":
    main()
