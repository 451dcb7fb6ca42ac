"""Does one smooth law over all trainings find the best candidate with a quarter of the trainings that a race needs?

    python benchmarks/surface_simulation.py --grids 100 --json surface.json          # 4 minutes of one core

Every row plays complete grids twice on the same simulated truth: with scalesearch.search.race (its budget: 4 per
candidate + 28) and with scalesearch.analysis.surface on a quarter of that budget, placed by
scalesearch.analysis.placement. A training gives accuracy = 1 - error + seed effect + noise, with the noise of short
trainings (standard deviation .004 to .012, seed effect as large). Candidates are the 2x networks that a grid around
EfficientNet-B0 compares. Results are the same for the same --grids, --seed and --only.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rows import Row as Figure
from rows import add_json, figure, write_rows

from scalesearch.analysis.evidence import judge
from scalesearch.analysis.placement import next_trials
from scalesearch.analysis.regression import LACK_OF_FIT
from scalesearch.analysis.surface import SurfaceVerdict, judge_surface
from scalesearch.arch.catalog import load_spec
from scalesearch.arch.iso_cost import IsoCostSettings, plan_candidates
from scalesearch.arch.spec import NetSpec
from scalesearch.search.race import Race, RaceSettings

Floats = NDArray[np.float64]
Law = Callable[[Floats], Floats]  # (N, 3) log depth, log width, log resolution -> (N,) error
FIRST = 12  # trainings placed before anything is known
ERROR = 0.20  # of a network at the centre of the candidates


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is simulated."""

    law: str
    candidates: int
    noise: float  # sd of the accuracy of one training; the seed effect has the same
    share: float = 0.25  # of the race's budget


@dataclass(frozen=True, slots=True)
class Row:
    """What a scenario gave: means and shares over the grids; points are points of accuracy."""

    span: float  # points between the best and the worst candidate
    trainings_race: float
    trainings_surface: float
    compute: float  # cost of the surface's trainings over the cost of the race's
    regret_race: float  # points that the named winner is worse than the best candidate
    regret_surface: float
    regret_surface_p90: float
    within_race: float  # share of grids whose winner is within 0.2 points of the best
    within_surface: float
    named_race: float  # share of grids in which the best is winner or tie
    named_surface: float
    ties_race: float  # candidates named, winner included
    ties_surface: float
    false_lone_race: float  # share of grids with a lone winner more than 0.02 points below the best, or one of equals
    false_lone_surface: float
    misfit: float  # share of grids in which the surface found that it does not describe the trainings
    region: float  # candidates in the surface's region
    region_holds: float  # share of grids in which the best is among them
    same_regret: float  # of the surface on the race's own trainings
    same_ties: float
    same_false_lone: float
    same_misfit: float
    agree: float  # share of grids in which both judges, on the race's trainings, name a common candidate
    seconds: float


def laws() -> dict[str, Law]:
    """True errors by log depth, log width, log resolution relative to the centre of the candidates."""

    def power(depth: float, width: float, resolution: float, *bends: float) -> Law:
        bend = np.array(bends or (0.0, 0.0, 0.0))
        slope = np.array([depth, width, resolution])
        return lambda logs: ERROR * np.exp(logs @ slope + (logs**2) @ bend)

    def floor(logs: Floats) -> Floats:
        # a floor, and each axis with its own limit: the log of this is no polynomial
        each = 0.05 * np.exp(-1.2 * logs[:, 0]) + 0.05 * np.exp(-2.2 * logs[:, 1]) + 0.04 * np.exp(-2.5 * logs[:, 2])
        return np.asarray(0.06 + each, dtype=np.float64)

    def uneven(amplitude: float) -> Law:
        # every network is off the smooth law by a fixed pattern, not by noise, as rounding may do
        wave, slope = np.array([37.0, 53.0, 71.0]), np.array([-0.15, -0.36, -0.35])
        return lambda logs: ERROR * np.exp(logs @ slope + amplitude * np.sin(logs @ wave))

    return {
        "mobilenet": power(-0.15, -0.36, -0.35),  # width and resolution as published for MobileNetV1 and V2
        "depth": power(-0.30, -0.33, -0.30),
        "curved": power(-0.20, -0.36, -0.36, 0.15, 0.35, 0.35),  # compound is best
        "strong": power(-0.30, -0.60, -0.60, 0.40, 0.80, 0.80),
        "equal": power(-0.18, -0.36, -0.36),  # only cost counts: all candidates are equally good
        "floor": floor,
        "uneven": uneven(0.015),  # sd 1 % of the error, the scatter of the published MobileNets around a quadratic
        "rough": uneven(0.04),
    }


def scenarios() -> list[Scenario]:
    """The table of docs/analysis.md."""
    noise = [Scenario(law, 10, sd) for law in laws() if law != "rough" for sd in (0.004, 0.008, 0.012)]
    size = [Scenario(law, 16, 0.008) for law in ("mobilenet", "curved", "equal", "uneven")]
    share = [Scenario(law, 10, 0.008, share) for law in ("mobilenet", "curved", "uneven") for share in (0.5, 1.0)]
    return [*noise, Scenario("rough", 10, 0.008), *size, *share]


def networks(count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Candidates around EfficientNet-B0 at twice its cost, and the pool: those and a lattice of cheaper networks."""
    spec = load_spec("efficientnet_b0")
    assert isinstance(spec, NetSpec)
    kept = plan_candidates(spec, IsoCostSettings(max_candidates=count)).kept
    # depth and width as they are; the resolution that makes the nominal cost exactly 2, so that costs are really equal
    pairs = [(c.coefficients.alpha, c.coefficients.beta) for c in kept]
    points = [(alpha, beta, math.sqrt(2 / (alpha * beta**2))) for alpha, beta in pairs]
    names = [f"c{i:02d}" for i in range(len(points))]
    steps = (0.7, 0.85, 1.0, 1.2, 1.4)
    lattice = [(d, w, r) for d in (0.5, 0.75, 1.0, 1.4, 2.0) for w in steps for r in steps]
    cheaper = [point for point in lattice if 0.3 <= point[0] * point[1] ** 2 * point[2] ** 2 <= 1.95]
    frame = pd.DataFrame(points + cheaper, columns=["depth", "width", "resolution"])
    frame.insert(0, "candidate", names + [f"n{i:03d}" for i in range(len(cheaper))])
    frame["cost"] = frame["depth"] * frame["width"] ** 2 * frame["resolution"] ** 2
    return frame.iloc[: len(points)].reset_index(drop=True), frame


def truth(law: Law, candidates: pd.DataFrame, pool: pd.DataFrame) -> Floats:
    """(P,) true accuracy of every network of the pool; the centre of the candidates has error ERROR."""
    axes = ["depth", "width", "resolution"]
    centre = np.log(candidates[axes].to_numpy()).mean(axis=0)
    return np.asarray(1 - law(np.log(pool[axes].to_numpy()) - centre), dtype=np.float64)


def play_race(values: Floats, names: list[str]) -> tuple[str, set[str], pd.DataFrame]:
    """Race and judge one grid: winner, winner with ties, trainings."""
    results = {(n, s): float(v) for n, row in zip(names, values, strict=True) for s, v in enumerate(row)}
    units = Race(names, RaceSettings()).units(results)
    table = pd.DataFrame([(n, s, results[n, s]) for n, s in units], columns=["candidate", "seed", "value"])
    verdict = judge(table, n_bootstrap=1)
    return verdict.winner, {verdict.winner, *verdict.ties}, table.rename(columns={"value": "accuracy"})


def play_surface(
    values: Floats, candidates: pd.DataFrame, pool: pd.DataFrame, budget: int
) -> tuple[SurfaceVerdict, pd.DataFrame]:
    """Place, train and judge one grid in two batches."""
    place = {name: i for i, name in enumerate(pool["candidate"])}
    trials = pd.DataFrame({"candidate": [], "seed": [], "accuracy": []})
    for batch in (min(FIRST, budget), budget - FIRST):
        if batch <= 0:
            break
        units = next_trials(trials, candidates, pool, batch, max_seeds=values.shape[1])
        rows = pool.iloc[[place[name] for name, _ in units]].reset_index(drop=True)
        rows["seed"] = [s for _, s in units]
        rows["accuracy"] = [values[place[name], s] for name, s in units]
        trials = rows if trials.empty else pd.concat([trials, rows], ignore_index=True)
    return judge_surface(trials, candidates, n_bootstrap=200), trials


def simulate(scenario: Scenario, grids: int, seed: int) -> Row:
    """Play `grids` grids of a scenario, race and surface on the same trainings."""
    start = time.perf_counter()
    candidates, pool = networks(scenario.candidates)
    accuracy = truth(laws()[scenario.law], candidates, pool)
    names, k = candidates["candidate"].tolist(), len(candidates)
    best = accuracy[:k].max()
    shortfall = dict(zip(names, (100 * (best - accuracy[:k])).tolist(), strict=True))
    settings, rng = RaceSettings(), np.random.default_rng(seed)
    budget = math.floor(scenario.share * settings.budget(k))
    cost = pool["cost"].to_numpy()
    rows = []
    for _ in range(grids):
        seeds = scenario.noise * rng.standard_normal(settings.max_seeds)
        noise = scenario.noise * rng.standard_normal((len(pool), settings.max_seeds))
        values = accuracy[:, None] + seeds + noise
        racer, raced, race = play_race(values[:k], names)
        verdict, trials = play_surface(values, candidates, pool, budget)
        same = judge_surface(race.merge(candidates, on="candidate"), candidates, n_bootstrap=1)
        compute = trials["cost"].sum() / (len(race) * cost[:k].mean())
        row = [len(race), len(trials), compute, *_score(racer, raced, shortfall)]
        row += [*_score(verdict.winner, {verdict.winner, *verdict.ties}, shortfall), _misfit(verdict)]
        row += [len(verdict.region), min(shortfall[name] for name in verdict.region) <= 0.02]
        both = {same.winner, *same.ties}
        rows.append([*row, *_score(same.winner, both, shortfall), _misfit(same), bool(both & raced)])
    return _summary(np.array(rows, dtype=np.float64), max(shortfall.values()), time.perf_counter() - start)


def _score(
    winner: str | None, named: set[str | None] | set[str], shortfall: dict[str, float]
) -> tuple[float, float, float, float]:
    """Regret in points, best named, how many named, wrong lone winner."""
    best = {name for name, lost in shortfall.items() if lost <= 0.02}
    regret = math.nan if winner is None else shortfall[winner]
    return regret, bool(best & named), len(named), len(named) == 1 and named != best


def _misfit(verdict: SurfaceVerdict) -> bool:
    return verdict.lack_of_fit is not None and verdict.lack_of_fit < LACK_OF_FIT


def _summary(rows: Floats, span: float, seconds: float) -> Row:
    mean = np.nanmean(rows, axis=0)
    return Row(
        span=span,
        trainings_race=mean[0],
        trainings_surface=mean[1],
        compute=mean[2],
        regret_race=mean[3],
        regret_surface=mean[7],
        regret_surface_p90=float(np.nanquantile(rows[:, 7], 0.9)),
        within_race=float((rows[:, 3] <= 0.2).mean()),
        within_surface=float((rows[:, 7] <= 0.2).mean()),
        named_race=mean[4],
        named_surface=mean[8],
        ties_race=mean[5],
        ties_surface=mean[9],
        false_lone_race=mean[6],
        false_lone_surface=mean[10],
        misfit=mean[11],
        region=mean[12],
        region_holds=mean[13],
        same_regret=mean[14],
        same_ties=mean[16],
        same_false_lone=mean[17],
        same_misfit=mean[18],
        agree=mean[19],
        seconds=seconds,
    )


def figures_of(scenario: Scenario, row: Row, grids: int) -> list[Figure]:
    """The row as named figures: the surface is ours, the race the peer."""
    name = f"surface, {scenario.law}: K {scenario.candidates}, noise {scenario.noise:g}, share {scenario.share:g}"
    pairs = (
        ("trainings", row.trainings_surface, row.trainings_race, "trainings a grid", False),
        ("regret", row.regret_surface, row.regret_race, "points of accuracy", False),
        ("winner within 0.2 points", row.within_surface, row.within_race, "share of grids", True),
        ("best named", row.named_surface, row.named_race, "share of grids", True),
        ("wrong lone winner", row.false_lone_surface, row.false_lone_race, "share of grids", False),
    )
    return [
        figure(f"{name}: {what}", float(ours), float(peer), unit=unit, repetitions=grids, more_is_better=more)
        for what, ours, peer, unit, more in pairs
    ]


def main() -> None:
    """Print one line per scenario and write the rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grids", type=int, default=100, help="simulated grids per row")
    parser.add_argument("--seed", type=int, default=1, help="of the simulation")
    parser.add_argument("--only", default="", help="only the laws whose name starts so: mobilenet, curved, ...")
    add_json(parser)
    options = parser.parse_args()
    print(
        f"{'law':10}{'K':>3} {'noise':>6} {'span':>5}  trainings race/surface (compute)  "
        "regret race/surface/p90  within 0.2  best named  named  wrong lone  misfit  region  "
        "same trainings: regret, named, wrong lone, misfit, agree"
    )
    figures: list[Figure] = []
    for scenario in scenarios():
        if not scenario.law.startswith(options.only):
            continue
        row = simulate(scenario, options.grids, options.seed)
        figures += figures_of(scenario, row, options.grids)
        print(
            f"{scenario.law:10}{scenario.candidates:3} {scenario.noise:6g} {row.span:5.2f}  "
            f"{row.trainings_race:5.1f}/{row.trainings_surface:4.1f} ({row.compute:.2f})  "
            f"{row.regret_race:5.2f}/{row.regret_surface:4.2f}/{row.regret_surface_p90:4.2f}  "
            f"{row.within_race:4.0%}/{row.within_surface:4.0%}  {row.named_race:4.0%}/{row.named_surface:4.0%}  "
            f"{row.ties_race:4.1f}/{row.ties_surface:4.1f}  {row.false_lone_race:5.1%}/{row.false_lone_surface:5.1%}  "
            f"{row.misfit:4.0%}  "
            f"{row.region:4.1f} {row.region_holds:4.0%}  "
            f"{row.same_regret:4.2f} {row.same_ties:4.1f} {row.same_false_lone:5.1%} {row.same_misfit:4.0%} "
            f"{row.agree:4.0%}",
            flush=True,
        )
    write_rows(options.json, figures)


if __name__ == "__main__":
    main()
