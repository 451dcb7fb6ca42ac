"""Planning: a million (alpha, beta, gamma) scaled, counted, filtered and told apart, beside the plain loop.

    python benchmarks/plan.py [--json FILE] [--points 1000000] [--sample 4000] [--repeats 5]

Ours is `arch.lattice.networks_at_ratio` on a lattice of three axes, and the specs of the networks that are left. The
peer is the loop a user would write with the scalar functions of this package: scale a triple, count it, keep it within
5 % of the ratio, tell it apart by its fingerprint. It runs on a sample drawn evenly from the same lattice, and its time
per candidate is multiplied by the number of candidates: an extrapolation, as its row says. Whatever the loop finds must
be among what ours finds, with the same counts. Memory is the process's largest resident size before the peer runs.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from random import Random

from rows import add_json, figure, table, write_rows

from scalesearch.arch.catalog import catalog_spec
from scalesearch.arch.cost import cost_of
from scalesearch.arch.iso_cost import IsoCostSettings, plan_candidates
from scalesearch.arch.lattice import Region, networks_at_ratio
from scalesearch.arch.scaling import Multipliers, Rounding
from scalesearch.arch.solve import scaled_by

BASE = catalog_spec("efficientnet_b0")
RATIO, TOLERANCE = 2.0, 0.05
ROUNDING = Rounding(depth="largest_remainder")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_json(parser)
    parser.add_argument("--points", type=int, default=1_000_000, help="lattice points, rounded to a cube")
    parser.add_argument("--sample", type=int, default=4_000, help="of them, for the plain loop")
    parser.add_argument("--repeats", type=int, default=5, help="rounds, both sides in turn")
    args = parser.parse_args()
    side = max(2, round(args.points ** (1 / 3)))
    axis = [1 + step / side for step in range(side)]  # 1 to almost 2, which is as far as a ratio of 2 can need
    ours, peers, plans = [], [], []
    found: Region | None = None
    megabytes = 0.0
    for number in range(args.repeats):
        start = time.perf_counter()
        found = networks_at_ratio(BASE, axis, axis, axis, ratio=RATIO, tolerance=TOLERANCE, rounding=ROUNDING)
        specs = [found.spec(index) for index in range(len(found.macs))]
        ours.append(time.perf_counter() - start)
        megabytes = megabytes or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        start = time.perf_counter()
        seen = plain_loop(axis, args.sample, Random(number))
        peers.append((time.perf_counter() - start) / args.sample * found.n_points)
        known = {spec.fingerprint: int(macs) for spec, macs in zip(specs, found.macs, strict=True)}
        assert seen.items() <= known.items(), "both sides count the same networks"
        start = time.perf_counter()
        plan_candidates(BASE, IsoCostSettings())
        plans.append(time.perf_counter() - start)
    assert found is not None
    print(
        f"{found.n_points:,} candidates are {found.n_networks:,} networks; {found.n_within:,} candidates within "
        f"{TOLERANCE:.0%} of {RATIO:g}x are {len(found.macs):,} networks"
    )
    seconds, loop = statistics.median(ours), statistics.median(peers)
    sampled = f"plain loop extrapolated from {args.sample:,}"
    name = f"{found.n_points:,} candidates scaled, counted, filtered, deduplicated ({sampled})"
    rows = [
        figure(name, seconds, loop, unit="s", repetitions=args.repeats),
        figure(f"memory of {found.n_points:,} candidates", megabytes, unit="MB", repetitions=1),
        figure("default grid plan", statistics.median(plans), unit="s", repetitions=args.repeats),
    ]
    print(table(rows))
    write_rows(args.json, rows)


def plain_loop(axis: list[float], sample: int, rng: Random) -> dict[str, int]:
    """macs by fingerprint of the sampled triples within the tolerance."""
    base = cost_of(BASE).macs
    kept = {}
    for _ in range(sample):
        spec = scaled_by(BASE, Multipliers(rng.choice(axis), rng.choice(axis), rng.choice(axis)), ROUNDING)
        macs = cost_of(spec).macs
        if abs(macs / base / RATIO - 1) <= TOLERANCE:
            kept[spec.fingerprint] = macs
    return kept


if __name__ == "__main__":
    main()
