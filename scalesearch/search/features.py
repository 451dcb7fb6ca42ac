"""What a surrogate sees of a network before it is trained: its choices, and its cost in closed form.

The choices are compared by equality, so nothing is assumed about what an op or a kernel is worth. The costs are
numbers on a log scale, because accuracy follows power laws of size: macs, params and activations of the whole
network, and macs and convolution layers of the stages that work at one resolution.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import log, log1p
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scalesearch.arch.cost import part_costs
from scalesearch.arch.space import Point
from scalesearch.search.problem import Problem

__all__ = ["Encoder", "Rows"]

# convolutions one after another in a block, squeeze-excite not counted
_LAYERS: Final = {"conv": 1, "depthwise_separable": 2, "fused_mbconv": 2, "mbconv": 3}


@dataclass(frozen=True, slots=True)
class Rows:
    """Encoded points, one per row.

    sizes: (points, sizes) float64, standardised and divided by the root of their number, so that squared distances
        are means over features.
    choices: (points, choices of all dimensions) float64, 1 / root of the number of dimensions where a choice is taken
        and 0 elsewhere, so that products are the share of choices two points have in common.
    """

    sizes: NDArray[np.float64]
    choices: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.sizes)

    def take(self, index: Sequence[int] | NDArray[np.intp]) -> Rows:
        """Some of the rows."""
        return Rows(self.sizes[index], self.choices[index])

    def joined(self, other: Rows) -> Rows:
        """These rows, then the others."""
        return Rows(np.vstack([self.sizes, other.sizes]), np.vstack([self.choices, other.choices]))


class Encoder:
    """Turns points of a problem into rows; what it standardises by is fixed when it is made.

    Args:
        problem: whose points.
        reference: points that show the usual spread of every size; at least one.
    """

    def __init__(self, problem: Problem, reference: Sequence[Point]):
        self._problem = problem
        self._known: dict[Point, list[float]] = {}
        free = [(i, number) for i, number in enumerate(problem.cardinalities) if number > 1]
        self._free = [i for i, _ in free]
        #: first column of each dimension, and how many there are
        *starts, self._width = itertools.accumulate((number for _, number in free), initial=0)
        self._starts = np.array(starts)
        #: input resolutions of the base's stages
        self._sides = sorted({part.resolution for part in part_costs(problem.space.base) if _is_stage(part.name)})
        raw = np.array([self._sizes(point) for point in reference])
        self._centre, spread = raw.mean(axis=0), raw.std(axis=0)
        # a size that never varies carries nothing, whatever it is divided by
        self._scale = np.where(spread > 1e-9, spread, 1.0) * np.sqrt(raw.shape[1])

    def rows(self, points: Sequence[Point]) -> Rows:
        """One row per point; raises SpecError where a point has no network."""
        sizes = np.array([self._sizes(point) for point in points]).reshape(len(points), -1)
        taken = np.array(points, dtype=np.intp).reshape(len(points), -1)[:, self._free] + self._starts
        choices = np.zeros((len(points), self._width))
        np.put_along_axis(choices, taken, 1 / np.sqrt(len(self._free)), axis=1)
        return Rows((sizes - self._centre) / self._scale, choices)

    def _sizes(self, point: Point) -> list[float]:
        known = self._known.get(point)
        if known is None:
            known = self._known[point] = self._raw_sizes(point)
        return known

    def _raw_sizes(self, point: Point) -> list[float]:
        """log of macs, params and activations; then log(1 + macs) and layers for each resolution."""
        macs, layers = dict.fromkeys(self._sides, 0), dict.fromkeys(self._sides, 0)
        for part in part_costs(self._problem.spec(point)):
            if _is_stage(part.name) and part.resolution in macs:
                macs[part.resolution] += part.cost.macs
                layers[part.resolution] += part.depth * _LAYERS[part.kind]
        total = self._problem.costs(point)
        whole = [log(total.macs), log(total.params), log(total.activations)]
        return whole + [log1p(value) for value in macs.values()] + [float(value) for value in layers.values()]


def _is_stage(part: str) -> bool:
    return part.startswith("stage")
