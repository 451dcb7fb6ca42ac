"""The closed form over whole lattices: every (alpha, beta, gamma) of three axes scaled, counted and told apart at once.

Rounding leaves few distinct depths, widths and resolutions on each axis, and the cost of a network is

    cost(depths, widths, side) = ends(widths, side) + sum over stages of
                                 first(widths, side) + (depth - 1) * later(widths, side),

so the formulas of `arch.cost` are evaluated once per block and width, on all sides at once, and depths enter as a
product. The integers are those of `cost_of`. Only these functions need numpy; `arch` imports without it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

from scalesearch.arch.cost import Counts, block_counts, cost_of, end_counts, out_side
from scalesearch.arch.scaling import Rounding, scale_net
from scalesearch.arch.solve import scaled_depth, scaled_side
from scalesearch.arch.spec import NetSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Lattice", "Region", "best_resolutions", "networks_at_ratio"]

Value = TypeVar("Value", bound=Hashable)
# a float holds every whole number up to here, and so do int64 and a comparison with a float
_EXACT: Final = 2**53


class Lattice:
    """The networks around a base that two axes of multipliers realise, at any resolution.

    Args:
        base: what is scaled.
        alphas, betas: multipliers of depth and width, in any order.
        rounding: the rounding rules.

    Attributes:
        depths: (D,) distinct networks with the depths of some alpha and the widths of the base.
        widths: (W,) distinct networks with the widths of some beta and the depths of the base.
        depth_of, width_of: index into them per alpha, per beta.

    Raises:
        SpecError: a multiplier that is not positive, or that leads beyond what a network may have.
    """

    def __init__(self, base: NetSpec, alphas: Sequence[float], betas: Sequence[float], rounding: Rounding):
        self.base = base
        deep = [scale_net(base, depth=scaled_depth(base, alpha), rounding=rounding, name=base.name) for alpha in alphas]
        wide = [scale_net(base, width=beta, rounding=rounding, name=base.name) for beta in betas]
        self.depths, self.depth_of = _distinct(deep)
        self.widths, self.width_of = _distinct(wide)

    def spec(self, depth: int, width: int, side: int) -> NetSpec:
        """The network of one entry of `depths`, one of `widths` and a resolution in px."""
        wide = self.widths[width]
        pairs = zip(wide.stages, self.depths[depth].depths, strict=True)
        return wide.with_(stages=tuple(replace(stage, depth=n) for stage, n in pairs), resolution=side)

    def counts(self, sides: Sequence[int], *, widths: Sequence[int] | None = None) -> tuple[NDArray[Any], ...]:
        """(D, W, R) macs, params, activations of every network at these sides (px), each at least the total stride.

        Args:
            widths: indices into `widths`; None for all.
        """
        import numpy as np

        chosen = range(len(self.widths)) if widths is None else widths
        number = self._number_type(max(sides))
        at: NDArray[Any] = np.array(sides, dtype=number)
        more: NDArray[Any] = np.array([[n - 1 for n in net.depths] for net in self.depths], dtype=number)
        parts = [self._parts(self.widths[index], at) for index in chosen]
        once: NDArray[Any] = np.array([part[0] for part in parts], dtype=number)  # (W, 3, R)
        each: NDArray[Any] = np.array([part[1] for part in parts], dtype=number)  # (W, 3, S, R)
        total = once + np.tensordot(more, each, axes=(1, 2))
        return tuple(total[:, :, measure] for measure in range(3))

    @cached_property
    def classes(self) -> NDArray[np.int64]:
        """(D, W) numbers that are equal where, at one resolution, the realised networks are.

        Blocks may move between neighbouring stages without a trace where the later one begins with, and goes on with,
        the blocks of the earlier one; there only the sum of their depths counts.
        """
        import numpy as np

        depths = np.array([net.depths for net in self.depths], dtype=np.int64)
        numbers = np.arange(depths.shape[0] * len(self.widths)).reshape(len(self.widths), -1)
        for width, net in enumerate(self.widths):
            starts = [0, *(s for s in range(1, len(net.stages)) if not _continues(net, s))]
            if len(starts) < len(net.stages):
                _, first, inverse = np.unique(
                    np.add.reduceat(depths, starts, axis=1), axis=0, return_index=True, return_inverse=True
                )
                numbers[width] = numbers[width][first][inverse.ravel()]
        return numbers.T

    def _number_type(self, side: int) -> type:
        """int64 where it holds the largest network exactly, Python's own integers elsewhere."""
        import numpy as np

        stages = zip(*(net.depths for net in self.depths), strict=True)
        widest = self.widths[max(range(len(self.widths)), key=lambda w: cost_of(self.widths[w]).macs)]
        deepest = [max(depths) for depths in stages]
        largest = widest.with_(
            stages=tuple(replace(stage, depth=n) for stage, n in zip(widest.stages, deepest, strict=True)),
            resolution=side,
        )
        # twice, because the widest network in one stage need not be the widest in all of them
        return np.int64 if 2 * cost_of(largest).macs < _EXACT else object

    @staticmethod
    def _parts(net: NetSpec, sides: NDArray[Any]) -> tuple[list[Any], list[Any]]:
        """(3, R) counts of what a network has once, and (3, S, R) of one later block of every stage."""
        import numpy as np

        side: Any = sides  # the formulas take it for a number
        once, later = [end_counts(net, side)], list[Counts]()
        side, in_width = out_side(side, net.stem_stride), net.stem_width
        side = out_side(side, 2) if net.stem_pool else side
        for stage in net.stages:
            once.append(block_counts(stage.block(in_width, first=True, activation=net.activation), side))
            side, in_width = out_side(side, stage.stride), stage.width
            later.append(block_counts(stage.block(in_width, first=False, activation=net.activation), side))
        zeros = np.zeros_like(sides)
        sums = [sum(part[measure] for part in once) + zeros for measure in range(3)]
        return sums, [[part[measure] + zeros for part in later] for measure in range(3)]


def best_resolutions(lattice: Lattice, target_macs: float, *, low: int, high: int, multiple: int) -> NDArray[np.int64]:
    """(D, W) what `solve.best_resolution` gives for every network: the side with counted MACs nearest to the target."""
    import numpy as np

    lowest = -(-max(low, lattice.base.total_stride) // multiple)
    highest = max(lowest, high // multiple)
    top = lowest
    while top < highest and lattice.counts([top * multiple])[0].min() < target_macs:
        top = min(highest, 2 * top)
    # twice that, because sides beyond the target may cost the same
    steps = np.arange(lowest, min(highest, 2 * top) + 1)
    best = np.empty((len(lattice.depths), len(lattice.widths)), dtype=np.int64)
    for width in range(len(lattice.widths)):  # one at a time, because sides are many
        for depth, macs in enumerate(lattice.counts((steps * multiple).tolist(), widths=[width])[0][:, 0]):
            # the first side that reaches the target, or the one below it where that is as near; MACs never fall
            above = min(max(1, int(np.searchsorted(macs, target_macs))), len(steps) - 1)
            chosen = min(max(0, above - 1), above, key=lambda step: (abs(macs[step] - target_macs), step))
            best[depth, width] = steps[np.searchsorted(macs, macs[chosen], side="right") - 1] * multiple
    return best


@dataclass(frozen=True, slots=True)
class Region:
    """The distinct networks of a lattice within a tolerance of a cost ratio.

    Attributes:
        n_points: lattice points looked at.
        n_networks: distinct networks among all of them.
        n_within: lattice points whose network is within the tolerance.
        entries: (K, 3) indices of `lattice.depths`, `lattice.widths` and `sides`, one row per distinct network within.
        macs: (K,) their multiply-adds.
        points: (K,) lattice points that realise each of them.
        first: (K, 3) the first of those points, as indices of alpha, beta, gamma.
    """

    lattice: Lattice
    sides: tuple[int, ...]
    n_points: int
    n_networks: int
    n_within: int
    entries: NDArray[np.int64]
    macs: NDArray[Any]
    points: NDArray[np.int64]
    first: NDArray[np.int64]

    def spec(self, index: int) -> NetSpec:
        """A network of `entries`."""
        depth, width, side = (int(value) for value in self.entries[index])
        return self.lattice.spec(depth, width, self.sides[side])


def networks_at_ratio(
    base: NetSpec,
    alphas: Sequence[float],
    betas: Sequence[float],
    gammas: Sequence[float],
    *,
    ratio: float,
    tolerance: float,
    rounding: Rounding,
) -> Region:
    """Scale, count, filter and deduplicate every triple of three axes.

    Args:
        ratio, tolerance: a network is within if |macs / (ratio * macs of the base) - 1| <= tolerance.

    Raises:
        SpecError: a multiplier that is not positive, or that leads beyond what a network may have.
    """
    import numpy as np

    lattice = Lattice(base, alphas, betas, rounding)
    sides, side_of = _distinct([scaled_side(base, gamma, rounding) for gamma in gammas])
    macs = lattice.counts(sides)[0]
    # |macs / base - ratio| would round differently from the scalar rule
    within = np.abs((macs / cost_of(base).macs / ratio - 1).astype(np.float64)) <= tolerance
    # points per entry: how often an axis repeats an entry, multiplied over the axes
    repeats = [np.bincount(of, minlength=n) for of, n in _axes(lattice, sides, side_of)]
    points = repeats[0][:, None, None] * repeats[1][None, :, None] * repeats[2][None, None, :]
    entries = np.argwhere(within)
    classes = lattice.classes
    key = classes[entries[:, 0], entries[:, 1]] * len(sides) + entries[:, 2]
    _, chosen, inverse = np.unique(key, return_index=True, return_inverse=True)
    entries_points = points[tuple(entries.T)]
    firsts = [np.array([of.index(k) for k in range(n)]) for of, n in _axes(lattice, sides, side_of)]
    rows = entries[chosen]
    return Region(
        lattice=lattice,
        sides=tuple(sides),
        n_points=len(alphas) * len(betas) * len(gammas),
        n_networks=len(np.unique(classes)) * len(sides),
        n_within=int(entries_points.sum()),
        entries=rows,
        macs=macs[tuple(rows.T)],
        points=np.bincount(inverse.ravel(), weights=entries_points).astype(np.int64),
        first=np.stack([firsts[axis][rows[:, axis]] for axis in range(3)], axis=1),
    )


def _axes(lattice: Lattice, sides: list[int], side_of: list[int]) -> list[tuple[list[int], int]]:
    """Per axis: the entry of every value, and how many entries there are."""
    return [
        (lattice.depth_of, len(lattice.depths)),
        (lattice.width_of, len(lattice.widths)),
        (side_of, len(sides)),
    ]


def _distinct(values: Sequence[Value]) -> tuple[list[Value], list[int]]:
    """The distinct values in order of appearance, and the index of each value among them."""
    index = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return list(index), [index[value] for value in values]


def _continues(net: NetSpec, stage: int) -> bool:
    """Whether a stage begins and goes on with the very blocks that the stage before it goes on with."""
    before, here, act = net.stages[stage - 1], net.stages[stage], net.activation
    first = here.block(before.width, first=True, activation=act)
    return (
        first
        == before.block(before.width, first=False, activation=act)
        == here.block(here.width, first=False, activation=act)
    )
