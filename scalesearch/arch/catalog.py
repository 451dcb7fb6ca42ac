"""Published networks and families as data.

Sources: EfficientNet B0-B8, L2 and Lite (tensorflow/tpu, efficientnet_builder.py and
lite/efficientnet_lite_builder.py), MobileNetV2 (arXiv 1801.04381, table 2), MnasNet-A1 and B1
(arXiv 1807.11626, figure 7 and the released mnasnet_models.py), TinyNet A-E (arXiv 2010.14819 and its release).
Families are tables of (width, depth, resolution, dropout), never `multipliers_at(phi)`: the released
B1-B7 do not follow one phi (docs/counting.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Final

from scalesearch.arch.scaling import RELEASED, Rounding, scale_net
from scalesearch.arch.spec import NetSpec, StageSpec
from scalesearch.errors import SpecError, UnknownNameError

__all__ = ["catalog_names", "catalog_spec", "load_spec"]


def _mbconv(
    expansion: float, kernel: int, stride: int, width: int, depth: int, se: float, skip: bool = True
) -> StageSpec:
    kind = "mbconv" if expansion != 1 else "depthwise_separable"
    return StageSpec(kind, kernel, stride, width, depth, expansion_ratio=expansion, se_ratio=se, skip=skip)


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
    name="efficientnet_b0", resolution=224, stem_width=32, stages=tuple(_mbconv(*row, se=0.25) for row in _B0_STAGES)
)
_LITE0: Final = NetSpec(
    name="efficientnet_lite0",
    resolution=224,
    stem_width=32,
    stages=tuple(_mbconv(*row, se=0.0) for row in _B0_STAGES),
    activation="relu6",
)
_MOBILENET_V2: Final = NetSpec(
    name="mobilenet_v2",
    resolution=224,
    stem_width=32,
    stages=tuple(
        _mbconv(*row, se=0.0)
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
        _mbconv(1, 3, 1, 16, 1, se=0.0, skip=False),
        _mbconv(6, 3, 2, 24, 2, se=0.0),
        _mbconv(3, 5, 2, 40, 3, se=0.25),
        _mbconv(6, 3, 2, 80, 4, se=0.0),
        _mbconv(6, 3, 1, 112, 2, se=0.25),
        _mbconv(6, 5, 2, 160, 3, se=0.25),
        _mbconv(6, 3, 1, 320, 1, se=0.0),
    ),
    activation="relu",
)
_MNASNET_B1: Final = NetSpec(
    name="mnasnet_b1",
    resolution=224,
    stem_width=32,
    stages=(
        _mbconv(1, 3, 1, 16, 1, se=0.0, skip=False),
        _mbconv(3, 3, 2, 24, 3, se=0.0),
        _mbconv(3, 5, 2, 40, 3, se=0.0),
        _mbconv(6, 5, 2, 80, 3, se=0.0),
        _mbconv(6, 3, 1, 96, 2, se=0.0),
        _mbconv(6, 5, 2, 192, 4, se=0.0),
        _mbconv(6, 3, 1, 320, 1, se=0.0, skip=False),
    ),
    activation="relu",
)

# family member: (width, depth, resolution, dropout)
_EFFICIENTNET: Final = {
    "b0": (1.0, 1.0, 224, 0.2),
    "b1": (1.0, 1.1, 240, 0.2),
    "b2": (1.1, 1.2, 260, 0.3),
    "b3": (1.2, 1.4, 300, 0.3),
    "b4": (1.4, 1.8, 380, 0.4),
    "b5": (1.6, 2.2, 456, 0.4),
    "b6": (1.8, 2.6, 528, 0.5),
    "b7": (2.0, 3.1, 600, 0.5),
    "b8": (2.2, 3.6, 672, 0.5),
    "l2": (4.3, 5.3, 800, 0.5),
}
_LITE: Final = {
    "lite0": (1.0, 1.0, 224, 0.2),
    "lite1": (1.0, 1.1, 240, 0.2),
    "lite2": (1.1, 1.2, 260, 0.3),
    "lite3": (1.2, 1.4, 280, 0.3),
    "lite4": (1.4, 1.8, 300, 0.3),
}
_TINYNET: Final = {
    "a": (1.0, 1.2, 192, 0.2),
    "b": (0.75, 1.1, 188, 0.2),
    "c": (0.54, 0.85, 184, 0.2),
    "d": (0.54, 0.695, 152, 0.2),
    "e": (0.51, 0.6, 106, 0.2),
}
_LITE_ROUNDING: Final = Rounding(stem="keep", head="keep", fixed_ends=True)
_TINY_ROUNDING: Final = Rounding(depth="nearest", stem="keep", head="grow")


def _member(base: NetSpec, name: str, row: tuple[float, float, int, float], rounding: Rounding) -> NetSpec:
    width, depth, resolution, dropout = row
    scaled = scale_net(base, depth=depth, width=width, resolution=resolution, rounding=rounding, name=name)
    return replace(scaled, dropout=dropout)


def _makers() -> dict[str, Callable[[], NetSpec]]:
    makers: dict[str, Callable[[], NetSpec]] = {
        spec.name: partial(replace, spec) for spec in (_MOBILENET_V2, _MNASNET_A1, _MNASNET_B1)
    }
    families = (
        ("efficientnet_", _B0, _EFFICIENTNET, RELEASED),
        ("efficientnet_", _LITE0, _LITE, _LITE_ROUNDING),
        ("tinynet_", _B0, _TINYNET, _TINY_ROUNDING),
    )
    for prefix, base, table, rounding in families:
        for key, row in table.items():
            makers[prefix + key] = partial(_member, base, prefix + key, row, rounding)
    return makers


_MAKERS: Final = _makers()


def catalog_names() -> tuple[str, ...]:
    """Every published network that `catalog_spec` knows."""
    return tuple(_MAKERS)


@cache
def catalog_spec(name: str) -> NetSpec:
    """A published network by name, for example "efficientnet_b0".

    Raises:
        UnknownNameError: no such network in the catalog.
    """
    if name not in _MAKERS:
        raise UnknownNameError.of("network", name, _MAKERS)
    return _MAKERS[name]()


def load_spec(name_or_path: str | Path) -> NetSpec:
    """A catalog name, or the path of a spec JSON file.

    Raises:
        UnknownNameError: neither a catalog name nor a .json file.
        SpecError: the file cannot be read or does not hold a spec.
    """
    text = str(name_or_path)
    if text in _MAKERS:
        return catalog_spec(text)
    path = Path(text)
    if path.suffix != ".json" and not path.is_file():
        raise UnknownNameError.of("network", text, _MAKERS)
    try:
        if path.stat().st_size > 4 << 20:
            raise SpecError("a spec file is at most 4 MiB", value=text)
        return NetSpec.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError("a spec file must be readable text", value=text, way_out=str(error)) from error
