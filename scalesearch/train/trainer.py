"""One short training: a network, a recipe, data and a seed in; an accuracy out.

On a CPU the same arguments give the same weights bit for bit: initial weights, dropout and drop-path follow torch's
generator, forked and seeded; data order and augmentation follow a generator of their own, so that networks trained
with one seed see the same pictures in the same order.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from scalesearch.arch.spec import NetSpec
from scalesearch.data.prepared import PreparedData
from scalesearch.errors import DivergedError, SpecError
from scalesearch.nets.build import ImageClassifier, build_net, zero_init_residual
from scalesearch.nets.isolation import derived_seed, isolated, resolve_device
from scalesearch.train.captured_step import Capture, CaptureError, CudaCapture, reason_against_capture, run_program
from scalesearch.train.evaluation import Evaluation, evaluate
from scalesearch.train.feed import Feed, load_feed, steps_per_epoch
from scalesearch.train.loss_watch import LossWatch
from scalesearch.train.optimisation import make_average, make_optimizer, make_schedule
from scalesearch.train.precision import autocast_dtype, float32_arithmetic
from scalesearch.train.recipe import Recipe
from scalesearch.train.step_program import StepProgram

__all__ = ["TrainResult", "check_finite", "check_fit", "fresh_net", "train_net"]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What one training gave.

    Attributes:
        net: the trained network that was judged (the moving average where the recipe keeps one), in evaluation mode.
        accuracy: top-1 on the validation part, 0..1.
        loss: mean cross-entropy there, in nats.
        train_loss: mean training loss over the last tenth of the steps, with label smoothing.
        steps: optimiser steps.
        n_train, n_val: pictures used.
        device: where it ran.
        train_seconds: wall time of the training loop alone.
        execution: how its steps were run, and on a GPU why not as a CUDA graph; no part of what it is.
    """

    net: nn.Module
    accuracy: float
    loss: float
    train_loss: float
    steps: int
    n_train: int
    n_val: int
    device: str
    train_seconds: float
    execution: str


def train_net(
    spec: NetSpec,
    recipe: Recipe,
    data: PreparedData,
    seed: int,
    *,
    device: str = "auto",
    capture: Capture | None = None,
) -> TrainResult:
    """Train the network of `spec` from scratch and judge it on the validation part.

    Args:
        capture: how its step is recorded and replayed; None is a CUDA graph where that can be, else the plain loop.

    Raises:
        SpecError: the network does not take the data's channels or does not give its classes.
        DivergedError: the loss became NaN or infinite.
        DataError, ConfigError, ResourceError: see `load_feed` and `resolve_device`.
    """
    check_fit(spec, data)
    place = resolve_device(device)
    dtype = autocast_dtype(recipe, place)
    feed = load_feed(data, recipe, spec.resolution).to(place)
    steps = recipe.epochs * steps_per_epoch(recipe, len(feed.train_labels))
    with isolated(seed=seed, threads=recipe.threads, device=place), float32_arithmetic(recipe):
        net, train_loss, execution, train_seconds = _trained(
            spec, recipe, feed, seed=seed, device=place, dtype=dtype, capture=capture
        )
        judged = evaluate(net, feed, device=place, dtype=dtype)
    check_finite(judged, steps)
    return TrainResult(
        net=net.eval(),
        accuracy=judged.accuracy,
        loss=judged.loss,
        train_loss=train_loss,
        steps=steps,
        n_train=len(feed.train_labels),
        n_val=len(feed.val_labels),
        device=str(place),
        train_seconds=train_seconds,
        execution=execution,
    )


def _trained(
    spec: NetSpec,
    recipe: Recipe,
    feed: Feed,
    *,
    seed: int,
    device: torch.device,
    dtype: torch.dtype | None,
    capture: Capture | None,
) -> tuple[nn.Module, float, str, float]:
    """The network to judge, the final training loss, how the steps were run, and the seconds they took."""
    steps = recipe.epochs * steps_per_epoch(recipe, len(feed.train_labels))
    reason = None if capture else reason_against_capture(recipe, feed, steps, device=device, dtype=dtype)
    if reason is None:
        net = fresh_net(spec, recipe, device)
        started = time.perf_counter()
        try:
            order = torch.Generator().manual_seed(derived_seed(seed, "order"))
            program = StepProgram(net, recipe, feed, [order], dtype=dtype)
            watch = LossWatch()
            watch.take(run_program(program, capture or CudaCapture(device))[:, 0])
            return program.judged, watch.mean_of_last_tenth(), "replayed", time.perf_counter() - started
        except CaptureError as error:
            reason = f"cannot be recorded: {error}"
            # from the start: the same weights, dropout and pictures
            torch.manual_seed(derived_seed(seed, "weights"))
    net = fresh_net(spec, recipe, device)
    started = time.perf_counter()
    net_to_judge, train_loss = _train(net, recipe, feed, steps, seed=seed, device=device, dtype=dtype)
    return net_to_judge, train_loss, f"step by step ({reason})", time.perf_counter() - started


def fresh_net(spec: NetSpec, recipe: Recipe, device: torch.device) -> ImageClassifier:
    """The untrained network on its device, with the recipe's overrides; weights from torch's generator on the CPU."""
    if recipe.norm_momentum is not None:
        spec = spec.with_(norm_momentum=recipe.norm_momentum)
    net = build_net(spec, drop_path=recipe.drop_path, dropout=recipe.dropout)
    if recipe.zero_init_residual:
        zero_init_residual(net)
    return net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _train(
    net: nn.Module,
    recipe: Recipe,
    feed: Feed,
    steps: int,
    *,
    seed: int,
    device: torch.device,
    dtype: torch.dtype | None,
) -> tuple[nn.Module, float]:
    """The plain loop: returns the network to judge and the final training loss."""
    optimizer = make_optimizer(net, recipe)
    schedule = make_schedule(optimizer, recipe, steps)
    average = make_average(net, recipe.ema_decay)
    scaler = torch.amp.GradScaler(device.type, enabled=dtype is torch.float16)
    order = torch.Generator().manual_seed(derived_seed(seed, "order"))
    watch = LossWatch()
    net.train()
    for _ in range(recipe.epochs):
        for pictures, labels in feed.epoch(recipe, order=order, device=device):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
                loss = functional.cross_entropy(net(pictures), labels, label_smoothing=recipe.label_smoothing)
            watch.add(loss)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            schedule.step()
            if average is not None:
                average.update_parameters(net)
    watch.look()
    return (net if average is None else average.module), watch.mean_of_last_tenth()


def check_fit(spec: NetSpec, data: PreparedData) -> None:
    """Refuse a network that does not take the data's channels or does not give its classes."""
    if spec.in_channels != data.channels:
        raise SpecError(
            f"a network for {data.name} takes {data.channels} channels",
            value=spec.in_channels,
            way_out=f"set in_channels={data.channels}",
        )
    if spec.num_classes != len(data.class_names):
        raise SpecError(
            f"a network for {data.name} gives {len(data.class_names)} classes",
            value=spec.num_classes,
            way_out=f"set num_classes={len(data.class_names)}",
        )


def check_finite(judged: Evaluation, steps: int) -> None:
    """Refuse a network that diverged in its last steps."""
    if not math.isfinite(judged.loss):
        raise DivergedError(f"diverged at step {steps}: the validation loss became {judged.loss}")
