"""EfficientNetV2 S, M, L, and the family b0-b3 (arXiv 2104.00298; google/automl, efficientnetv2/effnetv2_configs.py).

Resolutions are those of evaluation; training runs at smaller ones. S, M and L are networks of their own, b1-b3 scale
b0 by the table of EfficientNet, with widths rounded to the nearest multiple of 8 without a guard.
"""

from __future__ import annotations

from typing import Final

from scalesearch.arch.blocks import StageSpec
from scalesearch.arch.catalog_family import Family, TableRow
from scalesearch.arch.scaling import Rounding
from scalesearch.arch.spec import NetSpec

__all__ = ["EFFICIENTNET_V2", "EFFICIENTNET_V2_LARGE"]

# kind, expansion, stride, width, depth; all kernels are 3 x 3, and only mbconv has squeeze-excite
_Row = tuple[str, float, int, int, int]
_B0: Final[tuple[_Row, ...]] = (
    ("conv", 1, 1, 16, 1),
    ("fused_mbconv", 4, 2, 32, 2),
    ("fused_mbconv", 4, 2, 48, 2),
    ("mbconv", 4, 2, 96, 3),
    ("mbconv", 6, 1, 112, 5),
    ("mbconv", 6, 2, 192, 8),
)
_S: Final[tuple[_Row, ...]] = (
    ("conv", 1, 1, 24, 2),
    ("fused_mbconv", 4, 2, 48, 4),
    ("fused_mbconv", 4, 2, 64, 4),
    ("mbconv", 4, 2, 128, 6),
    ("mbconv", 6, 1, 160, 9),
    ("mbconv", 6, 2, 256, 15),
)
_M: Final[tuple[_Row, ...]] = (
    ("conv", 1, 1, 24, 3),
    ("fused_mbconv", 4, 2, 48, 5),
    ("fused_mbconv", 4, 2, 80, 5),
    ("mbconv", 4, 2, 160, 7),
    ("mbconv", 6, 1, 176, 14),
    ("mbconv", 6, 2, 304, 18),
    ("mbconv", 6, 1, 512, 5),
)
_L: Final[tuple[_Row, ...]] = (
    ("conv", 1, 1, 32, 4),
    ("fused_mbconv", 4, 2, 64, 7),
    ("fused_mbconv", 4, 2, 96, 7),
    ("mbconv", 4, 2, 192, 10),
    ("mbconv", 6, 1, 224, 19),
    ("mbconv", 6, 2, 384, 25),
    ("mbconv", 6, 1, 640, 7),
)


def _net(name: str, rows: tuple[_Row, ...], *, resolution: int, stem_width: int, dropout: float) -> NetSpec:
    stages = tuple(
        StageSpec(kind, 3, stride, width, depth, expansion, se_ratio=0.25 if kind == "mbconv" else 0.0)
        for kind, expansion, stride, width, depth in rows
    )
    # the release's batch norm: epsilon 1e-3, momentum 0.9 in TensorFlow's sense
    return NetSpec(name, resolution, stem_width, stages, dropout=dropout, norm_momentum=0.1)


EFFICIENTNET_V2: Final = Family(
    _net("efficientnet_v2_b0", _B0, resolution=224, stem_width=32, dropout=0.2),
    {
        "efficientnet_v2_b0": TableRow(1.0, 1.0, 224, 0.2),
        "efficientnet_v2_b1": TableRow(1.0, 1.1, 240, 0.2),
        "efficientnet_v2_b2": TableRow(1.1, 1.2, 260, 0.3),
        "efficientnet_v2_b3": TableRow(1.2, 1.4, 300, 0.3),
    },
    Rounding(width_guard=0.0),
)
EFFICIENTNET_V2_LARGE: Final = (
    _net("efficientnet_v2_s", _S, resolution=384, stem_width=24, dropout=0.2),
    _net("efficientnet_v2_m", _M, resolution=480, stem_width=24, dropout=0.3),
    _net("efficientnet_v2_l", _L, resolution=480, stem_width=32, dropout=0.4),
)
