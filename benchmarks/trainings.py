"""Trials per hour of scalesearch and of the loop a competent user would write (`peer_loop.py`), in turn, in one run.

    python benchmarks/trainings.py [--data imagenette_s64_q90.npz] [--repetitions 5] [--json FILE]

A round trains EfficientNet-B0 at a quarter of its width with four seeds, first by one side and then by the other, each
on one core per trial and two at once, in one Ray session: ours through engine=ray and a ledger, the peer's through Ray
Tune. A side's clock runs from handing over the trials until all results are there: workers that start, decoding or
resizing, training, validation. Starting Ray and decoding the data set for the cache are outside, once for both.
CPU seconds of the trials' processes are given too, because other work on the machine distorts them less.
--in-process leaves Ray out: what the trainings alone cost, in CPU seconds. The peer then has our allocator settings.
--rounds FILE keeps every round, so that a run cut short goes on where it stopped.

Tasks: Fashion-MNIST at 24 px, stem stride 1, 8,000 pictures, judged on 5,000; and the file given with --data (keys
jpeg, offset, label, split, classes) at 64 px, stem stride 2, 8,000 pictures, judged on its validation part. One epoch,
batch 64, AdamW, as in conf/recipe/quick.yaml. Without --data the second task is left out, and that is said.

Prints medians over the rounds, the ratio, accuracies of both sides, and where a training of ours spends its time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ray
import torch
from cpu_seconds import CountedTrial, cpu_seconds, read_cpu_seconds
from peer_loop import PeerData, run_peer, train_peer
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
from scalesearch.engine.base import load_trial_fn
from scalesearch.engine.execute import execute
from scalesearch.engine.ray_engine import RayEngine
from scalesearch.engine.settings import EngineSettings
from scalesearch.store.ledger import Ledger
from scalesearch.train.feed import forget_feeds, load_feed
from scalesearch.train.recipe import Recipe
from scalesearch.trial import TrialRequest, run_trial

STARTED: Final = time.perf_counter()


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
    parser.add_argument("--val-images", type=int, default=5000, help="pictures of the validation part, at most")
    parser.add_argument("--seeds", type=int, default=4, help="trials of a side in a round")
    parser.add_argument("--in-process", action="store_true", help="without Ray, one trial after the other")
    parser.add_argument("--rounds", type=Path, metavar="FILE", help="keep rounds here and take those already there")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no round after so many")
    add_json(parser)
    args = parser.parse_args()
    if args.in_process:
        load_trial_fn()
    else:
        # both sides' workers at the priority of this process; Ray would let all other work on the machine go first
        os.environ.setdefault("RAY_worker_niceness", "0")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    rows: list[Row] = []
    for task in tasks(args):
        rows += compare(task, args)
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
    recipe = Recipe(train_images=args.images, val_images=args.val_images)
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


def compare(task: Task, args: argparse.Namespace) -> list[Row]:
    """Rounds of both sides in turn; prints and returns the figures."""
    network = "timm's network" if timm_imports() else "our network, because timm does not import"
    print(f"{task.name}: {args.images} pictures, peer with {network} and {args.workers} DataLoader workers")
    rounds = kept_rounds(args.rounds, task.name)
    for number in range(len(rounds), args.repetitions):
        if time.perf_counter() - STARTED > 60 * args.minutes:
            break
        seeds = list(range(args.seeds * number, args.seeds * (number + 1)))
        done = (one_round_here if args.in_process else one_round)(task, seeds, args.workers)
        print(
            f"  round {number + 1}: ours {done['ours'][0]:.1f} s ({done['ours_cpu']:.1f} CPU s a trial), "
            f"peer {done['peer'][0]:.1f} s ({done['peer_cpu']:.1f})",
            flush=True,
        )
        rounds.append(done)
        if args.rounds:
            with args.rounds.open("a") as file:
                file.write(json.dumps({"task": task.name, **done}) + "\n")
    phases_too = where_time_goes(task) if len(rounds) >= args.repetitions else []
    return [*figures(task.name, rounds), *phases_too]


def kept_rounds(path: Path | None, task: str) -> list[dict[str, Any]]:
    if path is None or not path.exists():
        return []
    return [row for row in map(json.loads, path.read_text().splitlines()) if row["task"] == task]


def one_round(task: Task, seeds: list[int], workers: int) -> dict[str, Any]:
    """Seconds and accuracies of both sides."""
    with tempfile.TemporaryDirectory() as folder:
        done: dict[str, Any] = {
            "ours": run_ours(task, seeds, folder),
            "peer": run_peer(task.spec, task.recipe, task.peer_data, seeds, workers, folder),
        }
        return done | {f"{side}_cpu": read_cpu_seconds(folder, side) / len(seeds) for side in ("ours", "peer")}


def figures(name: str, rounds: list[dict[str, Any]]) -> list[Row]:
    """Medians over the rounds, printed and as rows."""
    if not rounds:
        return []
    per_hour, accuracy = {}, {}
    for side in ("ours", "peer"):
        per_hour[side] = statistics.median(3600 * len(done[side][1]) / done[side][0] for done in rounds)
        accuracy[side] = [reached for done in rounds for reached in done[side][1]]
        mean, spread = statistics.mean(accuracy[side]), statistics.stdev(accuracy[side])
        print(f"  {side}: {per_hour[side]:.0f} trials an hour, accuracy {mean:.4f}, std over {len(accuracy[side])} "
              f"seeds {spread:.4f}")  # fmt: skip
    means = {side: statistics.mean(reached) for side, reached in accuracy.items()}
    cpu = {side: statistics.median(done[f"{side}_cpu"] for done in rounds) for side in ("ours", "peer")}
    print(f"  ratio of trials per hour: {per_hour['ours'] / per_hour['peer']:.2f}; CPU seconds a trial: "
          f"ours {cpu['ours']:.1f}, peer {cpu['peer']:.1f}, ratio {cpu['peer'] / cpu['ours']:.2f}")  # fmt: skip
    return [
        figure(f"{name}: {what}", own["ours"], own["peer"], unit=unit, repetitions=len(rounds), more_is_better=more)
        for what, own, unit, more in (
            ("trials per hour", per_hour, "trials/h", True),
            ("CPU time of a trial", cpu, "s", False),
            ("accuracy", means, "of 1", True),
        )
    ]


def one_round_here(task: Task, seeds: list[int], workers: int) -> dict[str, Any]:
    """The same without Ray: one trial after the other in this process."""
    done: dict[str, Any] = {}
    for side in ("ours", "peer"):
        start, cpu, reached = time.perf_counter(), cpu_seconds(), []
        for seed in seeds:
            if side == "ours":
                forget_feeds()
                record = run_trial(TrialRequest(task.spec, task.recipe, task.data, seed))
                reached.append(record.accuracy)
            else:
                net, accuracy = train_peer(task.spec, task.recipe, task.peer_data, seed, workers, lambda **_: None)
                del net
                reached.append(accuracy)
        done[f"{side}_cpu"] = (cpu_seconds() - cpu) / len(seeds)
        done[side] = (time.perf_counter() - start, reached)
    return done


def run_ours(task: Task, seeds: list[int], folder: str) -> tuple[float, list[float]]:
    """All seeds through engine=ray: seconds and accuracies."""
    requests = [TrialRequest(task.spec, task.recipe, task.data, seed) for seed in seeds]
    start = time.perf_counter()
    engine = RayEngine(EngineSettings(slots=2), trial_fn=CountedTrial(folder))
    with Ledger.create_or_open(Path(folder, "ledger.db")) as ledger:
        done = execute(requests, engine, ledger).records
    seconds = time.perf_counter() - start
    engine.close()
    assert all(record.status == "done" for record in done), done
    return seconds, [record.accuracy for record in done if record.accuracy is not None]


def where_time_goes(task: Task) -> list[Row]:
    """Median seconds of each phase of one training, alone on one core."""
    measured = [phases(task.spec, task.recipe, task.data, seed) for seed in range(3)]
    print("  where a training of ours spends its time, one process on one core:")
    medians = {name: statistics.median(run[name] for run in measured) for name in PHASES}
    for name, taken in medians.items():
        print(f"    {name:<12} {taken:7.2f} s {100 * taken / sum(medians.values()):5.1f} %")
    return [figure(f"{task.name}: {name}", taken, unit="s", repetitions=3) for name, taken in medians.items()]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
