"""The whole training step as one CUDA graph: recorded once, replayed for every further step.

Short trainings of small networks wait for the host, not for the GPU: a step is some thousand kernels of a few
microseconds, and a replay launches them with one call. The first steps run one by one, as real steps of the training,
because libraries set themselves up in them; then the step is recorded, and the rest is replays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import torch
from torch import Tensor

from scalesearch.train.feed import Feed
from scalesearch.train.recipe import Recipe
from scalesearch.train.step_program import StepProgram

__all__ = ["WARM_UP_STEPS", "Capture", "CaptureError", "CudaCapture", "reason_against_capture", "run_program"]

#: steps that run one by one before the recording; torch's notes on CUDA graphs ask for a few
WARM_UP_STEPS: Final = 3
# a recording takes as long as a few steps that the host drives
_FEWEST_STEPS: Final = 4 * WARM_UP_STEPS


class CaptureError(Exception):
    """The step could not be recorded; the message says why. The training has to begin anew, another way."""


class Capture(Protocol):
    """How a step is recorded."""

    def warm_up(self, step: Callable[[], None]) -> None:
        """Run one step as it is, where the recording will look for what it set up."""

    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        """Record one step without running it; what is returned runs it.

        Raises:
            CaptureError: it cannot be recorded.
        """


class CudaCapture:
    """Records on a CUDA device."""

    def __init__(self, device: torch.device):
        self._stream = torch.cuda.Stream(device)

    def warm_up(self, step: Callable[[], None]) -> None:
        """On a stream of its own, as torch's notes on CUDA graphs ask for."""
        present = torch.cuda.current_stream()
        self._stream.wait_stream(present)
        with torch.cuda.stream(self._stream):
            step()
        present.wait_stream(self._stream)

    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        """As a graph in a memory pool of its own.

        Raises:
            CaptureError: the step waits for the device, or there is no memory for the recording.
        """
        graph = torch.cuda.CUDAGraph()
        try:
            # other threads of a worker may use the device meanwhile
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                step()
        except (RuntimeError, torch.OutOfMemoryError) as error:
            raise CaptureError(_first_reason(error)) from error
        return graph.replay


def _first_reason(error: BaseException) -> str:
    """One line from the error that came first: ending a recording that failed raises another one."""
    while error.__context__ is not None:
        error = error.__context__
    return " ".join(str(error).split())[:200]


def reason_against_capture(
    recipe: Recipe, feed: Feed, steps: int, *, device: torch.device, dtype: torch.dtype | None
) -> str | None:
    """Why a training is not recorded; None where it can be tried.

    Args:
        feed: after `Feed.to(device)`.
        steps: of the whole training.
        dtype: of mixed precision.
    """
    if device.type != "cuda":
        return f"no CUDA graphs on device {device.type}"
    if feed.train_images.device.type != "cuda":
        return "the pictures do not fit on the GPU"
    if steps < _FEWEST_STEPS:
        return f"{steps} steps are too few to record one"
    if recipe.optimizer == "rmsprop" and dtype is torch.float16:
        return "rmsprop under float16 asks the host at every step whether gradients are finite"
    return None


def run_program(program: StepProgram, capture: Capture | None) -> Tensor:
    """Run all epochs of a program; the host waits for the device once per epoch.

    It stops after an epoch in which every member diverged.

    Args:
        program: fresh.
        capture: how the step is recorded; None runs every step as it is.

    Returns:
        The losses, (steps, members), NaN or infinite where a member diverged.

    Raises:
        CaptureError: see `Capture.record`.
    """
    losses: list[Tensor] = []
    replay: Callable[[], None] | None = None
    for _ in range(program.steps // program.steps_per_epoch):
        program.begin_epoch()
        for step in range(program.steps_per_epoch):
            if capture is None:
                program.step()
            elif replay is None and len(losses) * program.steps_per_epoch + step < WARM_UP_STEPS:
                capture.warm_up(program.step)
            else:
                replay = replay or capture.record(program.step)
                replay()
        losses.append(program.losses())
        if not losses[-1].isfinite().all(0).any():
            break
    return torch.cat(losses)
