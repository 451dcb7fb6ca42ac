"""CPU seconds of seeds trained one by one and as one grouped network, in turn, in one process.

    python benchmarks/grouping.py [--seeds 2 4] [--steps 5] [--rounds 3] [--json FILE]

EfficientNet-B0 at a quarter of its width, 24 px, stem stride 1, batch 64, one thread, on synthetic pictures: the
network of the default proxy. A side's time is all of `run_trial` or `run_group`: weights, steps, judging 64 pictures.
Prints the median of the rounds. On a GPU: `gpu.py --grid --grouped`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

from rows import Row, add_json, figure, write_rows

from scalesearch.arch.catalog import load_spec
from scalesearch.arch.proxy import ProxySettings, proxy_of
from scalesearch.data.prepare import prepare
from scalesearch.data.settings import DataSettings
from scalesearch.engine.base import load_trial_fn
from scalesearch.train.recipe import Recipe
from scalesearch.trial import TrialRequest, run_group, run_trial


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 4], help="sizes of a group")
    parser.add_argument("--steps", type=int, default=5, help="of each training")
    parser.add_argument("--rounds", type=int, default=3)
    add_json(parser)
    args = parser.parse_args()
    load_trial_fn()
    request = request_of(args.steps)
    run_trial(request, device="cpu")  # reads pictures, counts with fvcore
    rows: list[Row] = []
    for number in args.seeds:
        requests = [replace(request, seed=seed) for seed in range(number)]
        grouped, apart = [], []
        for _ in range(args.rounds):
            started = time.process_time()
            run_group(requests, device="cpu")
            grouped.append(time.process_time() - started)
            started = time.process_time()
            for one in requests:
                run_trial(one, device="cpu")
            apart.append(time.process_time() - started)
        print(f"{number} seeds: grouped {grouped}, one by one {apart} CPU s", flush=True)
        ours, peer = statistics.median(grouped), statistics.median(apart)
        rows.append(
            figure(
                f"{number} seeds as one network (peer: one by one), {args.steps} steps",
                ours,
                peer=peer,
                unit="CPU s",
                repetitions=args.rounds,
            )
        )
    write_rows(args.json, rows)


def request_of(steps: int) -> TrialRequest:
    """A training of the default proxy with so many steps."""
    recipe = Recipe(train_images=64 * steps, val_images=64)
    settings = DataSettings("synthetic", size=64 * steps + 400, classes=10, side=28)
    data = prepare(settings, side=28)
    proxy = ProxySettings(width=0.25, width_divisor=2, resolution=24, stem_stride=1)
    spec = proxy_of(
        load_spec("efficientnet_b0"),
        baseline_resolution=224,
        settings=proxy,
        num_classes=len(data.class_names),
        in_channels=data.channels,
    )
    return TrialRequest(spec, recipe, data, seed=0)


if __name__ == "__main__":
    main()
