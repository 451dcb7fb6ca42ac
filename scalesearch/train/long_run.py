"""The longer training of one network: train, judge, save, epoch after epoch, and go on where it stopped.

On a CPU a training that was killed and resumed gives the same weights bit for bit as one that was not: optimiser,
moving average, random states and the order of the pictures are restored, and everything else is a function of the
epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from scalesearch.arch.spec import NetSpec
from scalesearch.errors import DataError, DivergedError
from scalesearch.nets.build import ImageClassifier, build_net, zero_init_residual
from scalesearch.nets.isolation import derived_seed, isolated, resolve_device
from scalesearch.train.augment import augmented
from scalesearch.train.averaging import make_warm_average
from scalesearch.train.checkpoint import CheckpointFolder
from scalesearch.train.evaluation import Evaluation
from scalesearch.train.long_recipe import LongRecipe
from scalesearch.train.loss_watch import LossWatch
from scalesearch.train.optimisation import make_optimizer
from scalesearch.train.peers import Peers
from scalesearch.train.precision import autocast_dtype
from scalesearch.train.rates import long_rate_factor
from scalesearch.train.stages import TrainStage, stage_at, stages_of
from scalesearch.train.supply import Supply
from scalesearch.train.training_state import EpochRow, TrainingState
from scalesearch.train.transfer import load_backbone, set_learning

__all__ = ["LongJob", "LongResult", "Watcher", "judge", "train_long"]

_STEP_SECONDS = 0.5  # between two signs of life within an epoch


@dataclass(frozen=True, slots=True)
class LongJob:
    """What is trained and how: with the pictures, all that decides the result.

    Args:
        spec: classes and channels are those of the pictures, the resolution is that of the last stage.
        identity: tells checkpoints of this training from any other's; covers spec, recipe, data, seed, init.
        init: weights to start from: keys and shapes of the network's, but for the classes.
    """

    spec: NetSpec
    recipe: LongRecipe
    seed: int
    identity: str
    device: str = "auto"
    init: Mapping[str, Tensor] | None = None


@dataclass(frozen=True, slots=True)
class LongResult:
    """`net` is the judged network after the last epoch, in evaluation mode; `rows` has one entry per epoch."""

    net: nn.Module
    rows: tuple[EpochRow, ...]
    device: str


class Watcher:
    """Told what happens; this one keeps silent."""

    def step(self, epoch: int, step: int, steps: int, images_per_second: float) -> None:
        """Within epoch `epoch` (from 1), `step` of `steps` are done; about twice a second."""

    def epoch(self, row: EpochRow) -> None:
        """An epoch is finished and its checkpoint on disk."""


def train_long(
    job: LongJob,
    supply: Supply,
    checkpoints: CheckpointFolder,
    *,
    peers: Peers = Peers(),  # noqa: B008 - frozen
    watcher: Watcher | None = None,
    breakable: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> LongResult:
    """Train to the end, from the last checkpoint where there is one.

    Args:
        checkpoints: the first worker writes them, all of them read them.
        breakable: wraps what may be lost: an epoch that is not finished.

    Raises:
        DivergedError: a loss became NaN or infinite; the checkpoints of the epochs before stay.
        InputError: a checkpoint that is broken or another training's, or a batch that cannot be divided.
        RunFolderError: a checkpoint cannot be written.
    """
    device = resolve_device(job.device)
    batch_size = min(job.recipe.batch_size, supply.n_train)
    peers.check_batch(batch_size)
    if batch_size < 2:
        raise DataError("a training needs at least 2 pictures", value=supply.n_train)
    with isolated(seed=job.seed, threads=job.recipe.threads, device=device):
        loop = _Loop(job, supply.to(device), device, peers, watcher or Watcher(), batch_size)
        saved = checkpoints.last()
        if saved is not None:
            loop.state.restore(saved, job.identity, peers)
        for epoch in range(len(loop.state.rows), job.recipe.epochs):
            with breakable():
                row = loop.epoch(epoch)
            loop.state.rows.append(row)
            content = loop.state.captured(job.identity, peers)
            if peers.rank == 0:
                checkpoints.save(content, epoch=epoch + 1, is_best=loop.state.best is row)
                loop.watcher.epoch(row)
            peers.barrier()
    return LongResult(loop.state.judged.eval(), tuple(loop.state.rows), str(device))


def judge(net: nn.Module, supply: Supply, *, device: torch.device, peers: Peers = Peers()) -> Evaluation:  # noqa: B008
    """Accuracy and loss on the validation part of `supply`, whose batches the workers share."""
    was_training = net.training
    net.eval()
    totals = torch.zeros(3, dtype=torch.float64)
    with torch.inference_mode():
        for number, (pictures, labels) in enumerate(supply.val(256)):
            if number % peers.size != peers.rank:
                continue
            batch = supply.normalisation.apply(pictures.to(device)).contiguous(memory_format=torch.channels_last)
            truth = labels.to(device)
            logits = net(batch).float()
            correct = (logits.argmax(1) == truth).sum()
            loss = functional.cross_entropy(logits, truth, reduction="sum")
            totals += torch.tensor([float(correct), float(loss), len(truth)], dtype=torch.float64)
    net.train(was_training)
    correct, loss, count = peers.total(totals).tolist()
    return Evaluation(correct / count, loss / count)


class _Loop:
    """One training under way."""

    def __init__(
        self, job: LongJob, supply: Supply, device: torch.device, peers: Peers, watcher: Watcher, batch_size: int
    ):
        self.job, self.supply, self.device, self.peers, self.watcher = job, supply, device, peers, watcher
        self.batch_size = batch_size
        self.steps = supply.n_train // batch_size
        self.dtype = autocast_dtype(job.recipe.short, device)
        net = _first_net(job).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if peers.rank:  # workers drop other paths
            torch.manual_seed(derived_seed(job.seed, f"worker {peers.rank}"))
        self.stages = stages_of(
            job.recipe, resolution=job.spec.resolution, dropout=net.dropout.p, total_stride=job.spec.total_stride
        )
        self.state = TrainingState(
            net=net,
            optimizer=make_optimizer(net, job.recipe.short),
            average=make_warm_average(net, job.recipe.ema_decay),
            scaler=torch.amp.GradScaler(device.type, enabled=self.dtype is torch.float16),
            order=torch.Generator().manual_seed(derived_seed(job.seed, "order")),
            device=device,
        )
        self._module: tuple[bool, nn.Module] | None = None  # wrapped anew when frozen parts thaw

    def epoch(self, epoch: int) -> EpochRow:
        """Train and judge one epoch, counted from 0."""
        started = time.perf_counter()
        stage = stage_at(self.stages, epoch)
        train_loss, rate = self._train(epoch, stage)
        seconds = time.perf_counter() - started
        for net in (self.state.net, self.state.average):
            self.peers.average_buffers(net)
        judged = judge(self.state.judged, self.supply, device=self.device, peers=self.peers)
        if not math.isfinite(judged.loss):
            raise DivergedError(f"diverged in epoch {epoch + 1}: the validation loss became {judged.loss}")
        return EpochRow(
            epoch=epoch + 1,
            train_loss=train_loss,
            val_accuracy=judged.accuracy,
            val_loss=judged.loss,
            learning_rate=rate,
            images_per_second=self.steps * self.batch_size / seconds,
            seconds=time.perf_counter() - started,
            resolution=stage.resolution,
        )

    def _train(self, epoch: int, stage: TrainStage) -> tuple[float, float]:
        """The steps of an epoch: mean loss and the last learning rate."""
        recipe, state = self.job.recipe, self.state
        module = self._learning(epoch, stage)
        watch, rate = LossWatch(before=epoch * self.steps), 0.0
        started = told = time.perf_counter()
        for step, (pictures, labels) in enumerate(self.supply.train(self.batch_size, state.order)):
            rate = recipe.learning_rate * long_rate_factor(recipe, epoch * self.steps + step, self.steps)
            for group in state.optimizer.param_groups:
                group["lr"] = rate
            watch.add(self._step(module, pictures, labels, stage))
            now = time.perf_counter()
            if now - told > _STEP_SECONDS and self.peers.rank == 0:
                told = now
                self.watcher.step(epoch + 1, step + 1, self.steps, (step + 1) * self.batch_size / (now - started))
        watch.look()
        mean = self.peers.total(torch.tensor([watch.mean()], dtype=torch.float64))
        return float(mean) / self.peers.size, rate

    def _step(self, module: nn.Module, pictures: Tensor, labels: Tensor, stage: TrainStage) -> Tensor:
        recipe, state = self.job.recipe, self.state
        # every worker prepares the whole batch, so that its pictures do not depend on the number of workers
        batch = augmented(
            pictures.to(self.device, non_blocking=True),
            labels.to(self.device, non_blocking=True),
            recipe=recipe,
            stage=stage,
            normalisation=self.supply.normalisation,
            generator=state.order,
        ).part(self.peers.rank, self.peers.size)
        state.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None):
            loss = batch.loss(module(batch.pictures), recipe.label_smoothing)
        state.scaler.scale(loss).backward()
        state.scaler.step(state.optimizer)
        state.scaler.update()
        if state.average is not None:
            state.average.update_parameters(state.net)
        return loss

    def _learning(self, epoch: int, stage: TrainStage) -> nn.Module:
        """The network in the mode of an epoch: what is frozen, and its dropout."""
        frozen = epoch < self.job.recipe.freeze_epochs
        self.state.net.dropout.p = stage.dropout
        set_learning(self.state.net, frozen=frozen)
        if self._module is None or self._module[0] != frozen:
            self._module = (frozen, self.peers.wrapped(self.state.net))
        return self._module[1]


def _first_net(job: LongJob) -> ImageClassifier:
    recipe, spec = job.recipe, job.spec
    assert job.init is not None or not recipe.freeze_epochs, "random weights are not worth freezing"
    if recipe.norm_momentum is not None:
        spec = spec.with_(norm_momentum=recipe.norm_momentum)
    net = build_net(spec, drop_path=recipe.drop_path, dropout=recipe.dropout)
    if recipe.zero_init_residual:
        zero_init_residual(net)
    if job.init is not None:
        load_backbone(net, job.init)
    return net
