"""Several seeds of one trial trained as one network of as many times the width.

Each seed keeps its own weights, pictures and order of pictures; the optimiser works element by element, and the loss is
the sum of theirs, so that what comes out is what each training gives alone, up to rounding.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from scalesearch.arch.spec import NetSpec
from scalesearch.data.prepared import PreparedData
from scalesearch.errors import DivergedError
from scalesearch.nets.build import ImageClassifier
from scalesearch.nets.grouped import group_nets, reason_against_grouping, ungroup
from scalesearch.nets.isolation import derived_seed, isolated, resolve_device
from scalesearch.train.captured_step import Capture, CaptureError, CudaCapture, reason_against_capture, run_program
from scalesearch.train.evaluation import evaluate
from scalesearch.train.feed import Feed, load_feed, steps_per_epoch
from scalesearch.train.loss_watch import LossWatch
from scalesearch.train.precision import autocast_dtype, float32_arithmetic
from scalesearch.train.recipe import Recipe
from scalesearch.train.step_program import StepProgram
from scalesearch.train.trainer import TrainResult, check_finite, check_fit, fresh_net

__all__ = ["reason_against_a_group", "train_group"]


def reason_against_a_group(spec: NetSpec, recipe: Recipe, seeds: Sequence[int], *, device: str = "auto") -> str | None:
    """Why these seeds are not trained as one network; None where they can be.

    Raises:
        as `train_net`.
    """
    place = resolve_device(device)
    if len(set(seeds)) < 2:
        return "a group needs two seeds"
    if autocast_dtype(recipe, place) is torch.float16:
        return "float16 scales the losses of all seeds alike, so that one that overflows would stop the others"
    with isolated(seed=0, threads=1, device=torch.device("cpu")):
        return reason_against_grouping(fresh_net(spec, recipe, torch.device("cpu")))


def train_group(
    spec: NetSpec,
    recipe: Recipe,
    data: PreparedData,
    seeds: Sequence[int],
    *,
    device: str = "auto",
    capture: Capture | None = None,
) -> list[TrainResult | DivergedError]:
    """Train the network of `spec` once for each seed, all at once; there must be no reason against it.

    Args:
        capture: as for `train_net`.

    Returns:
        For each seed its result, or why it has none; `train_seconds` is the whole time over the number of seeds.

    Raises:
        as `train_net`, but for DivergedError.
    """
    check_fit(spec, data)
    place = resolve_device(device)
    dtype = autocast_dtype(recipe, place)
    feed = load_feed(data, recipe, spec.resolution).to(place)
    steps = recipe.epochs * steps_per_epoch(recipe, len(feed.train_labels))
    reason = None if capture else reason_against_capture(recipe, feed, steps, device=place, dtype=dtype)
    with isolated(seed=seeds[0], threads=recipe.threads, device=place), float32_arithmetic(recipe):
        started = time.perf_counter()
        if reason is None:
            try:
                program = _program(spec, recipe, feed, seeds, place, dtype)
                losses = run_program(program, capture or CudaCapture(place))
            except CaptureError as error:
                reason = f"cannot be recorded: {error}"
        if reason is not None:
            program = _program(spec, recipe, feed, seeds, place, dtype)
            losses = run_program(program, None)
        seconds = (time.perf_counter() - started) / len(seeds)
        how = f"grouped {len(seeds)}, " + ("replayed" if reason is None else f"step by step ({reason})")
        like = fresh_net(spec, recipe, place)
        return [
            _result(
                ungroup(program.judged, like, member),
                losses[:, member],
                feed,
                steps,
                device=place,
                dtype=dtype,
                seconds=seconds,
                how=how,
            )
            for member in range(len(seeds))
        ]


def grouped_from_seeds(spec: NetSpec, recipe: Recipe, seeds: Sequence[int], device: torch.device) -> ImageClassifier:
    """The untrained networks that `train_net` would begin with, as one."""
    nets = []
    for seed in seeds:
        torch.manual_seed(derived_seed(seed, "weights"))
        nets.append(fresh_net(spec, recipe, torch.device("cpu")))
    return group_nets(nets).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _program(
    spec: NetSpec,
    recipe: Recipe,
    feed: Feed,
    seeds: Sequence[int],
    device: torch.device,
    dtype: torch.dtype | None,
) -> StepProgram:
    orders = [torch.Generator().manual_seed(derived_seed(seed, "order")) for seed in seeds]
    return StepProgram(grouped_from_seeds(spec, recipe, seeds, device), recipe, feed, orders, dtype=dtype)


def _result(
    net: ImageClassifier,
    losses: torch.Tensor,
    feed: Feed,
    steps: int,
    *,
    device: torch.device,
    dtype: torch.dtype | None,
    seconds: float,
    how: str,
) -> TrainResult | DivergedError:
    watch = LossWatch()
    try:
        watch.take(losses)
        judged = evaluate(net, feed, device=device, dtype=dtype)
        check_finite(judged, steps)
    except DivergedError as error:
        return error
    return TrainResult(
        net=net.eval(),
        accuracy=judged.accuracy,
        loss=judged.loss,
        train_loss=watch.mean_of_last_tenth(),
        steps=steps,
        n_train=len(feed.train_labels),
        n_val=len(feed.val_labels),
        device=str(device),
        train_seconds=seconds,
        execution=how,
    )
