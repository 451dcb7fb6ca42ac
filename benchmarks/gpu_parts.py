"""The rows of `gpu.py` that are no race: loss curves, kernels, memory, compiling, packed processes, the grid."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from rows import Row, figure

from scalesearch.arch.catalog import catalog_spec
from scalesearch.arch.iso_cost import IsoCostSettings, plan_candidates
from scalesearch.arch.proxy import ProxySettings, proxy_of
from scalesearch.arch.spec import NetSpec
from scalesearch.data.prepared import PreparedData
from scalesearch.errors import DivergedError
from scalesearch.nets.isolation import derived_seed, isolated
from scalesearch.train.captured_step import CudaCapture, run_program
from scalesearch.train.feed import Feed, forget_feeds, load_feed
from scalesearch.train.grouped_trainer import grouped_from_seeds, train_group
from scalesearch.train.memory import estimate_memory
from scalesearch.train.precision import autocast_dtype, float32_arithmetic
from scalesearch.train.recipe import Recipe
from scalesearch.train.step_program import StepProgram
from scalesearch.train.trainer import TrainResult, fresh_net, train_net

__all__ = ["Bench", "compile_rows", "curve_rows", "grid_rows", "kernel_row", "memory_row", "packed_seconds"]

_MATRIX_KERNELS = ("conv", "gemm", "cutlass", "wgrad", "dgrad", "fprop", "xmma", "matmul", "sm80_", "sm90_", "implicit")


@dataclass(frozen=True)
class Bench:
    """What is trained, and where."""

    spec: NetSpec
    recipe: Recipe
    data: PreparedData
    device: torch.device
    seeds: tuple[int, ...] = (0, 1, 2)
    workers: int = 8

    @property
    def named(self) -> str:
        """For rows."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "CPU (dry)"
        return f"{name}, torch {torch.__version__}"

    @property
    def feed(self) -> Feed:
        """The pictures on the device."""
        return load_feed(self.data, self.recipe, self.spec.resolution).to(self.device)

    def row(self, name: str, ours: float, peer: float | None = None, *, unit: str, repetitions: int = 1) -> Row:
        """A figure of this device."""
        return figure(name, ours, peer, unit=unit, repetitions=repetitions, device=self.named)


def _program(bench: Bench, seeds: tuple[int, ...], *, dtype: torch.dtype | None, compiled: bool = False) -> StepProgram:
    orders = [torch.Generator().manual_seed(derived_seed(seed, "order")) for seed in seeds]
    if len(seeds) == 1:
        torch.manual_seed(derived_seed(seeds[0], "weights"))
        net: torch.nn.Module = fresh_net(bench.spec, bench.recipe, bench.device)
    else:
        net = grouped_from_seeds(bench.spec, bench.recipe, seeds, bench.device)
    forward = torch.compile(net, dynamic=False) if compiled else None
    return StepProgram(net, bench.recipe, bench.feed, orders, dtype=dtype, forward=forward)


def _curve(bench: Bench, seeds: tuple[int, ...], *, dtype: torch.dtype | None, capture: bool) -> torch.Tensor:
    recorded = CudaCapture(bench.device) if capture and bench.device.type == "cuda" else None
    with isolated(seed=seeds[0], threads=1, device=bench.device), float32_arithmetic(bench.recipe):
        return run_program(_program(bench, seeds, dtype=dtype), recorded)


def curve_rows(bench: Bench) -> list[Row]:
    """How far loss curves lie from the one of float32, run step by step: mean and largest difference in nats.

    A second float32 curve, from the same seed, says how far two equal trainings lie apart on this device.
    """
    exact = replace(bench, recipe=replace(bench.recipe, precision="float32"))
    seeds = bench.seeds
    plain = _curve(exact, seeds[:1], dtype=None, capture=False)[:, 0]
    dtype = autocast_dtype(bench.recipe, bench.device)
    others = {
        "float32 again": _curve(exact, seeds[:1], dtype=None, capture=False)[:, 0],
        "float32, CUDA graph": _curve(exact, seeds[:1], dtype=None, capture=True)[:, 0],
        "float32, grouped": _curve(exact, seeds, dtype=None, capture=True)[:, 0],
        "mixed precision, CUDA graph": _curve(bench, seeds[:1], dtype=dtype, capture=True)[:, 0],
    }
    rows = []
    for name, losses in others.items():
        apart = (losses - plain).abs()
        rows.append(bench.row(f"loss curve, {name}: mean distance", float(apart.mean()), unit="nats"))
        first = float(apart[: max(1, len(apart) // 10)].max())
        rows.append(bench.row(f"loss curve, {name}: largest in the first tenth", first, unit="nats"))
    return rows


def kernel_row(bench: Bench) -> Row:
    """Share of the time between first and last kernel that convolutions and matrix products take, replayed."""
    from torch.autograd import DeviceType

    program = _program(bench, bench.seeds[:1], dtype=autocast_dtype(bench.recipe, bench.device))
    capture = CudaCapture(bench.device)
    program.begin_epoch()
    for _ in range(3):
        capture.warm_up(program.step)
    replay = capture.record(program.step)
    steps = min(20, program.steps_per_epoch - 3)
    torch.cuda.synchronize()
    start = time.perf_counter()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        for _ in range(steps):
            replay()
        torch.cuda.synchronize()
    wall = (time.perf_counter() - start) * 1e6
    kernels: list[Any] = [event for event in profile.events() if event.device_type == DeviceType.CUDA]
    matrix = sum(
        event.device_time_total for event in kernels if any(part in event.name.lower() for part in _MATRIX_KERNELS)
    )
    busy = sum(event.device_time_total for event in kernels)
    by_name: dict[str, float] = {}
    for event in kernels:
        by_name[event.name] = by_name.get(event.name, 0.0) + event.device_time_total
    for name, spent in sorted(by_name.items(), key=lambda item: -item[1])[:15]:
        print(f"{spent / busy:6.1%} of kernel time  {name[:100]}")
    print(f"kernels busy {busy / wall:.0%} of the wall time of the replays")
    return bench.row(
        "share of kernel time in convolutions and matrix products", matrix / busy, unit="1", repetitions=steps
    )


def memory_row(bench: Bench) -> Row:
    """The estimate beside the allocator's peak; on a CPU there is none (tests/train/test_memory.py compares there)."""
    recipe, pictures = bench.recipe, len(bench.feed.train_labels) + len(bench.feed.val_labels)
    narrow = autocast_dtype(recipe, bench.device) is not None
    estimate = estimate_memory(
        bench.spec, recipe, pictures=pictures, bytes_per_activation=2 if narrow else 4, gpu=bench.device.type == "cuda"
    )
    peak = None
    if bench.device.type == "cuda":
        torch.cuda.empty_cache()
        free = torch.cuda.mem_get_info(bench.device)[0]
        torch.cuda.reset_peak_memory_stats(bench.device)
        train_net(bench.spec, recipe, bench.data, bench.seeds[0], device=str(bench.device))
        peak = float(torch.cuda.max_memory_reserved(bench.device))
        print(f"free before {free / 2**20:,.0f} MiB, peak reserved {peak / 2**20:,.0f} MiB, {estimate}")
    return bench.row("memory of a training: estimate, beside the allocator's peak", estimate.total, peak, unit="bytes")


def compile_rows(bench: Bench) -> list[Row]:
    """Seconds that compiling takes, and the time of a step without it and with it."""
    dtype, seconds = autocast_dtype(bench.recipe, bench.device), {}
    for compiled in (False, True):
        program = _program(bench, bench.seeds[:1], dtype=dtype, compiled=compiled)
        program.begin_epoch()
        start = time.perf_counter()
        program.step()
        program.losses()
        first = time.perf_counter() - start
        start = time.perf_counter()
        steps = min(10, program.steps_per_epoch - 1)
        for _ in range(steps):
            program.step()
        program.losses()
        seconds[compiled] = first, (time.perf_counter() - start) / steps
    cost = seconds[True][0] - seconds[False][0]
    return [
        bench.row("torch.compile: first step, more than without", cost, unit="s"),
        bench.row("torch.compile: one step, beside one without", seconds[True][1], seconds[False][1], unit="s"),
    ]


def packed_seconds(bench: Bench, count: int) -> tuple[float, list[float]]:
    """Seconds of one training where `count` processes share the device, and accuracies; start-up is not counted."""
    context = torch.multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(count + 1), context.Queue()
    processes = [context.Process(target=_packed, args=(bench, barrier, answers)) for _ in range(count)]
    for process in processes:
        process.start()
    barrier.wait()
    start = time.perf_counter()
    accuracies = [accuracy for _ in processes for accuracy in answers.get()]
    seconds = time.perf_counter() - start
    for process in processes:
        process.join()
    return seconds / len(accuracies), accuracies


def _packed(bench: Bench, barrier: Any, answers: Any) -> None:
    train_net(bench.spec, bench.recipe, bench.data, 99, device=str(bench.device))  # libraries set themselves up
    barrier.wait()
    reached = []
    for seed in bench.seeds:
        forget_feeds()
        reached.append(train_net(bench.spec, bench.recipe, bench.data, seed, device=str(bench.device)).accuracy)
    answers.put(reached)


def grid_rows(bench: Bench, candidates: int, side: int, *, grouped: bool) -> list[Row]:
    """The default grid's networks, every seed: seconds, and every accuracy on the screen as a line of CSV."""
    base = catalog_spec("efficientnet_b0")
    plan = plan_candidates(base, IsoCostSettings(max_candidates=candidates))
    proxy = ProxySettings(width=0.5, width_divisor=4, resolution=side)
    print("alpha,beta,gamma,resolution,macs,accuracy_mean,accuracies,seconds,execution")
    start, trainings = time.perf_counter(), 0
    for candidate in plan.kept:
        spec = proxy_of(
            candidate.spec,
            baseline_resolution=base.resolution,
            settings=proxy,
            num_classes=len(bench.data.class_names),
            in_channels=bench.data.channels,
        )
        begun = time.perf_counter()
        results = list(_trained(bench, spec, grouped=grouped))
        reached = [result.accuracy for result in results]
        trainings += len(bench.seeds)
        c, how = candidate.coefficients, next((result.execution for result in results), "diverged")
        print(
            f"{c.alpha:.3f},{c.beta:.3f},{c.gamma:.3f},{spec.resolution},{candidate.cost.macs},"
            f"{statistics.mean(reached) if reached else float('nan'):.4f},"
            f"{' '.join(f'{accuracy:.4f}' for accuracy in reached)},{time.perf_counter() - begun:.2f},{how}",
            flush=True,
        )
    seconds = time.perf_counter() - start
    name = f"grid of {len(plan.kept)} candidates x {len(bench.seeds)} seeds, B0 at {side} px"
    return [
        bench.row(name, seconds, unit="s", repetitions=1),
        bench.row("trainings per hour in the grid", 3600 * trainings / seconds, unit="1/h", repetitions=trainings),
    ]


def _trained(bench: Bench, spec: NetSpec, *, grouped: bool) -> Iterator[TrainResult]:
    """The seeds of one candidate that did not diverge."""
    device = str(bench.device)
    if grouped:
        results = train_group(spec, bench.recipe, bench.data, bench.seeds, device=device)
        yield from (result for result in results if isinstance(result, TrainResult))
        return
    for seed in bench.seeds:
        with suppress(DivergedError):
            yield train_net(spec, bench.recipe, bench.data, seed, device=device)
