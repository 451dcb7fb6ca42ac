"""Do the intervals of fits, knees, joint laws and comparisons hold the truth as often as they claim (95 %)?

    python benchmarks/coverage_simulation.py --curves 1000 --json coverage.json      # 5 minutes of one core

Every row fits simulated trainings of a known law with the code that a real run uses. A training gives
accuracy = 1 - error + seed effect + noise, seed effects as large as the noise; as intervals hold given the seeds used,
the truth of a level includes the mean seed effect. Results are the same for the same --curves, --seed and --only.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rows import Row, add_json, figure, write_rows

from scalesearch.analysis.fidelity import rank_agreement
from scalesearch.analysis.iso_cost_test import compare_iso_cost
from scalesearch.analysis.joint_law import fit_joint_law
from scalesearch.analysis.knee import find_knee, marginal_gain
from scalesearch.analysis.regression import Estimate
from scalesearch.analysis.saturation import SaturationFit, fit_saturation

WIDTH_COSTS = (0.386, 0.744, 1.176, 2.391, 5.060, 8.712)  # G, the width curve of EfficientNet's Figure 3
RESOLUTION_COSTS = (0.386, 0.718, 0.893, 1.129, 1.458, 1.923, 2.447)  # its resolution curve
Floats = NDArray[np.float64]
Counts = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Curve:
    """A saturating curve that is measured again and again."""

    name: str
    costs: tuple[float, ...]
    a: float
    b: float
    c: float
    seeds: int
    noise: float
    bump: float = 0.0  # a law that is not the fitted one: error times 1 + bump * sin(4 log x)


@dataclass(frozen=True, slots=True)
class Law:
    """A power law over width, depth and resolution."""

    name: str
    seeds: int
    noise: float  # of log error
    uneven: float = 0.0  # sd of each network's own distance from the law, in log error


def curves() -> list[Curve]:
    """The curves of docs/analysis.md."""
    kinds = [
        Curve("width", WIDTH_COSTS, 0.10, 0.15, 0.8, seeds, noise)
        for seeds, noise in ((1, 0.004), (3, 0.004), (3, 0.008), (5, 0.008), (3, 0.012))
    ]
    kinds += [Curve("resolution", RESOLUTION_COSTS, 0.10, 0.15, 1.5, seeds, 0.004) for seeds in (1, 3, 5)]
    kinds += [Curve("no floor", WIDTH_COSTS, 0.0, 0.25, 0.3, 3, 0.004)]
    return [*kinds, Curve("other law", WIDTH_COSTS, 0.10, 0.15, 0.8, 3, 0.004, bump=0.03)]


@dataclass(frozen=True, slots=True)
class Ranks:
    """Proxy and longer training of some networks: two normal variables of this correlation."""

    name: str
    networks: int
    correlation: float
    seeds: int = 1
    noise: float = 0.0


def ranks() -> list[Ranks]:
    """The rank agreements of docs/analysis.md."""
    return [Ranks(f"ranks {networks}", networks, correlation) for networks in (8, 12, 20) for correlation in (0.5, 0.8)]


@dataclass(frozen=True, slots=True)
class Contest:
    """Compound scaling against five others at each of three budgets."""

    name: str
    seeds: int
    noise: float
    lead: float  # of compound, in accuracy; the others are equal among each other
    heavy: bool = False  # noise with the tails of a t distribution with 3 degrees of freedom


def contests() -> list[Contest]:
    """The comparisons at equal cost of docs/analysis.md."""
    even = [Contest("equal", seeds, 0.006, 0.0) for seeds in (3, 4, 6)]
    ahead = [Contest("ahead", seeds, 0.006, lead) for seeds in (3, 4, 6) for lead in (0.01, 0.02)]
    return [*even, Contest("equal, heavy tails", 4, 0.006, 0.0, heavy=True), *ahead]


def laws() -> list[Law]:
    """The joint laws of docs/analysis.md."""
    return [
        Law("joint law", 1, 0.02),
        Law("joint law", 3, 0.02),
        Law("joint law", 3, 0.05),
        Law("uneven", 3, 0.02, 0.02),
    ]


def simulate_curve(curve: Curve, repeats: int, seed: int) -> tuple[float, dict[str, float]]:
    """Share of identified fits, and the share of intervals that hold the truth among those."""
    rng = np.random.default_rng(seed)
    costs = np.array(curve.costs)
    x = costs / costs[0]
    shape = curve.b * x**-curve.c
    truth = (curve.a + shape) * (1 + curve.bump * np.sin(4 * np.log(x)))
    table = pd.DataFrame({"cost": np.repeat(costs, curve.seeds), "seed": np.tile(np.arange(curve.seeds), len(costs))})
    held: Counts = {}
    identified = 0
    for _ in range(repeats):
        effect = curve.noise * rng.standard_normal(curve.seeds)
        noise = curve.noise * rng.standard_normal((len(costs), curve.seeds))
        table["accuracy"] = (1 - truth[:, None] + effect + noise).ravel()
        fit = fit_saturation(table)
        if not fit.identified:
            continue
        identified += 1
        for name, hit in _curve_hits(curve, fit, truth, float(effect.mean())):
            held.setdefault(name, []).append(hit)
    return identified / repeats, {name: float(np.mean(hits)) for name, hits in held.items()}


def _curve_hits(curve: Curve, fit: SaturationFit, truth: Floats, shift: float) -> Iterator[tuple[str, float]]:
    costs, c = np.array(curve.costs), curve.c
    if not curve.bump:
        yield from (
            ("a", _inside(fit.a, max(curve.a - shift, 0.0))),
            ("b", _inside(fit.b, curve.b)),
            ("c", _inside(fit.c, c)),
        )
        gain = marginal_gain(fit, [costs[0]]).iloc[0]
        yield "gain", gain["low"] <= 100 * curve.b * (1 - 2**-c) <= gain["high"]
        knee, found = costs[0] * (100 * curve.b * (1 - 2**-c)) ** (1 / c), find_knee(fit)
        low, high = found.low or 0.0, found.high or math.inf
        yield "knee", low <= knee <= high
        beyond = fit.predict(2 * costs[-1]).iloc[0]
        yield (
            "2x beyond",
            beyond["low"] <= curve.a - shift + curve.b * (2 * costs[-1] / costs[0]) ** -c <= beyond["high"],
        )
    band = fit.predict(costs)
    yield "band", float(((band["low"] <= truth - shift) & (truth - shift <= band["high"])).mean())


def _inside(estimate: Estimate | None, truth: float) -> bool:
    if estimate is None or estimate.low is None or estimate.high is None:
        return False
    return estimate.low <= truth <= estimate.high


def simulate_law(law: Law, repeats: int, seed: int) -> tuple[float, dict[str, float]]:
    """As `simulate_curve`, for the exponents of a joint law over 18 networks."""
    rng = np.random.default_rng(seed)
    exponents = {"width": -0.36, "depth": -0.15, "resolution": -0.35}
    grid = [(w, d, r) for w in (0.5, 0.7, 1.0) for d in (1, 2) for r in (128, 176, 224)]
    networks = pd.DataFrame(grid, columns=["width", "depth", "resolution"])
    mean = sum(power * np.log(networks[axis].to_numpy(dtype=float)) for axis, power in exponents.items())
    table = networks.loc[networks.index.repeat(law.seeds)].reset_index(drop=True)
    table["seed"] = np.tile(np.arange(law.seeds), len(networks))
    held: Counts = {axis: [] for axis in exponents}
    for _ in range(repeats):
        own = mean + law.uneven * rng.standard_normal(len(networks))
        noise = rng.standard_normal((len(networks), law.seeds)) + rng.standard_normal(law.seeds)
        table["accuracy"] = 1 - np.exp(own[:, None] + law.noise * noise).ravel()
        fit = fit_joint_law(table)
        for axis, power in exponents.items():
            held[axis].append(_inside(fit.terms[axis], power))
    return 1.0, {axis: float(np.mean(hits)) for axis, hits in held.items()}


def simulate_ranks(ranks: Ranks, repeats: int, seed: int) -> tuple[float, dict[str, float]]:
    """As `simulate_curve`, for Kendall's tau and Spearman's rho of a normal pair (Kruskal 1958)."""
    rng = np.random.default_rng(seed)
    tau = 2 / math.pi * math.asin(ranks.correlation)
    rho = 6 / math.pi * math.asin(ranks.correlation / 2)
    held: Counts = {"kendall": [], "spearman": []}
    for _ in range(repeats):
        full = rng.standard_normal(ranks.networks)
        own = math.sqrt(1 - ranks.correlation**2) * rng.standard_normal(ranks.networks)
        table = pd.DataFrame({"proxy": ranks.correlation * full + own, "full": full})
        found = rank_agreement(table, n_bootstrap=500)
        held["kendall"].append(_inside(found.kendall, tau))
        held["spearman"].append(_inside(found.spearman, rho))
    return 1.0, {name: float(np.mean(hits)) for name, hits in held.items()}


def simulate_contest(contest: Contest, repeats: int, seed: int) -> tuple[float, dict[str, float]]:
    """As `simulate_curve`, for the differences at equal cost; also how often a difference is claimed.

    "any claimed": tables in which at least one of the 15 comparisons is called better or worse, which must happen in
    less than 5 % of those whose networks are equal; "claimed": share of the comparisons.
    """
    rng = np.random.default_rng(seed)
    axes, budgets = ("compound", "width", "depth", "resolution", "fast", "uniform"), ("1", "2", "4")
    places = [(budget, axis) for budget in budgets for axis in axes]
    shape = (len(places), contest.seeds)
    table = pd.DataFrame(places, columns=["budget", "axis"]).loc[lambda t: t.index.repeat(contest.seeds)]
    table = table.reset_index(drop=True).assign(seed=np.tile(np.arange(contest.seeds), len(places)))
    truth = np.array([contest.lead if axis == "compound" else 0.0 for _, axis in places])
    held: Counts = {"difference": [], "claimed": [], "any claimed": []}
    for _ in range(repeats):
        noise = rng.standard_t(3, shape) / math.sqrt(3) if contest.heavy else rng.standard_normal(shape)
        effect = contest.noise * rng.standard_normal(contest.seeds)
        table["accuracy"] = (0.8 + truth[:, None] + effect + contest.noise * noise).ravel()
        found = compare_iso_cost(table).differences
        held["difference"] += [(d.low or 0.0) <= 100 * contest.lead <= (d.high or 0.0) for d in found]
        held["claimed"] += [d.verdict in ("better", "worse") for d in found]
        held["any claimed"].append(any(d.verdict in ("better", "worse") for d in found))
    return 1.0, {name: float(np.mean(hits)) for name, hits in held.items()}


Scenario = Curve | Law | Ranks | Contest


def simulate(scenario: Scenario, repeats: int, seed: int) -> tuple[float, dict[str, float]]:
    """Share of identified fits, and how often each of their intervals holds the truth."""
    if isinstance(scenario, Curve):
        return simulate_curve(scenario, repeats, seed)
    if isinstance(scenario, Contest):
        return simulate_contest(scenario, repeats, seed)
    return (
        simulate_law(scenario, repeats, seed) if isinstance(scenario, Law) else simulate_ranks(scenario, repeats, seed)
    )


def figures_of(scenario: Scenario, identified: float, held: dict[str, float], repeats: int) -> list[Row]:
    """The scenario as named figures."""
    name = f"coverage, {scenario.name}: seeds {scenario.seeds}, noise {scenario.noise:g}"
    if isinstance(scenario, Ranks):
        name = f"coverage, {scenario.name}: correlation {scenario.correlation:g}"
    if isinstance(scenario, Contest):
        name = f"{name}, lead {100 * scenario.lead:g} points"
        shares = {"difference": "95 % interval of the difference holds"}
        return [
            figure(f"{name}: {shares.get(what, what)}", share, unit="share", repetitions=repeats)
            for what, share in held.items()
        ]
    fits = figure(f"{name}: identified", identified, unit="share of fits", repetitions=repeats)
    intervals = [
        figure(f"{name}: 95 % interval of {what} holds", share, unit="share of identified fits", repetitions=repeats)
        for what, share in held.items()
    ]
    return [fits, *intervals]


def main() -> None:
    """Print one line per scenario and write the rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", type=int, default=1000, help="simulated fits per row")
    parser.add_argument("--seed", type=int, default=1, help="of the simulation")
    parser.add_argument("--only", default="", help="only the rows whose name starts so: width, joint, equal, ...")
    add_json(parser)
    options = parser.parse_args()
    rows: list[Row] = []
    scenarios: list[Scenario] = [*curves(), *laws(), *ranks(), *contests()]
    for scenario in scenarios:
        if not scenario.name.startswith(options.only):
            continue
        identified, held = simulate(scenario, options.curves, options.seed)
        rows += figures_of(scenario, identified, held, options.curves)
        shares = "  ".join(f"{name} {share:.1%}" for name, share in held.items())
        print(
            f"{scenario.name:10} seeds {scenario.seeds} noise {scenario.noise:g}  "
            f"identified {identified:4.0%}  {shares}",
            flush=True,
        )
    write_rows(options.json, rows)


if __name__ == "__main__":
    main()
