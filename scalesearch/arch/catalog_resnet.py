"""ResNet-18, 50, 101 and 152 (arXiv 1512.03385, table 1) and WideResNet-50 (arXiv 1605.07146).

As most people build and count them: the stride of a bottleneck stands on its 3x3 convolution (Goyal et al.,
arXiv 1706.02677), WideResNet-50 doubles the 3x3 convolutions of every bottleneck and keeps the block's own width.
"""

from __future__ import annotations

from typing import Final

from scalesearch.arch.blocks import StageSpec
from scalesearch.arch.spec import NetSpec

__all__ = ["RESNETS"]


def _resnet(name: str, kind: str, depths: tuple[int, ...], *, width: int, expansion_ratio: float) -> NetSpec:
    """Every stage doubles the width of the one before; all but the first halve the map."""
    stages = tuple(
        StageSpec(kind, 3, 1 if index == 0 else 2, width << index, depth, expansion_ratio)
        for index, depth in enumerate(depths)
    )
    return NetSpec(
        name=name,
        resolution=224,
        stem_width=64,
        stages=stages,
        head_width=0,
        stem_kernel_size=7,
        stem_pool=True,
        activation="relu",
        dropout=0.0,
        drop_path=0.0,
        norm_eps=1e-5,
        norm_momentum=0.1,
    )


RESNETS: Final = (
    _resnet("resnet18", "basic", (2, 2, 2, 2), width=64, expansion_ratio=1),
    _resnet("resnet50", "bottleneck", (3, 4, 6, 3), width=256, expansion_ratio=0.25),
    _resnet("resnet101", "bottleneck", (3, 4, 23, 3), width=256, expansion_ratio=0.25),
    _resnet("resnet152", "bottleneck", (3, 8, 36, 3), width=256, expansion_ratio=0.25),
    _resnet("wide_resnet50_2", "bottleneck", (3, 4, 6, 3), width=256, expansion_ratio=0.5),
)
