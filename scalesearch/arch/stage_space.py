"""A space around any network: every stage chooses its own op, kernel, squeeze-excite, skip, filters and repeats."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Final

from scalesearch.arch.points import Dimension, Point, Space
from scalesearch.arch.scaling import round_width
from scalesearch.arch.space_settings import OPS, SpaceSettings
from scalesearch.arch.spec import NetSpec, StageSpec
from scalesearch.errors import SpecError

__all__ = ["StageSpace"]

_GENES: Final = 6  # per stage: op, kernel_size, se_ratio, skip, filters, repeats
_Genes = tuple[int, ...]


class StageSpace(Space):
    """The factorised space of MnasNet around a base network (arXiv 1807.11626, section 4.1).

    Strides, stem, head and resolution stay the base's. Widths are rounded as in `arch.scaling`; the factor 1
    keeps the base's width as it is.
    """

    def __init__(self, base: NetSpec, settings: SpaceSettings):
        self.settings = settings
        s = settings
        lists = {
            "op": s.ops,
            "kernel_size": s.kernel_sizes,
            "se_ratio": s.se_ratios,
            "skip": s.skips,
            "filters": s.filters,
            "repeats": s.repeats,
        }
        stages = range(1, len(base.stages) + 1)
        super().__init__(
            base, tuple(Dimension(f"stage{i}.{name}", tuple(lists[name])) for i in stages for name in lists)
        )
        self._widths = [
            [b.width if f == 1 else round_width(b.width, f, divisor=s.width_divisor) for f in s.filters]
            for b in base.stages
        ]
        self._depths = [[max(1, b.depth + more) for more in s.repeats] for b in base.stages]
        self._known: dict[tuple[int, int, _Genes], StageSpec] = {}

    def _stages(self, point: Point) -> tuple[StageSpec, ...]:
        stages = []
        in_width = self.base.stem_width
        for index in range(len(self.base.stages)):
            key = (index, in_width, point[index * _GENES : (index + 1) * _GENES])
            stage = self._known.get(key)
            if stage is None:
                stage = self._known[key] = self._stage(index, self._canonical(*key))
            stages.append(stage)
            in_width = stage.width
        return tuple(stages)

    def _stage(self, index: int, genes: _Genes) -> StageSpec:
        op, kernel, se, skip, filters, repeats = genes
        s = self.settings
        kind, expansion_ratio = OPS[s.ops[op]]
        return replace(
            self.base.stages[index],
            kind=kind,
            expansion_ratio=expansion_ratio,
            kernel_size=s.kernel_sizes[kernel],
            se_ratio=s.se_ratios[se],
            skip=s.skips[skip],
            width=self._widths[index][filters],
            depth=self._depths[index][repeats],
        )

    def _canonical(self, index: int, in_width: int, genes: _Genes) -> _Genes:
        """The lowest genes that realise the same blocks after `in_width` channels.

        Factors that round to one width, and repeats cut to one depth, give one and the same stage already.
        """
        stage = self._stage(index, genes)
        op, kernel, se, skip, *shape = genes
        widths = [in_width] if stage.depth == 1 else [in_width, stage.width]
        squeezed = [[ratio and max(1, int(ratio * width)) for width in widths] for ratio in self.settings.se_ratios]
        can_skip = stage.depth > 1 or (stage.stride == 1 and in_width == stage.width)
        return (op, kernel, squeezed.index(squeezed[se]), skip if can_skip else 0, *shape)

    def _point(self, spec: NetSpec) -> Point:
        if len(spec.stages) != len(self.base.stages):
            raise SpecError(f"a network of the space has {len(self.base.stages)} stages", value=len(spec.stages))
        point: Point = ()
        in_width = spec.stem_width
        for index, stage in enumerate(spec.stages):
            point += self._genes(index, in_width, stage)
            in_width = stage.width
        return point

    def _genes(self, index: int, in_width: int, wanted: StageSpec) -> _Genes:
        """The canonical genes of a stage: the first combination that realises its blocks."""
        s = self.settings
        widths, depths = self._widths[index], self._depths[index]
        if wanted.kernel_size in s.kernel_sizes and wanted.width in widths and wanted.depth in depths:
            kernel, filters, repeats = (
                s.kernel_sizes.index(wanted.kernel_size),
                widths.index(wanted.width),
                depths.index(wanted.depth),
            )
            blocks = self._blocks(wanted, in_width)
            for op, se, skip in itertools.product(range(len(s.ops)), range(len(s.se_ratios)), range(len(s.skips))):
                genes = (op, kernel, se, skip, filters, repeats)
                if self._blocks(self._stage(index, genes), in_width) == blocks:
                    return self._canonical(index, in_width, genes)
        raise SpecError(f"the space must hold stage {index + 1} of the network", value=wanted)

    def _blocks(self, stage: StageSpec, in_width: int) -> tuple[object, ...]:
        activation = self.base.activation
        first = stage.block(in_width, first=True, activation=activation)
        later = stage.block(stage.width, first=False, activation=activation) if stage.depth > 1 else None
        return first, later
