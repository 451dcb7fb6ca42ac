"""timm's block strings, such as "ir_r2_k3_s2_e6_c24_se0.25", for the realised blocks of a network."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from scalesearch.arch.blocks import BlockSpec, StageSpec
from scalesearch.arch.spec import NetSpec
from scalesearch.emit.layout import number
from scalesearch.errors import SpecError

__all__ = ["TIMM_ACTIVATIONS", "block_strings", "conv_squeezes"]

TIMM_ACTIVATIONS: Final = {"silu": "silu", "relu": "relu", "relu6": "relu6", "hard_swish": "hard_swish"}
_CODES: Final = {"silu": "sw", "relu": "re", "relu6": "r6", "hard_swish": "hs"}
_KINDS: Final = {"mbconv": "ir", "depthwise_separable": "ds", "fused_mbconv": "er", "conv": "cn",
                 "depthwise_separable_act": "dsa"}  # fmt: skip


def block_strings(spec: NetSpec) -> tuple[tuple[str, ...], ...]:
    """One tuple of block strings per stage, which timm's `decode_arch_def` reads back to the same blocks.

    Equal blocks in a row are one string with a repeat count. Where timm's own rounding (hidden widths to multiples
    of 8, squeeze width by `round`) would give another width, the ratio is written so that it gives ours.

    Raises:
        SpecError: a block that no block string describes, with the reason.
    """
    rows = []
    if spec.stem_pool:
        raise _inexpressible(spec, "timm's EfficientNet has no max pool in the stem")
    for stage, blocks in zip(spec.stages, spec.blocks(), strict=True):
        coded = [_code(block, stage, spec) for block in blocks]
        rows.append(tuple(form.format(sum(1 for _ in run)) for form, run in groupby(coded)))
    return tuple(rows)


def conv_squeezes(spec: NetSpec) -> dict[str, int]:
    """Squeeze width of every plain convolution block that has squeeze-excite, by "STAGE.BLOCK", counted from 0."""
    return {
        f"{s}.{b}": block.se_width
        for s, blocks in enumerate(spec.blocks())
        for b, block in enumerate(blocks)
        if block.kind == "conv" and block.se_width
    }


def _code(block: BlockSpec, stage: StageSpec, spec: NetSpec) -> str:
    """The block string with "{}" where the repeat count goes."""
    if block.kind not in _KINDS:
        raise _inexpressible(spec, f"timm's block strings have no {block.kind} block")
    if block.activation not in _CODES:
        raise _inexpressible(spec, f"timm's block strings have no activation {block.activation}")
    ratio = _expansion(block, stage, spec)
    # the stage's stride and skip for every block: timm strides in the first one and adds where shapes agree
    parts = [_KINDS[block.kind], "r{}", f"k{block.kernel_size}", f"s{stage.stride}", f"e{number(ratio)}"]
    parts.append(f"c{block.width}")
    if block.se_width and block.kind != "conv":  # which no block string says: conv_squeezes
        parts.append(f"se{_se_ratio(block, stage, ratio)}")
    if block.kind == "depthwise_separable_act" and block.residual:
        raise _inexpressible(spec, "timm's depthwise-separable block adds its input only without a last activation")
    if block.kind == "conv":
        parts += ["skip"] if stage.skip else []
    elif not stage.skip:
        parts.append("noskip")
    if block.activation != spec.activation:
        parts.append(f"n{_CODES[block.activation]}")
    return "_".join(parts)


def _expansion(block: BlockSpec, stage: StageSpec, spec: NetSpec) -> float:
    """The ratio from which timm computes our hidden width: mid = make_divisible(in * ratio, 8)."""
    if block.kind in ("depthwise_separable", "depthwise_separable_act", "conv"):
        return 1
    for ratio in (stage.expansion_ratio, block.mid_width / block.in_width):
        if _make_divisible(block.in_width * ratio) == block.mid_width:
            return ratio
    raise _inexpressible(spec, f"timm rounds hidden widths to multiples of 8, which {block.mid_width} is not")


def _se_ratio(block: BlockSpec, stage: StageSpec, expansion: float) -> str:
    """The ratio from which timm computes our squeeze width: round(mid * (ratio / expansion))."""
    for ratio in (stage.se_ratio, block.se_width * expansion / block.mid_width):
        if round(block.mid_width * (ratio / expansion)) == block.se_width:
            return number(ratio)
    raise AssertionError(block)


def _make_divisible(value: float) -> int:
    """timm.layers.make_divisible with its defaults: the nearest multiple of 8, at least 8, not below 0.9 of it."""
    rounded = max(8, int(value + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * value else rounded


def _inexpressible(spec: NetSpec, reason: str) -> SpecError:
    return SpecError(f"{spec.name} cannot be written for timm: {reason}", way_out="emit it as torch source")
