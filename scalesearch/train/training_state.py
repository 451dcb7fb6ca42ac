"""Everything a longer training carries from one epoch to the next, and how it is saved and restored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from scalesearch.arch.spec import NetSpec
from scalesearch.errors import InputError
from scalesearch.nets.build import ImageClassifier, build_net
from scalesearch.train.peers import Peers

__all__ = ["EpochRow", "TrainingState", "judged_net", "saved_rows"]

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class EpochRow:
    """What one epoch gave.

    Attributes:
        epoch: counted from 1.
        train_loss: mean over its steps, with label smoothing and mixup, in nats.
        val_accuracy, val_loss: of the network that is judged (the moving average where there is one); loss in nats.
        learning_rate: of its last step.
        images_per_second: while training, judging not counted.
        seconds: of the epoch with judging.
        resolution: side of the training pictures in pixels.
    """

    epoch: int
    train_loss: float
    val_accuracy: float
    val_loss: float
    learning_rate: float
    images_per_second: float
    seconds: float
    resolution: int


@dataclass(slots=True)
class TrainingState:
    """The parts of a training under way; `rows` has one entry for every finished epoch."""

    net: ImageClassifier
    optimizer: Optimizer
    average: AveragedModel | None
    scaler: torch.amp.GradScaler
    order: torch.Generator
    device: torch.device
    rows: list[EpochRow] = field(default_factory=list)

    @property
    def judged(self) -> nn.Module:
        """The network that is judged and exported."""
        return self.net if self.average is None else self.average.module

    @property
    def best(self) -> EpochRow | None:
        """The first epoch of the highest validation accuracy."""
        return max(self.rows, key=lambda row: row.val_accuracy, default=None)

    def captured(self, identity: str, peers: Peers) -> dict[str, Any]:
        """Plain types for a checkpoint; every worker takes part, the first one's is to be written."""
        return {
            "format": _FORMAT,
            "identity": identity,
            "device": self.device.type,
            "workers": peers.size,
            "net": self.net.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "order": self.order.get_state(),
            "random": peers.gathered(torch.get_rng_state()),
            "device_random": peers.gathered(self._device_random()),
            "rows": [asdict(row) for row in self.rows],
        }

    def restore(self, saved: Mapping[str, Any], identity: str, peers: Peers) -> None:
        """Take over what `captured` gave.

        Raises:
            InputError: the checkpoint belongs to another training, or another kind of device or number of workers.
        """
        wanted = {"format": _FORMAT, "identity": identity, "device": self.device.type, "workers": peers.size}
        for key, value in wanted.items():
            if saved.get(key) != value:
                raise InputError(
                    f"a training goes on from a checkpoint of its own ({key} {value})",
                    value=saved.get(key),
                    way_out="choose another --name to begin anew",
                )
        self.net.load_state_dict(saved["net"])
        if self.average is not None:
            self.average.load_state_dict(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"])
        self.order.set_state(saved["order"])
        torch.set_rng_state(saved["random"][peers.rank])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(saved["device_random"][peers.rank], self.device)
        self.rows = [EpochRow(**row) for row in saved["rows"]]

    def _device_random(self) -> torch.Tensor:
        return torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else torch.empty(0)


def judged_net(saved: Mapping[str, Any], spec: NetSpec) -> ImageClassifier:
    """The network that a checkpoint's last row judged, in evaluation mode."""
    net = build_net(spec)
    weights = saved["net"]
    if saved["average"] is not None:
        prefix = "module."
        average = saved["average"]
        weights = {name.removeprefix(prefix): average[name] for name in average if name.startswith(prefix)}
    net.load_state_dict(weights)
    return net.eval()


def saved_rows(saved: Mapping[str, Any]) -> tuple[EpochRow, ...]:
    """The epochs that a checkpoint knows of."""
    return tuple(EpochRow(**row) for row in saved["rows"])
