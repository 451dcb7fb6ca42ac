"""How the catalog writes networks down: stages as rows of numbers, families as tables over one base."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from scalesearch.arch.blocks import StageSpec
from scalesearch.arch.scaling import RELEASED, Rounding, scale_net
from scalesearch.arch.spec import NetSpec

__all__ = ["Family", "Maker", "TableRow", "makers_of", "mbconv_stage", "single"]

Maker = Callable[[], NetSpec]


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a family's table: multipliers on width and depth, resolution in px, dropout before the classifier."""

    width: float
    depth: float
    resolution: int
    dropout: float


@dataclass(frozen=True, slots=True)
class Family:
    """A published family: one base network, scaled by a table.

    Args:
        base: what the multipliers of the table act on.
        members: the table, by the names of the networks.
        rounding: how the release rounds.
    """

    base: NetSpec
    members: Mapping[str, TableRow]
    rounding: Rounding = RELEASED

    def spec(self, name: str) -> NetSpec:
        """The network of one row."""
        row = self.members[name]
        scaled = scale_net(
            self.base,
            depth=row.depth,
            width=row.width,
            resolution=row.resolution,
            rounding=self.rounding,
            name=name,
        )
        return scaled.with_(dropout=row.dropout)


def makers_of(family: Family) -> dict[str, Maker]:
    """What makes each network of a family, by name."""
    return {name: partial(family.spec, name) for name in family.members}


def single(spec: NetSpec) -> dict[str, Maker]:
    """What makes a network that stands for itself."""
    return {spec.name: lambda: spec}


def mbconv_stage(
    expansion: float, kernel: int, stride: int, width: int, depth: int, se: float, skip: bool = True
) -> StageSpec:
    """A stage of MBConv blocks; without expansion it is called depthwise-separable."""
    kind = "mbconv" if expansion != 1 else "depthwise_separable"
    return StageSpec(kind, kernel, stride, width, depth, expansion_ratio=expansion, se_ratio=se, skip=skip)
