"""Closed form against fvcore on the same networks, in one run.

    python benchmarks/cost.py [--json FILE] [--repeats N] [NETWORK ...]

Medians; the ratio is fvcore's time over the closed form's. Both count the same integers, which is checked first.
fvcore builds nothing: the module exists before the clock starts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from rows import Row, add_json, figure, write_rows

import scalesearch as ss
from scalesearch.measure.counts import fvcore_counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=["efficientnet_b0", "mobilenet_v2", "efficientnet_b7"])
    add_json(parser)
    parser.add_argument("--repeats", type=int, default=5, help="timed rounds, closed form and fvcore in turn")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = [compare(name, args.repeats) for name in args.networks]
    print(f"{'network':<18} {'closed form':>14} {'fvcore':>14} {'ratio':>9}")
    for row in rows:
        print(
            f"{row.name.removeprefix('cost of '):<18} {row.ours or 0:>11.1f} us "
            f"{(row.peer or 0) / 1e3:>11.1f} ms {row.ratio or 0:>8,.0f}x"
        )
    write_rows(args.json, rows)


def compare(name: str, repeats: int) -> Row:
    """One row: medians over `repeats` rounds that time both sides in turn."""
    spec = ss.load_spec(name)
    net = ss.build_net(spec).eval()
    counted = fvcore_counts(net, spec.resolution)
    closed = ss.cost_of(spec)
    assert (closed.macs, closed.params, closed.activations) == (counted.macs, counted.params, counted.activations)
    rounds = [
        (seconds(lambda: ss.cost_of(spec), 200), seconds(lambda: fvcore_counts(net, spec.resolution), 1))
        for _ in range(repeats)
    ]
    closed_form_us, fvcore_us = (statistics.median(side) * 1e6 for side in zip(*rounds, strict=True))
    return figure(f"cost of {name}", closed_form_us, fvcore_us, unit="us", repetitions=repeats)


def seconds(call: Callable[[], object], times: int) -> float:
    """Mean wall time of one call over `times` calls."""
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


if __name__ == "__main__":
    main()
