"""MobileNetV1 (arXiv 1704.04861, table 1), MobileNetV2 (arXiv 1801.04381, table 2), MnasNet-A1 and B1.

MnasNet: arXiv 1807.11626, figure 7, and the released mnasnet_models.py.
"""

from __future__ import annotations

from typing import Final

from scalesearch.arch.blocks import StageSpec
from scalesearch.arch.catalog_family import mbconv_stage
from scalesearch.arch.spec import NetSpec

__all__ = ["MOBILE"]

# the last activation of a block leaves no room for a sum, and MobileNetV1 has none
_MOBILENET_V1: Final = NetSpec(
    name="mobilenet_v1",
    resolution=224,
    stem_width=32,
    stages=tuple(
        StageSpec("depthwise_separable_act", 3, stride, width, depth, skip=False)
        for stride, width, depth in ((1, 64, 1), (2, 128, 2), (2, 256, 2), (2, 512, 6), (2, 1024, 2))
    ),
    head_width=0,
    activation="relu6",
    drop_path=0.0,
    norm_eps=1e-5,
    norm_momentum=0.1,
)
_MOBILENET_V2: Final = NetSpec(
    name="mobilenet_v2",
    resolution=224,
    stem_width=32,
    stages=tuple(
        mbconv_stage(*row, se=0.0)
        for row in (
            (1, 3, 1, 16, 1),
            (6, 3, 2, 24, 2),
            (6, 3, 2, 32, 3),
            (6, 3, 2, 64, 4),
            (6, 3, 1, 96, 3),
            (6, 3, 2, 160, 3),
            (6, 3, 1, 320, 1),
        )
    ),
    activation="relu6",
    drop_path=0.0,
    norm_eps=1e-5,
    norm_momentum=0.1,
)
_MNASNET_A1: Final = NetSpec(
    name="mnasnet_a1",
    resolution=224,
    stem_width=32,
    stages=(
        mbconv_stage(1, 3, 1, 16, 1, se=0.0, skip=False),
        mbconv_stage(6, 3, 2, 24, 2, se=0.0),
        mbconv_stage(3, 5, 2, 40, 3, se=0.25),
        mbconv_stage(6, 3, 2, 80, 4, se=0.0),
        mbconv_stage(6, 3, 1, 112, 2, se=0.25),
        mbconv_stage(6, 5, 2, 160, 3, se=0.25),
        mbconv_stage(6, 3, 1, 320, 1, se=0.0),
    ),
    activation="relu",
)
_MNASNET_B1: Final = NetSpec(
    name="mnasnet_b1",
    resolution=224,
    stem_width=32,
    stages=(
        mbconv_stage(1, 3, 1, 16, 1, se=0.0, skip=False),
        mbconv_stage(3, 3, 2, 24, 3, se=0.0),
        mbconv_stage(3, 5, 2, 40, 3, se=0.0),
        mbconv_stage(6, 5, 2, 80, 3, se=0.0),
        mbconv_stage(6, 3, 1, 96, 2, se=0.0),
        mbconv_stage(6, 5, 2, 192, 4, se=0.0),
        mbconv_stage(6, 3, 1, 320, 1, se=0.0, skip=False),
    ),
    activation="relu",
)

MOBILE: Final = (_MOBILENET_V2, _MNASNET_A1, _MNASNET_B1, _MOBILENET_V1)
