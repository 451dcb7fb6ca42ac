"""Every network along one direction of growth, ordered by counted MACs: where a realised family takes its members.

Depth and width grow in steps, so the cost of alpha^phi, beta^phi, gamma^phi jumps. Along a direction the depths and
widths change one *shape* at a time; between two shapes only the resolution moves. The ladder gives every shape a window
of MACs: the window ends where the next shape, at the resolution of the direction there, costs as much more as this one
costs less (the geometric mean of the two). Its rungs are the shape at every resolution whose counted MACs lie in the
window. The rungs are fixed by the baseline and the direction alone, and a target takes the nearest one, so that a
larger target never gets a cheaper network.

Feature maps round up at every stride, so that MACs jump with the resolution too (160 to 161 px: the last maps grow from
5 x 5 to 6 x 6). Where two rungs lie so far apart that a target between them would be missed by more than the tolerance,
the gap is filled with neighbouring shapes at resolutions up to 8 % off.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

from scalesearch.arch.cost import cost_of
from scalesearch.arch.rules import ScalingRule
from scalesearch.arch.scaling import Multipliers, Rounding, round_resolution, scale_net
from scalesearch.arch.spec import MAX_DEPTH, NetSpec
from scalesearch.errors import SpecError

__all__ = ["Anchor", "Ladder", "Rung"]

_STEPS_PER_DOUBLING: Final = 64
_MAX_SIDE: Final = 1 << 14
_PURE: Final = 1e-9
# how far a rung that fills a gap may be off the direction's resolution, and its window off the gap
_TRIMS: Final = (0.04, 0.08)
_NEAR: Final = 1.3
# how far from a target the rungs next to it are looked for: small maps jump by as much from one px to the next
_FAR: Final = 2.5


@dataclass(frozen=True, slots=True)
class Anchor:
    """A network that must be the member at a target, although a rung may lie nearer: a grid's winner at phi = 1.

    Args:
        spec: the network.
        factor: the cost factor s of the direction at which its multipliers were taken.
        target_macs: the target that it answers.
    """

    spec: NetSpec
    factor: float
    target_macs: float


@dataclass(frozen=True, slots=True)
class Rung:
    """One network of the ladder.

    Attributes:
        spec: the network, at its resolution.
        macs: its counted multiply-adds.
        factor: the cost factor s of the direction whose multipliers round to its depths and widths.
        anchored: it is an anchor: the baseline, or one that was given.
    """

    spec: NetSpec
    macs: int
    factor: float
    anchored: bool = False


@dataclass(frozen=True, slots=True)
class _Window:
    """The MACs that one shape answers for; `first` and `last` are the log2 of the factors that round to it."""

    spec: NetSpec
    first: float
    last: float
    low: float
    high: float


class Ladder:
    """The networks that a baseline becomes along a direction; windows are found as far out as targets ask for.

    Args:
        base: the baseline, itself a rung.
        rule: the direction. Where it gives resolution no share, every shape has one rung.
        rounding: how multipliers become integers.
        anchors: networks that must answer their targets.
        tolerance: relative distance from a target that counts as a hit.
    """

    def __init__(
        self,
        base: NetSpec,
        rule: ScalingRule,
        rounding: Rounding,
        *,
        anchors: Iterable[Anchor] = (),
        tolerance: float = 0.02,
    ):
        self.base, self.rule, self.rounding, self.tolerance = base, rule, rounding, tolerance
        macs = cost_of(base).macs
        given = (Anchor(base, 1.0, macs), *anchors)
        self._anchors = tuple(Rung(a.spec, cost_of(a.spec).macs, a.factor, anchored=True) for a in given)
        self._holes = tuple(
            (a.target_macs, abs(rung.macs - a.target_macs)) for a, rung in zip(given, self._anchors, strict=True)
        )
        self._found: dict[int, list[_Window]] = {1: [], -1: []}
        self._walks = {sign: self._walk(sign) for sign in (1, -1)}

    def nearest(self, target_macs: float) -> Rung:
        """The rung whose counted MACs are nearest to the target; monotone in the target."""
        below, above = self._neighbours(target_macs)
        if below is None or above is None:
            rung = below or above
            assert rung is not None, "the baseline is a rung"
            return rung
        for trim in _TRIMS if abs(self.rule.resolution_share) >= _PURE else ():
            # some target between the two would be missed
            if above.macs * (1 - self.tolerance) <= below.macs * (1 + self.tolerance):
                break
            for rung in self._between(below.macs, above.macs, target_macs, trim):
                if below.macs < rung.macs <= target_macs:
                    below = rung
                elif target_macs < rung.macs < above.macs:
                    above = rung
        return min(below, above, key=lambda rung: abs(rung.macs - target_macs))

    def reach(self) -> tuple[int, int]:
        """The MACs of the cheapest and of the most expensive network along the direction."""
        ends = [(window.low, window.high) for sign in (-1, 1) for window in self._windows(sign)]
        return math.ceil(min(low for low, _ in ends)), math.floor(max(high for _, high in ends))

    def resolution_at(self, factor: float) -> int:
        """The resolution of the direction at a cost factor, in px: rounded, and never below the total stride."""
        multiple = self.rounding.resolution_multiple
        side = round_resolution(self.base.resolution * self.rule.at(factor).resolution, multiple=multiple)
        return max(side, self._lowest * multiple)

    @property
    def _lowest(self) -> int:
        return -(-self.base.total_stride // self.rounding.resolution_multiple)

    def _neighbours(self, target: float) -> tuple[Rung | None, Rung | None]:
        """The rungs next to the target: the last that costs at most as much, the first that costs at least as much."""
        below = max((rung for rung in self._anchors if rung.macs <= target), key=_macs, default=None)
        above = min((rung for rung in self._anchors if rung.macs >= target), key=_macs, default=None)
        for window in sorted(self._near(target, target, _FAR), key=lambda window: _distance(window, target)):
            if (below and window.high <= below.macs) or (above and window.low >= above.macs):
                continue
            for low, high in self._free(window):
                for rung in self._rungs(window, target, low, high):
                    if rung.macs <= target and (below is None or rung.macs > below.macs):
                        below = rung
                    if rung.macs >= target and (above is None or rung.macs < above.macs):
                        above = rung
        return below, above

    def _between(self, low: int, high: int, target: float, trim: float) -> Iterator[Rung]:
        """Rungs that fill a gap: shapes near it, at resolutions up to `trim` away from the direction's."""
        multiple = self.rounding.resolution_multiple
        for window in self._near(low, high, _NEAR):
            ends = sorted(self.resolution_at(2**end) for end in (window.first, window.last))
            first = max(self._lowest, math.ceil(ends[0] * (1 - trim) / multiple)) * multiple
            last = max(first, math.floor(ends[1] * (1 + trim) / multiple) * multiple)
            for side in {min(max(side, first), last) for side in self._sides(window.spec, target)}:
                macs = cost_of(window.spec, resolution=side).macs
                if low < macs < high and all(abs(macs - centre) >= radius for centre, radius in self._holes):
                    yield Rung(replace(window.spec, resolution=side), macs, self._factor(window, side))

    def _near(self, low: float, high: float, factor: float) -> Iterator[_Window]:
        """The windows on the targets' side of the baseline that reach into [low / factor, high * factor]."""
        sign = 1 if high > self._anchors[0].macs else -1
        for window in self._windows(sign):
            if (window.low > high * factor) if sign > 0 else (window.high < low / factor):
                return
            if window.high >= low / factor and window.low <= high * factor:
                yield window

    def _windows(self, sign: int) -> Iterator[_Window]:
        """From the baseline outward, `sign` 1 towards larger networks."""
        found = self._found[sign]
        for index in count():
            if index == len(found):
                window = next(self._walks[sign], None)
                if window is None:
                    return
                found.append(window)
            yield found[index]

    def _walk(self, sign: int) -> Iterator[_Window]:
        shape, first, edge = self.base, 0.0, float(cost_of(self.base).macs)
        step = sign / _STEPS_PER_DOUBLING
        for index in count(1):
            at = index * step
            following = self._shape(at)
            if following is not None and _same_shape(following, shape):
                continue
            # the direction's resolution between the two shapes, and at the end that of the last one
            side = self.resolution_at(2 ** (at - step / 2 if following is not None else at - step))
            passed = float(cost_of(shape, resolution=side).macs)
            if following is not None:
                passed = math.sqrt(passed * cost_of(following, resolution=side).macs)
            # moving a block between stages may make the next shape cheaper: its window is then empty
            passed = max(edge, passed) if sign > 0 else min(edge, passed)
            yield _Window(shape, first, at - step, min(edge, passed), max(edge, passed))
            if following is None:
                return
            shape, first, edge = following, at, passed

    def _shape(self, log_factor: float) -> NetSpec | None:
        """Depths and widths at a cost factor of 2^log_factor; None where the direction ends."""
        at = self.rule.at(2**log_factor)
        if _is_too_small(self.base, at) or at.depth * max(self.base.depths) > MAX_DEPTH:
            return None
        if self.base.resolution * at.resolution > _MAX_SIDE:
            return None
        try:
            return scale_net(self.base, depth=at.depth, width=at.width, rounding=self.rounding, name=self.base.name)
        except SpecError:  # wider than a spec can be written down
            return None

    def _free(self, window: _Window) -> Iterator[tuple[float, float]]:
        """The window without what lies nearer to an anchor's target than the anchor."""
        parts = [(window.low, window.high)]
        for centre, radius in self._holes:
            low, high = centre - radius, centre + radius
            parts = [
                part
                for start, end in parts
                for part in (((start, min(end, low)), (max(start, high), end)) if radius else ((start, end),))
                if part[0] <= part[1]
            ]
        yield from parts

    def _rungs(self, window: _Window, target: float, low: float, high: float) -> Iterator[Rung]:
        """The rungs of a shape next to the target, below and above it, with MACs in [low, high]."""
        for side in self._sides(window.spec, min(max(target, low), high)):
            macs = cost_of(window.spec, resolution=side).macs
            if low <= macs <= high:
                yield Rung(replace(window.spec, resolution=side), macs, self._factor(window, side))

    def _sides(self, shape: NetSpec, macs: float) -> list[int]:
        """The resolutions next to a cost, below and above; of those that cost the same the highest."""
        if abs(self.rule.resolution_share) < _PURE:
            return [self.base.resolution]
        multiple = self.rounding.resolution_multiple
        below = self._highest(shape, macs)
        above = max(self._lowest, below + 1)
        if above * multiple > _MAX_SIDE:
            return [below * multiple]
        above = self._highest(shape, cost_of(shape, resolution=above * multiple).macs)
        return [step * multiple for step in (below, above) if step >= self._lowest]

    def _highest(self, shape: NetSpec, macs: float) -> int:
        """The highest resolution that costs at most `macs`, in multiples; one below the lowest where none does."""
        multiple = self.rounding.resolution_multiple
        low, high = self._lowest - 1, _MAX_SIDE // multiple + 1
        while high - low > 1:
            middle = (low + high) // 2
            if cost_of(shape, resolution=middle * multiple).macs <= macs:
                low = middle
            else:
                high = middle
        return low

    def _factor(self, window: _Window, side: int) -> float:
        """Of the factors that round to this shape, the one whose own resolution is nearest to `side`."""
        share = self.rule.resolution_share
        low, high = sorted((window.first, window.last))
        if abs(share) < _PURE:
            return float(2 ** ((low + high) / 2))
        wanted = 2 * math.log2(side / self.base.resolution) / share
        return float(2 ** min(max(wanted, low), high))


def _distance(window: _Window, target: float) -> float:
    return max(window.low - target, target - window.high, 0.0)


def _macs(rung: Rung) -> int:
    return rung.macs


def _same_shape(one: NetSpec, other: NetSpec) -> bool:
    return one.stages == other.stages and (one.stem_width, one.head_width) == (other.stem_width, other.head_width)


def _is_too_small(base: NetSpec, at: Multipliers) -> bool:
    """Less than one block, one channel or one pixel before rounding: nothing of the baseline is left."""
    widest = max(base.stem_width, base.head_width, *base.widths)
    return base.depth * at.depth < 1 or widest * at.width < 1 or base.resolution * at.resolution < 1
