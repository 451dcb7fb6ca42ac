"""What a network costs, in closed form: multiply-adds, parameters, activations.

Convention (docs/counting.md): `macs` are the multiply-adds of convolutions and linear layers for one
picture in evaluation mode, biases not counted; they equal fvcore's `by_operator()["conv"] + ["linear"]` to
the last integer. The EfficientNet paper calls them FLOPs. `activations` are the output elements of the same
layers (Radosavovic et al., arXiv 2003.13678, with linear layers included).
"""

from __future__ import annotations

from dataclasses import dataclass

from scalesearch.arch.spec import BlockSpec, NetSpec

__all__ = ["Cost", "PartCost", "block_cost", "cost_of", "part_costs"]


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

    def times(self, count: int) -> Cost:
        """The cost of `count` equal parts."""
        return Cost(self.macs * count, self.params * count, self.activations * count)


@dataclass(frozen=True, slots=True)
class PartCost:
    """One row of the cost table: stem, a stage, head or classifier."""

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


def conv_cost(in_width: int, width: int, kernel_size: int, side: int, *, groups: int = 1) -> Cost:
    """A convolution without bias, followed by batch norm; `side` is the output's, in px.

    macs = k^2 * c_in / groups * c_out * side^2; params = weights + 2 c_out (scale and shift of the norm).
    """
    weights = kernel_size * kernel_size * (in_width // groups) * width
    return Cost(weights * side * side, weights + 2 * width, width * side * side)


def se_cost(width: int, se_width: int) -> Cost:
    """Squeeze-excite: two 1x1 convolutions with bias on a 1x1 map; zero when `se_width` is 0."""
    weights = 2 * width * se_width
    return Cost(weights, weights + se_width + width, se_width + width) if se_width else Cost()


def block_cost(block: BlockSpec, side: int) -> Cost:
    """One block on an input of `side` x `side` px."""
    out = out_side(side, block.stride)
    mid, k = block.mid_width, block.kernel_size
    if block.kind == "conv":
        return conv_cost(block.in_width, block.width, k, out) + se_cost(block.width, block.se_width)
    project = conv_cost(mid, block.width, 1, out) + se_cost(mid, block.se_width)
    if block.kind == "fused_mbconv":
        return conv_cost(block.in_width, mid, k, out) + project
    depthwise = conv_cost(mid, mid, k, out, groups=mid)
    if block.kind == "depthwise_separable":
        return depthwise + project
    assert block.kind == "mbconv", block.kind
    return conv_cost(block.in_width, mid, 1, side) + depthwise + project


def part_costs(spec: NetSpec, *, resolution: int | None = None) -> tuple[PartCost, ...]:
    """The network part by part: stem, every stage, head, classifier.

    Blocks after the first of a stage are equal, so each stage costs two block evaluations however deep it is.

    Args:
        resolution: input side in px instead of the spec's own.

    Raises:
        SpecError: the resolution is below the network's total stride.
    """
    if resolution is not None and resolution != spec.resolution:
        spec = spec.with_(resolution=resolution)
    side = out_side(spec.resolution, spec.stem_stride)
    k = spec.stem_kernel_size
    stem = conv_cost(spec.in_channels, spec.stem_width, k, side)
    parts = [PartCost("stem", "conv", k, spec.stem_stride, spec.stem_width, 1, side, stem)]
    in_width = spec.stem_width
    for index, stage in enumerate(spec.stages, start=1):
        first = stage.block(in_width, first=True, activation=spec.activation)
        cost = block_cost(first, side)
        side = out_side(side, stage.stride)
        if stage.depth > 1:
            later = stage.block(stage.width, first=False, activation=spec.activation)
            cost = cost + block_cost(later, side).times(stage.depth - 1)
        parts.append(
            PartCost(f"stage{index}", stage.kind, stage.kernel_size, stage.stride, stage.width, stage.depth, side, cost)
        )
        in_width = stage.width
    if spec.head_width:
        head = conv_cost(in_width, spec.head_width, 1, side)
        parts.append(PartCost("head", "conv", 1, 1, spec.head_width, 1, side, head))
    weights = spec.feature_width * spec.num_classes
    classifier = Cost(weights, weights + spec.num_classes, spec.num_classes)
    parts.append(PartCost("classifier", "linear", 1, 1, spec.num_classes, 1, 1, classifier))
    return tuple(parts)


def cost_of(spec: NetSpec, *, resolution: int | None = None) -> Cost:
    """Multiply-adds, parameters and activations of the whole network for one picture.

    Args:
        resolution: input side in px instead of the spec's own.

    Raises:
        SpecError: the resolution is below the network's total stride.
    """
    total = Cost()
    for part in part_costs(spec, resolution=resolution):
        total = total + part.cost
    return total
