"""How much memory a training takes, told before it starts: closed form, calibrated against measured peaks.

peak = weights + gradients + optimiser state + average + what is kept for the backward pass + pictures + workspace.

What is kept follows the output elements of convolutions and linear layers (`Cost.activations`): each is followed by a
norm and mostly by an activation, and each of those keeps what it was given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scalesearch.arch.cost import cost_of
from scalesearch.arch.spec import NetSpec
from scalesearch.train.recipe import Recipe

__all__ = ["MemoryEstimate", "estimate_memory", "trainings_that_fit"]

#: tensors alive at the peak for each output element of a convolution: its output, the norm's, the activation's, and the
#: gradients on their way back. Calibrated on a CPU, where six networks took 1.9 (ReLU, in place) to 3.1 (SiLU)
_TENSORS_PER_ACTIVATION: Final = 3.2
#: numbers of optimiser state per weight
_STATES: Final = {"adamw": 2, "sgd": 1, "rmsprop": 2}
#: libraries ask for scratch memory: a share of what is kept; at least so much on a GPU (an assumption, unmeasured)
_WORKSPACE_SHARE: Final = 0.1
_GPU_WORKSPACE: Final = 256 * 2**20
#: what a process on a GPU takes before its first tensor (context and kernels; an assumption, unmeasured)
_GPU_CONTEXT: Final = 600 * 2**20


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes of one training at its peak.

    weights: weights, gradients, optimiser state, moving average.
    kept: activations and their gradients.
    pictures: the data set at the training's resolution.
    workspace: scratch memory of libraries, and on a GPU what the process itself takes.
    """

    weights: int
    kept: int
    pictures: int
    workspace: int

    @property
    def total(self) -> int:
        """The sum."""
        return self.weights + self.kept + self.pictures + self.workspace


def estimate_memory(
    spec: NetSpec, recipe: Recipe, *, pictures: int, members: int = 1, bytes_per_activation: int = 4, gpu: bool = True
) -> MemoryEstimate:
    """The peak of a training, in bytes.

    Args:
        spec: the network that is trained, at its resolution.
        pictures: of the training and validation parts together, uint8.
        members: seeds trained as one network.
        bytes_per_activation: 4 in float32, 2 under bfloat16 and float16.
        gpu: add what a process on a GPU needs for itself.
    """
    cost = cost_of(spec)
    copies = 2 + _STATES[recipe.optimizer] + (1 if recipe.ema_decay else 0)
    weights = 4 * copies * cost.params * members
    batch = recipe.batch_size * members
    # the batch itself: as it was picked, as float32, and in the network's layout
    batch_bytes = 9 * batch * spec.in_channels * spec.resolution**2
    kept = round(_TENSORS_PER_ACTIVATION * bytes_per_activation * cost.activations * batch) + batch_bytes
    workspace = round(_WORKSPACE_SHARE * kept)
    if gpu:
        workspace = max(workspace, _GPU_WORKSPACE) + _GPU_CONTEXT
    feed = pictures * (spec.in_channels * spec.resolution**2 + 8)
    return MemoryEstimate(weights, kept, feed, workspace)


def trainings_that_fit(free: int, largest: MemoryEstimate, *, reserve: float = 0.1) -> int:
    """How many trainings of at most this size one GPU holds; at least 1, because one alone has to be tried.

    Args:
        free: bytes that nobody uses.
        largest: the estimate of the largest training of a study.
        reserve: share of the free memory that is left alone, because estimates err and allocators waste.
    """
    return max(1, int(free * (1 - reserve)) // largest.total)
