"""Trainings on one GPU: the loop a user would write, ours step by step, as a CUDA graph, grouped and packed.

    python benchmarks/gpu.py --data imagenette_s64.npz [--json FILE] [--rounds 5]       # all but the grid
    python benchmarks/gpu.py --data imagenette_s128.npz --grid [--json FILE]            # 24 candidates x 3 seeds, timed
    python benchmarks/gpu.py --dry                                                      # a tiny pass on the CPU

Needs torch, numpy and Pillow; the peer takes timm's network where timm imports. All ways run in turn in every round, on
the same pictures, network, recipe and seeds. Rows: trainings per hour of each way beside the peer's, the accuracies of
both, how far replayed and grouped loss curves lie from the plain float32 loop, the share of kernel time in convolutions
and matrix products, the peak of memory beside its estimate, and with --compile what torch.compile costs and gains.
Without a GPU it says so in one line and exits with 2, but for --dry, whose figures mean nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from gpu_parts import Bench, compile_rows, curve_rows, grid_rows, kernel_row, memory_row, packed_seconds
from gpu_peer import train_peer
from rows import Row, add_json, figure, table, write_rows

from scalesearch.arch.catalog import catalog_spec
from scalesearch.arch.proxy import ProxySettings, proxy_of
from scalesearch.arch.spec import NetSpec
from scalesearch.data.prepare import prepare
from scalesearch.data.prepared import PreparedData
from scalesearch.data.settings import DataSettings
from scalesearch.train.captured_step import Capture
from scalesearch.train.feed import forget_feeds, load_feed
from scalesearch.train.grouped_trainer import train_group
from scalesearch.train.precision import autocast_dtype
from scalesearch.train.recipe import Recipe
from scalesearch.train.trainer import TrainResult, train_net


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_json(parser)
    parser.add_argument("--data", type=Path, help=".npz of JPEG files (keys jpeg, offset, label, split, classes)")
    parser.add_argument("--side", type=int, default=64, help="px at which B0 would be trained")
    parser.add_argument("--width", type=float, default=0.5, help="factor on B0's widths")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5, help="rounds in which every way runs once")
    parser.add_argument("--packed", type=int, nargs="*", default=[2, 4], help="trainings at once, each in a process")
    parser.add_argument("--grid", action="store_true", help="only the default grid's networks, three seeds each")
    parser.add_argument("--grouped", action="store_true", help="train the grid's seeds as one network")
    parser.add_argument("--candidates", type=int, default=24, help="of the grid")
    parser.add_argument("--compile", action="store_true", help="measure torch.compile too (minutes)")
    parser.add_argument("--dry", action="store_true", help="a tiny pass of the same code on the CPU")
    args = parser.parse_args(arguments)
    if not args.dry and not torch.cuda.is_available():
        print("gpu.py needs a GPU that torch can use, and finds none; --dry tries the code on the CPU", file=sys.stderr)
        return 2
    if not args.dry and args.data is None:
        parser.error("--data is needed")
    with tempfile.TemporaryDirectory() as cache:
        bench = _dry(cache) if args.dry else _bench(args, cache)
        rows = grid_rows(bench, args.candidates, args.side, grouped=args.grouped) if args.grid else _rows(bench, args)
    print(table(rows))
    write_rows(args.json, rows)
    return 0


def _bench(args: argparse.Namespace, cache: str) -> Bench:
    data = prepare(DataSettings("npz_jpeg", path=str(args.data), cache_dir=cache), side=max(args.side * 2, 64))
    recipe = Recipe(epochs=args.epochs, batch_size=128, learning_rate=0.008, momentum=0.9, val_images=None)
    return Bench(_proxy(data, args.side, args.width), recipe, data, torch.device("cuda"))


def _dry(cache: str) -> Bench:
    settings = DataSettings("synthetic", size=300, classes=4, side=16, channels=1, val_fraction=0.2, cache_dir=cache)
    data = prepare(settings, side=16)
    recipe = Recipe(epochs=1, batch_size=16, train_images=224, val_images=40, learning_rate=0.01)
    return Bench(_proxy(data, 16, 0.1), recipe, data, torch.device("cpu"), seeds=(0, 1), workers=0)


def _proxy(data: PreparedData, side: int, width: float) -> NetSpec:
    return proxy_of(
        catalog_spec("efficientnet_b0"),
        baseline_resolution=224,
        settings=ProxySettings(width=width, width_divisor=4, resolution=side),
        num_classes=len(data.class_names),
        in_channels=data.channels,
    )


def _rows(bench: Bench, args: argparse.Namespace) -> list[Row]:
    rounds, packed = (1, [1]) if args.dry else (args.rounds, args.packed)
    rows = _speed_rows(bench, rounds, packed)
    rows += curve_rows(bench)
    rows.append(memory_row(bench))
    if bench.device.type == "cuda":
        rows.append(kernel_row(bench))
    if args.compile:
        rows += compile_rows(bench)
    return rows


def _speed_rows(bench: Bench, rounds: int, packed: Sequence[int]) -> list[Row]:
    """Trainings per hour and accuracies, every way in turn in every round; the first training of each is not timed."""
    ways: dict[str, Callable[[], tuple[float, list[float]]]] = {
        "peer": lambda: _timed(lambda seed: _peer(bench, seed), bench),
        "step by step": lambda: _timed(lambda seed: _ours(bench, seed, _Never()), bench),
        "CUDA graph": lambda: _timed(lambda seed: _ours(bench, seed, None), bench),
        "grouped": lambda: _grouped(bench),
    }
    for count in packed:
        ways[f"packed {count}"] = lambda count=count: packed_seconds(bench, count)  # type: ignore[misc]
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    accuracies: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            each, reached = way()
            seconds[name].append(each)
            accuracies[name] += reached
    per_hour = {name: 3600 / statistics.median(times) for name, times in seconds.items()}
    rows = [
        figure(
            f"trainings per hour, {name}",
            per_hour[name],
            per_hour["peer"],
            unit="1/h",
            repetitions=rounds,
            more_is_better=True,
            device=bench.named,
        )
        for name in ways
        if name != "peer"
    ]
    for name in ("step by step", "CUDA graph", "grouped"):
        means = statistics.mean(accuracies[name]), statistics.mean(accuracies["peer"])
        count = len(accuracies[name])
        what = f"accuracy, {name}"
        rows.append(figure(what, *means, unit="top-1", repetitions=count, more_is_better=True, device=bench.named))
    return rows


class _Never:
    """A capture that records nothing: every step is run from the host, on the same program."""

    def warm_up(self, step: Callable[[], None]) -> None:
        step()

    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        return step


def _timed(train: Callable[[int], float], bench: Bench) -> tuple[float, list[float]]:
    """Seconds of one training, and the accuracies, over all seeds one after the other."""
    start = time.perf_counter()
    accuracies = [train(seed) for seed in bench.seeds]
    return (time.perf_counter() - start) / len(bench.seeds), accuracies


def _peer(bench: Bench, seed: int) -> float:
    return train_peer(
        bench.spec,
        bench.recipe,
        bench.data,
        seed,
        normalisation=load_feed(bench.data, bench.recipe, bench.spec.resolution).normalisation,
        device=bench.device,
        dtype=autocast_dtype(bench.recipe, bench.device),
        workers=bench.workers,
    )


def _ours(bench: Bench, seed: int, capture: Capture | None) -> float:
    # resizing is paid in every training, as the peer pays it
    forget_feeds()
    result = train_net(bench.spec, bench.recipe, bench.data, seed, device=str(bench.device), capture=capture)
    return result.accuracy


def _grouped(bench: Bench) -> tuple[float, list[float]]:
    forget_feeds()
    start = time.perf_counter()
    results = train_group(bench.spec, bench.recipe, bench.data, bench.seeds, device=str(bench.device))
    seconds = (time.perf_counter() - start) / len(bench.seeds)
    return seconds, [result.accuracy for result in results if isinstance(result, TrainResult)]


if __name__ == "__main__":
    sys.exit(main())
