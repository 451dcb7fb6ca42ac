"""Watches the loss without waiting for the device at every step."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from scalesearch.errors import DivergedError

__all__ = ["LossWatch"]

_EVERY: Final = 20  # steps between looks, because each one waits for a GPU


class LossWatch:
    """Collects the loss of every step and stops a training that diverged.

    Args:
        before: steps that were taken before the first one watched here.
    """

    def __init__(self, before: int = 0) -> None:
        self._before = before
        self._pending: list[Tensor] = []
        self._seen: list[float] = []

    def add(self, loss: Tensor) -> None:
        """Take the loss of the next step.

        Raises:
            DivergedError: a loss among the latest steps was NaN or infinite; names the first such step, from 1.
        """
        self._pending.append(loss.detach())
        if len(self._pending) >= _EVERY:
            self.look()

    def look(self) -> None:
        """Look at the losses taken so far.

        Raises:
            DivergedError: as `add`.
        """
        if not self._pending:
            return
        losses = torch.stack(self._pending)
        self._pending.clear()
        self.take(losses)

    def take(self, losses: Tensor) -> None:
        """Look at the losses (steps,) of the next steps at once.

        Raises:
            DivergedError: as `add`.
        """
        values: list[float] = losses.tolist()
        for value in values:
            self._seen.append(value)
            if not math.isfinite(value):
                raise DivergedError(f"diverged at step {self._before + len(self._seen)}: the loss became {value}")

    def mean_of_last_tenth(self) -> float:
        """Mean loss over the last tenth of the steps seen."""
        last = self._seen[-max(1, len(self._seen) // 10) :]
        return sum(last) / len(last)

    def mean(self) -> float:
        """Mean loss over all steps seen."""
        return sum(self._seen) / len(self._seen)
