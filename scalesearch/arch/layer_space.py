"""A space of layers: every position of a fixed frame chooses one op, or the identity."""

from __future__ import annotations

from scalesearch.arch.points import Dimension, Point, Space
from scalesearch.arch.space_settings import IDENTITY, OPS, SpaceSettings, split_layer_op
from scalesearch.arch.spec import BlockSpec, NetSpec, StageSpec
from scalesearch.errors import SpecError

__all__ = ["LayerSpace"]


class LayerSpace(Space):
    """One op per layer position, as in NAS-Bench-Macro (Su et al., arXiv 2103.11922).

    The identity leaves a layer out; at the first position of a stage, which may change the shape, it is a 1x1
    convolution with the stage's stride and batch norm, without activation. Every layer left is a stage of depth 1.
    """

    def __init__(self, settings: SpaceSettings):
        self.plan, self.ops = settings.layers, settings.ops
        plan = self.plan
        # (width, stride, whether the first of its stage) of each position
        self._positions = [
            (width, stride if place == 0 else 1, place == 0)
            for width, depth, stride in zip(plan.widths, plan.depths, plan.strides, strict=True)
            for place in range(depth)
        ]
        dimensions = tuple(Dimension(f"layer{i}", tuple(self.ops)) for i in range(1, len(self._positions) + 1))
        # the stage of each op at each position; None where there is nothing
        self._table = [[self._layer(op, *position) for op in self.ops] for position in self._positions]
        # canonical points name the identity last
        self._order = sorted(range(len(self.ops)), key=lambda choice: (self.ops[choice] == IDENTITY, choice))
        base = NetSpec(
            name=plan.name,
            resolution=plan.resolution,
            stem_width=plan.stem_width,
            stages=self._stages((0,) * len(self._positions)),
            head_width=plan.head_width,
            num_classes=plan.num_classes,
            in_channels=plan.in_channels,
            stem_stride=plan.stem_stride,
            activation=plan.activation,
            dropout=plan.dropout,
            drop_path=plan.drop_path,
            norm_eps=plan.norm_eps,
            norm_momentum=plan.norm_momentum,
        )
        super().__init__(base, dimensions)

    def _layer(self, op: str, width: int, stride: int, first: bool) -> StageSpec | None:
        name, kernel_size = split_layer_op(op)
        if name != IDENTITY:
            kind, expansion_ratio = OPS[name]
            return StageSpec(kind, kernel_size, stride, width, 1, expansion_ratio, self.plan.se_ratio)
        return StageSpec("conv", 1, stride, width, 1, skip=False, activation="identity") if first else None

    def _stages(self, point: Point) -> tuple[StageSpec, ...]:
        layers = [self._table[index][choice] for index, choice in enumerate(point)]
        return tuple(layer for layer in layers if layer is not None)

    def _point(self, spec: NetSpec) -> Point:
        blocks = [block for stage in spec.blocks() for block in stage]
        point = self._match(blocks, (), spec.stem_width, set())
        if point is None:
            raise SpecError("the space must hold every layer of the network, in its place", value=spec.name)
        return point

    def _match(
        self, blocks: list[BlockSpec], point: Point, in_width: int, dead_ends: set[tuple[int, int]]
    ) -> Point | None:
        """`point` completed by choices that realise `blocks` after `in_width` channels; None where none do."""
        if len(point) == len(self._positions):
            return None if blocks else point
        if (here := (len(point), len(blocks))) in dead_ends:
            return None
        for choice in self._order:
            layer = self._table[len(point)][choice]
            if layer is None:
                found = self._match(blocks, (*point, choice), in_width, dead_ends)
            elif blocks and layer.block(in_width, first=True, activation=self.base.activation) == blocks[0]:
                found = self._match(blocks[1:], (*point, choice), layer.width, dead_ends)
            else:
                continue
            if found is not None:
                return found
        dead_ends.add(here)
        return None

    def point_of_code(self, code: str) -> Point:
        """The point that a result table writes as one digit per layer, each the index of an op: "02012100".

        Raises:
            SpecError: another length, or a character that is not the index of an op.
        """
        digits = [str(choice) for choice in range(len(self.ops))]
        if len(code) != len(self._positions) or not all(digit in digits for digit in code):
            raise SpecError(
                f"a code of this space has {len(self._positions)} digits from 0 to {len(self.ops) - 1}", value=code
            )
        return tuple(int(digit) for digit in code)

    def code_of_point(self, point: Point) -> str:
        """The inverse of `point_of_code`."""
        return "".join(map(str, point))
