"""EfficientNet B0-B8, L2 and Lite, and TinyNet, which scales the same base.

Sources: EfficientNet (arXiv 1905.11946; tensorflow/tpu, efficientnet_builder.py and lite/efficientnet_lite_builder.py),
TinyNet A-E (arXiv 2010.14819 and its release). The tables are the releases', never `multipliers_at(phi)`: the released
B1-B7 do not follow one phi (docs/counting.md).
"""

from __future__ import annotations

from typing import Final

from scalesearch.arch.catalog_family import Family, TableRow, mbconv_stage
from scalesearch.arch.scaling import Rounding
from scalesearch.arch.spec import NetSpec

__all__ = ["EFFICIENTNET", "EFFICIENTNET_LITE", "TINYNET"]

# EfficientNet-B0 stage by stage: expansion, kernel, stride, width, depth (arXiv 1905.11946, table 1)
_B0_STAGES: Final = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
_B0: Final = NetSpec(
    name="efficientnet_b0",
    resolution=224,
    stem_width=32,
    stages=tuple(mbconv_stage(*row, se=0.25) for row in _B0_STAGES),
)
_LITE0: Final = NetSpec(
    name="efficientnet_lite0",
    resolution=224,
    stem_width=32,
    stages=tuple(mbconv_stage(*row, se=0.0) for row in _B0_STAGES),
    activation="relu6",
)

EFFICIENTNET: Final = Family(
    _B0,
    {
        "efficientnet_b0": TableRow(1.0, 1.0, 224, 0.2),
        "efficientnet_b1": TableRow(1.0, 1.1, 240, 0.2),
        "efficientnet_b2": TableRow(1.1, 1.2, 260, 0.3),
        "efficientnet_b3": TableRow(1.2, 1.4, 300, 0.3),
        "efficientnet_b4": TableRow(1.4, 1.8, 380, 0.4),
        "efficientnet_b5": TableRow(1.6, 2.2, 456, 0.4),
        "efficientnet_b6": TableRow(1.8, 2.6, 528, 0.5),
        "efficientnet_b7": TableRow(2.0, 3.1, 600, 0.5),
        "efficientnet_b8": TableRow(2.2, 3.6, 672, 0.5),
        "efficientnet_l2": TableRow(4.3, 5.3, 800, 0.5),
    },
)
EFFICIENTNET_LITE: Final = Family(
    _LITE0,
    {
        "efficientnet_lite0": TableRow(1.0, 1.0, 224, 0.2),
        "efficientnet_lite1": TableRow(1.0, 1.1, 240, 0.2),
        "efficientnet_lite2": TableRow(1.1, 1.2, 260, 0.3),
        "efficientnet_lite3": TableRow(1.2, 1.4, 280, 0.3),
        "efficientnet_lite4": TableRow(1.4, 1.8, 300, 0.3),
    },
    Rounding(stem="keep", head="keep", fixed_ends=True),
)
TINYNET: Final = Family(
    _B0,
    {
        "tinynet_a": TableRow(1.0, 1.2, 192, 0.2),
        "tinynet_b": TableRow(0.75, 1.1, 188, 0.2),
        "tinynet_c": TableRow(0.54, 0.85, 184, 0.2),
        "tinynet_d": TableRow(0.54, 0.695, 152, 0.2),
        "tinynet_e": TableRow(0.51, 0.6, 106, 0.2),
    },
    Rounding(depth="nearest", stem="keep", head="grow"),
)
