"""Trials per hour of scalesearch and of the loop a competent user would write (`peer_loop.py`), in turn, in one run.

    python benchmarks/trainings.py [--data imagenette_s64_q90.npz] [--repetitions 5] [--json FILE]

A round trains EfficientNet-B0 at a quarter of its width with two seeds, first by one side and then by the other, each
on one core per trial and two at once, in one Ray session: ours through engine=ray and a ledger, the peer's through Ray
Tune. A side's clock runs from handing over the two trials until both results are there: workers that start, decoding
or resizing, training, validation. Starting Ray and decoding the data set for the cache are outside, once for both.

Tasks: Fashion-MNIST at 24 px, stem stride 1, 8,000 pictures, judged on 5,000; and the file given with --data (keys
jpeg, offset, label, split, classes) at 64 px, stem stride 2, 8,000 pictures, judged on its validation part. One epoch,
batch 64, AdamW, as in conf/recipe/quick.yaml. Without --data the second task is left out, and that is said.

Prints medians over the rounds, the ratio, accuracies of both sides, and where a training of ours spends its time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import ray
import torch
from peer_loop import PeerData, run_peer
from peer_net import timm_imports
from rows import Row, add_json, figure, write_rows
from training_phases import PHASES, phases

from scalesearch.arch.catalog import load_spec
from scalesearch.arch.proxy import ProxySettings, proxy_of
from scalesearch.arch.spec import NetSpec
from scalesearch.data.loading import train_subset
from scalesearch.data.prepare import prepare
from scalesearch.data.prepared import PreparedData
from scalesearch.data.settings import DataSettings
from scalesearch.engine.execute import execute
from scalesearch.engine.ray_engine import RayEngine
from scalesearch.engine.settings import EngineSettings
from scalesearch.store.ledger import Ledger
from scalesearch.train.feed import load_feed
from scalesearch.train.recipe import Recipe
from scalesearch.trial import TrialRequest


@dataclass(frozen=True)
class Task:
    """What both sides train."""

    name: str
    spec: NetSpec
    recipe: Recipe
    data: PreparedData
    peer_data: PeerData


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="FILE.npz", help="pictures for the task at 64 px")
    parser.add_argument("--only", choices=("fashion_mnist", "pictures"), help="one of the two tasks")
    parser.add_argument("--repetitions", type=int, default=5, help="rounds")
    parser.add_argument("--workers", type=int, default=1, help="DataLoader workers of the peer; 0 loads in line")
    parser.add_argument("--images", type=int, default=8000, help="training pictures")
    add_json(parser)
    args = parser.parse_args()
    rows: list[Row] = []
    for task in tasks(args):
        rows += compare(task, args.repetitions, args.workers)
    write_rows(args.json, rows)


def tasks(args: argparse.Namespace) -> list[Task]:
    chosen = []
    if args.only != "pictures":
        settings = DataSettings("fashion_mnist")
        chosen.append(make_task("Fashion-MNIST, 24 px", settings, side=28, resolution=24, stem_stride=1, args=args))
    if args.data is None:
        print("pictures at 64 px: left out, because no --data FILE.npz was given")
    elif args.only != "fashion_mnist":
        settings = DataSettings("npz_jpeg", path=str(args.data))
        name = f"{args.data.stem}, 64 px"
        chosen.append(make_task(name, settings, side=64, resolution=64, stem_stride=2, args=args))
    return chosen


def make_task(
    name: str, settings: DataSettings, *, side: int, resolution: int, stem_stride: int, args: argparse.Namespace
) -> Task:
    data = prepare(settings, side=side)
    recipe = Recipe(train_images=args.images)
    spec = proxy_of(
        load_spec("efficientnet_b0"),
        baseline_resolution=224,
        settings=ProxySettings(width=0.25, width_divisor=2, resolution=resolution, stem_stride=stem_stride),
        num_classes=len(data.class_names),
        in_channels=data.channels,
    )
    # the peer's pictures, statistics included, are those that ours trains on
    feed = load_feed(data, recipe, resolution)
    peer_data = PeerData(
        npz=None if settings.path is None else str(Path(settings.path).resolve()),
        folder=data.folder,
        train=train_subset(data.train()[1], recipe.train_images, 0),
        val=train_subset(data.val()[1], recipe.val_images, 0),
        normalisation=feed.normalisation,
    )
    return Task(name, spec, recipe, data, peer_data)


def compare(task: Task, repetitions: int, workers: int) -> list[Row]:
    """Rounds of both sides in turn; prints and returns the figures."""
    network = "timm's network" if timm_imports() else "our network, because timm does not import"
    print(f"{task.name}: {task.recipe.train_images} pictures, peer with {network}, {workers} DataLoader workers")
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    accuracy: dict[str, list[float]] = {"ours": [], "peer": []}
    for number in range(repetitions):
        seeds = [2 * number, 2 * number + 1]
        with tempfile.TemporaryDirectory() as folder:
            for side in ("ours", "peer"):
                if side == "ours":
                    taken, reached = run_ours(task, seeds, Path(folder))
                else:
                    taken, reached = run_peer(task.spec, task.recipe, task.peer_data, seeds, workers, folder)
                seconds[side].append(taken)
                accuracy[side] += reached
        print(f"  round {number + 1}: ours {seconds['ours'][-1]:.1f} s, peer {seconds['peer'][-1]:.1f} s", flush=True)
    ours, peer = (len(seeds) * 3600 / statistics.median(seconds[side]) for side in ("ours", "peer"))
    print(f"  trials per hour: ours {ours:.0f}, peer {peer:.0f}, ratio {ours / peer:.2f}")
    for side, reached in accuracy.items():
        print(f"  accuracy, {side}: {statistics.mean(reached):.4f}, std over seeds {statistics.stdev(reached):.4f}")
    rows = [
        figure(f"{task.name}: {what}", mine, theirs, unit=unit, repetitions=repetitions, more_is_better=True)
        for what, mine, theirs, unit in (
            ("trials per hour", ours, peer, "trials/h"),
            ("accuracy", statistics.mean(accuracy["ours"]), statistics.mean(accuracy["peer"]), "of 1"),
        )
    ]
    return rows + where_time_goes(task, repetitions)


def run_ours(task: Task, seeds: list[int], folder: Path) -> tuple[float, list[float]]:
    """All seeds through engine=ray: seconds and accuracies."""
    requests = [TrialRequest(task.spec, task.recipe, task.data, seed) for seed in seeds]
    start = time.perf_counter()
    engine = RayEngine(EngineSettings(slots=2))
    with Ledger.create_or_open(folder / "ledger.db") as ledger:
        done = execute(requests, engine, ledger).records
    seconds = time.perf_counter() - start
    engine.close()
    assert all(record.status == "done" for record in done), done
    return seconds, [record.accuracy for record in done if record.accuracy is not None]


def where_time_goes(task: Task, repetitions: int) -> list[Row]:
    """Median share of each phase of one training, alone on one core."""
    measured = [phases(task.spec, replace(task.recipe, train_images=2000), task.data, seed) for seed in range(3)]
    print("  where a training of ours spends its time (2,000 pictures, one process):")
    medians = {name: statistics.median(run[name] for run in measured) for name in PHASES}
    for name, taken in medians.items():
        print(f"    {name:<12} {taken:7.2f} s {100 * taken / sum(medians.values()):5.1f} %")
    return [figure(f"{task.name}: {name}", taken, unit="s", repetitions=3) for name, taken in medians.items()]


if __name__ == "__main__":
    torch.set_num_threads(1)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    main()
