"""Hypothesis strategies for specs: the whole space of stages, odd resolutions, squeeze-excite on and off."""

from hypothesis import strategies as st

from scalesearch.arch.blocks import SUM_KINDS
from scalesearch.arch.spec import ACTIVATIONS, BLOCK_KINDS, NetSpec, StageSpec


@st.composite
def stages(draw: st.DrawFn, *, max_width: int = 48, max_depth: int = 3) -> StageSpec:
    kind = draw(st.sampled_from(BLOCK_KINDS))
    ratios = {
        "mbconv": [1, 1.5, 3, 4, 6],
        "fused_mbconv": [1, 1.5, 3, 4, 6],
        "basic": [0.5, 1],
        "bottleneck": [0.25, 1],
    }
    return StageSpec(
        kind=kind,
        kernel_size=draw(st.sampled_from([1, 3, 5, 7])),
        stride=draw(st.sampled_from([1, 2])),
        width=draw(st.integers(1, max_width)),
        depth=draw(st.integers(1, max_depth)),
        expansion_ratio=draw(st.sampled_from(ratios.get(kind, [1]))),
        se_ratio=draw(st.sampled_from([0] if kind in SUM_KINDS else [0, 0.0625, 0.25, 1])),
        skip=draw(st.booleans()),
        activation=draw(st.sampled_from([None, *ACTIVATIONS])),
    )


@st.composite
def net_specs(draw: st.DrawFn, *, max_stages: int = 4, max_resolution: int = 65) -> NetSpec:
    trunk = tuple(draw(st.lists(stages(), min_size=1, max_size=max_stages)))
    stem_stride, stem_pool = draw(st.sampled_from([1, 2])), draw(st.booleans())
    lowest = stem_stride * (1 + stem_pool) * 2 ** sum(stage.stride == 2 for stage in trunk)
    return NetSpec(
        name="drawn",
        resolution=draw(st.integers(lowest, max(lowest, max_resolution))),
        stem_width=draw(st.integers(1, 24)),
        stages=trunk,
        head_width=draw(st.sampled_from([0, 7, 64])),
        num_classes=draw(st.integers(1, 12)),
        in_channels=draw(st.sampled_from([1, 3, 4])),
        stem_stride=stem_stride,
        stem_pool=stem_pool,
        stem_kernel_size=draw(st.sampled_from([1, 3, 5])),
        activation=draw(st.sampled_from(ACTIVATIONS)),
    )
