"""What a network costs, in closed form: multiply-adds, parameters, activations.

Convention (docs/counting.md): `macs` are the multiply-adds of convolutions and linear layers for one
picture in evaluation mode, biases not counted; they equal fvcore's `by_operator()["conv"] + ["linear"]` to
the last integer. The EfficientNet paper calls them FLOPs. `activations` are the output elements of the same
layers (Radosavovic et al., arXiv 2003.13678, with linear layers included).
"""

from __future__ import annotations

from dataclasses import dataclass

from scalesearch.arch.blocks import SUM_KINDS, BlockSpec, StageSpec
from scalesearch.arch.spec import POOL_KERNEL_SIZE, NetSpec

__all__ = [
    "Cost",
    "Counts",
    "PartCost",
    "block_cost",
    "block_counts",
    "cost_of",
    "end_counts",
    "out_side",
    "part_costs",
]

# formulas are plain arithmetic in `side`, so that arch.lattice can give them an array of sides


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a network or a part of it, for one picture.

    macs: multiply-adds of convolutions and linear layers.
    params: trainable parameters (running statistics are not).
    activations: output elements of convolutions and linear layers.
    """

    macs: int = 0
    params: int = 0
    activations: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.macs + other.macs, self.params + other.params, self.activations + other.activations)


@dataclass(frozen=True, slots=True)
class PartCost:
    """One row of the cost table: stem, its pool (which costs nothing here), a stage, head or classifier."""

    name: str
    kind: str
    kernel_size: int
    stride: int
    width: int
    depth: int
    resolution: int  # side of the part's output, px
    cost: Cost


def out_side(side: int, stride: int) -> int:
    """Output side of a symmetrically padded convolution with an odd kernel: ceil(side / stride)."""
    return -(-side // stride)


#: (macs, params, activations): sums of many small parts are plain tuples inside, because building a Cost takes
#: longer than counting a convolution
Counts = tuple[int, int, int]


def _conv(in_width: int, width: int, kernel_size: int, side: int) -> Counts:
    """A convolution without bias, then batch norm; `in_width` is per group, `side` the output's in px.

    macs = k^2 * c_in * c_out * side^2; params = weights + 2 c_out (scale and shift of the norm).
    """
    weights = kernel_size * kernel_size * in_width * width
    pixels = side * side
    return weights * pixels, weights + 2 * width, width * pixels


def _squeeze_excite(width: int, se_width: int) -> Counts:
    """Two 1x1 convolutions with bias on a 1x1 map; zero when `se_width` is 0."""
    if not se_width:
        return 0, 0, 0
    weights = 2 * width * se_width
    return weights, weights + se_width + width, se_width + width


def block_counts(block: BlockSpec, side: int) -> Counts:
    """One block on an input of `side` x `side` px: the sum of its layers."""
    out = out_side(side, block.stride)
    mid, width, k = block.mid_width, block.width, block.kernel_size
    if block.kind in SUM_KINDS:
        layers = _sum_layers(block, side, out)
    elif block.kind == "conv":
        layers = [_conv(block.in_width, width, k, out), _squeeze_excite(width, block.se_width)]
    else:
        layers = [_squeeze_excite(mid, block.se_width), _conv(mid, width, 1, out)]
        if block.kind == "fused_mbconv":
            layers.append(_conv(block.in_width, mid, k, out))
        else:
            layers.append(_conv(1, mid, k, out))  # depthwise: one input channel per group
        if block.kind == "mbconv":
            layers.append(_conv(block.in_width, mid, 1, side))
    macs, params, activations = map(sum, zip(*layers, strict=True))
    return macs, params, activations


def _sum_layers(block: BlockSpec, side: int, out: int) -> list[Counts]:
    """The layers of a basic or bottleneck block, and the projection of its input where shapes differ."""
    mid, width, k = block.mid_width, block.width, block.kernel_size
    if block.kind == "basic":
        layers = [_conv(block.in_width, mid, k, out), _conv(mid, width, k, out)]
    else:
        layers = [_conv(block.in_width, mid, 1, side), _conv(mid, mid, k, out), _conv(mid, width, 1, out)]
    if block.projects:
        layers.append(_conv(block.in_width, width, 1, out))
    return layers


def _stage(stage: StageSpec, in_width: int, side: int, activation: str) -> Counts:
    """All blocks of a stage; those after the first are equal, so it takes two evaluations however deep it is."""
    macs, params, activations = block_counts(stage.block(in_width, first=True, activation=activation), side)
    if stage.depth > 1:
        later = stage.block(stage.width, first=False, activation=activation)
        more = stage.depth - 1
        each = block_counts(later, out_side(side, stage.stride))
        macs, params, activations = macs + more * each[0], params + more * each[1], activations + more * each[2]
    return macs, params, activations


def block_cost(block: BlockSpec, side: int) -> Cost:
    """One block on an input of `side` x `side` px."""
    return Cost(*block_counts(block, side))


def part_costs(spec: NetSpec, *, resolution: int | None = None) -> tuple[PartCost, ...]:
    """The network part by part: stem, its pool, every stage, head, classifier.

    Args:
        resolution: input side in px instead of the spec's own.

    Raises:
        SpecError: the resolution is below the network's total stride.
    """
    if resolution is not None and resolution != spec.resolution:
        spec = spec.with_(resolution=resolution)
    side = out_side(spec.resolution, spec.stem_stride)
    k = spec.stem_kernel_size
    stem = Cost(*_conv(spec.in_channels, spec.stem_width, k, side))
    parts = [PartCost("stem", "conv", k, spec.stem_stride, spec.stem_width, 1, side, stem)]
    if spec.stem_pool:
        side = out_side(side, 2)
        parts.append(PartCost("pool", "max_pool", POOL_KERNEL_SIZE, 2, spec.stem_width, 1, side, Cost()))
    in_width = spec.stem_width
    for index, stage in enumerate(spec.stages, start=1):
        cost = Cost(*_stage(stage, in_width, side, spec.activation))
        side = out_side(side, stage.stride)
        name = f"stage{index}"
        parts.append(PartCost(name, stage.kind, stage.kernel_size, stage.stride, stage.width, stage.depth, side, cost))
        in_width = stage.width
    if spec.head_width:
        head = Cost(*_conv(in_width, spec.head_width, 1, side))
        parts.append(PartCost("head", "conv", 1, 1, spec.head_width, 1, side, head))
    parts.append(PartCost("classifier", "linear", 1, 1, spec.num_classes, 1, 1, Cost(*_classifier(spec))))
    return tuple(parts)


def cost_of(spec: NetSpec, *, resolution: int | None = None) -> Cost:
    """Multiply-adds, parameters and activations of the whole network for one picture: the sum of `part_costs`.

    Args:
        resolution: input side in px instead of the spec's own.

    Raises:
        SpecError: the resolution is below the network's total stride.
    """
    if resolution is not None and resolution != spec.resolution:
        spec = spec.with_(resolution=resolution)
    side = out_side(spec.resolution, spec.stem_stride)
    layers = [_conv(spec.in_channels, spec.stem_width, spec.stem_kernel_size, side)]
    if spec.stem_pool:
        side = out_side(side, 2)
    in_width = spec.stem_width
    for stage in spec.stages:
        layers.append(_stage(stage, in_width, side, spec.activation))
        side = out_side(side, stage.stride)
        in_width = stage.width
    if spec.head_width:
        layers.append(_conv(in_width, spec.head_width, 1, side))
    layers.append(_classifier(spec))
    return Cost(*map(sum, zip(*layers, strict=True)))


def end_counts(spec: NetSpec, side: int) -> Counts:
    """Stem, head and classifier on an input of `side` x `side` px: all that no stage holds."""
    side = out_side(side, spec.stem_stride)
    layers = [_conv(spec.in_channels, spec.stem_width, spec.stem_kernel_size, side), _classifier(spec)]
    if spec.head_width:
        if spec.stem_pool:
            side = out_side(side, 2)
        for stage in spec.stages:
            side = out_side(side, stage.stride)
        layers.append(_conv(spec.stages[-1].width, spec.head_width, 1, side))
    macs, params, activations = map(sum, zip(*layers, strict=True))
    return macs, params, activations


def _classifier(spec: NetSpec) -> Counts:
    """The linear layer, with bias."""
    weights = spec.feature_width * spec.num_classes
    return weights, weights + spec.num_classes, spec.num_classes
