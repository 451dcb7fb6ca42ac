"""A training as one step on buffers that never move: what a CUDA graph can record, and what runs on a CPU alike.

Every tensor that changes from step to step lies in a buffer: the epoch's draw, the learning rates, the number of the
step, the losses. `step` reads them through an index on the device, so that it needs no number from the host and
gives none back. Between two epochs the host copies a new draw in and reads the losses; between two steps, nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from scalesearch.data.loading import crop
from scalesearch.train.device_average import DeviceAverage
from scalesearch.train.epoch_draw import draw_epoch
from scalesearch.train.feed import Feed, steps_per_epoch
from scalesearch.train.optimisation import make_optimizer, rate_factor
from scalesearch.train.recipe import Recipe

__all__ = ["StepProgram"]


class StepProgram:
    """The steps of `members` trainings of one network, side by side.

    Args:
        net: maps pictures (batch, members * channels, side, side) to logits, (batch, classes) for one member and
            (batch, members, classes) for several; on its device, in training mode.
        recipe: of every member.
        feed: pictures on the network's device.
        generators: of each member's data order and crops, on the CPU.
        dtype: of mixed precision; None computes in the type of the weights.
        forward: what computes the logits; None is `net` itself (a compiled form of it otherwise).

    Attributes:
        net: the network whose weights move.
        steps_per_epoch, steps: optimiser steps.
        optimizer: fused and, on a GPU, capturable.
    """

    def __init__(
        self,
        net: nn.Module,
        recipe: Recipe,
        feed: Feed,
        generators: Sequence[torch.Generator],
        *,
        dtype: torch.dtype | None = None,
        forward: Callable[[Tensor], Tensor] | None = None,
    ):
        weight = next(net.parameters())
        device, self._kind = weight.device, weight.dtype
        self.net, self._forward = net, forward or net
        self._recipe, self._feed, self._generators = recipe, feed, list(generators)
        self._device, self._dtype = device, dtype
        count = len(feed.train_labels)
        self.steps_per_epoch = steps_per_epoch(recipe, count)
        self.steps = recipe.epochs * self.steps_per_epoch
        self._size = min(recipe.batch_size, count)
        self._pad = round(recipe.crop_padding * feed.train_images.shape[-1])
        # torch takes capturable on no CPU
        self.optimizer = make_optimizer(net, recipe, capturable=device.type == "cuda")
        self._average = DeviceAverage(net, recipe.ema_decay) if recipe.ema_decay else None
        self._scaler = torch.amp.GradScaler(device.type, enabled=dtype is torch.float16)
        shift, scale = feed.normalisation.terms(device)
        self._shift, self._scale = shift.to(self._kind), scale.to(self._kind)
        self._position = torch.zeros(1, dtype=torch.int64, device=device)  # step within the epoch
        self._number = torch.zeros(1, dtype=torch.int64, device=device)  # step within the training
        self._losses = torch.zeros(self.steps_per_epoch, self.members, dtype=self._kind, device=device)
        self._rates = self._all_rates()
        self._rate = torch.zeros((), dtype=self._rates.dtype, device=device)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate
        self._draw: list[Tensor] = []

    @property
    def members(self) -> int:
        """Trainings side by side."""
        return len(self._generators)

    @property
    def judged(self) -> nn.Module:
        """The network to judge: the moving average where the recipe keeps one."""
        return self.net if self._average is None else self._average.net

    def begin_epoch(self) -> None:
        """Draw the next epoch and copy it into the buffers that `step` reads; waits for nothing."""
        count = len(self._feed.train_labels)
        drawn = draw_epoch(self._generators, self._recipe, count=count, size=self._size, pad=self._pad).tensors()
        if not self._draw:
            self._draw = [torch.empty_like(tensor, device=self._device) for tensor in drawn]
        for buffer, tensor in zip(self._draw, drawn, strict=True):
            pinned = tensor.pin_memory() if self._device.type == "cuda" else tensor
            buffer.copy_(pinned, non_blocking=True)
        self._position.zero_()

    def step(self) -> None:
        """One step of every member: pictures, loss, gradients, weights; on the device alone."""
        pictures, labels = self._batch()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self._device.type, dtype=self._dtype, enabled=self._dtype is not None):
            losses = self._loss(self._forward(pictures), labels)
        self._scaler.scale(losses.sum()).backward()
        self._rate.copy_(self._rates.index_select(0, self._number)[0])
        self._scaler.step(self.optimizer)
        self._scaler.update()
        if self._average is not None:
            self._average.update()
        self._losses.index_copy_(0, self._position, losses.detach()[None].to(self._kind))
        self._position.add_(1)
        self._number.add_(1)

    def losses(self) -> Tensor:
        """Losses of the epoch, (steps, members) on the CPU: the one place where the host waits for the device."""
        return self._losses.to("cpu", copy=True)

    def _batch(self) -> tuple[Tensor, Tensor]:
        """Pictures (batch, members * channels, side, side) in the type of the weights, labels (members, batch)."""
        picks, *crops = (buffer.index_select(0, self._position)[0] for buffer in self._draw)
        pictures = self._feed.train_images.index_select(0, picks)
        if crops:
            pictures = crop(pictures, *crops, pad=self._pad, flip=self._recipe.flip)
        pictures = torch.addcmul(self._shift, pictures.to(self._kind), self._scale)
        if self.members > 1:
            _, channels, *sides = pictures.shape
            apart = pictures.view(self.members, self._size, channels, *sides)
            pictures = apart.transpose(0, 1).reshape(self._size, self.members * channels, *sides)
        labels = self._feed.train_labels.index_select(0, picks).view(self.members, self._size)
        return pictures.contiguous(memory_format=torch.channels_last), labels

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy of every member, (members,), in nats."""
        smoothing = self._recipe.label_smoothing
        if self.members == 1:
            return functional.cross_entropy(logits, labels[0], label_smoothing=smoothing)[None]
        # a sum over members keeps their gradients apart: no weight is shared
        each = functional.cross_entropy(
            logits.transpose(0, 1).flatten(0, 1), labels.flatten(), label_smoothing=smoothing, reduction="none"
        )
        return each.view_as(labels).mean(1)

    def _all_rates(self) -> Tensor:
        """The learning rate of every step; float32 on a GPU, because its fused optimisers read that type."""
        warmup_steps = round(self._recipe.warmup * self.steps)
        factors = [rate_factor(step, self.steps, warmup_steps) for step in range(self.steps)]
        kind = torch.float32 if self._device.type == "cuda" else torch.float64
        return (torch.tensor(factors, dtype=torch.float64) * self._recipe.learning_rate).to(self._device, kind)
