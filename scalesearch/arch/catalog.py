"""Published networks and families by name; the data stand in `arch.catalog_*`, with their sources."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from scalesearch.arch.catalog_efficientnet import EFFICIENTNET, EFFICIENTNET_LITE, TINYNET
from scalesearch.arch.catalog_efficientnet_v2 import EFFICIENTNET_V2, EFFICIENTNET_V2_LARGE
from scalesearch.arch.catalog_family import Family, Maker, makers_of, single
from scalesearch.arch.catalog_mobile import MOBILE
from scalesearch.arch.catalog_resnet import RESNETS
from scalesearch.arch.spec import NetSpec
from scalesearch.errors import SpecError, UnknownNameError

__all__ = ["FAMILIES", "catalog_names", "catalog_spec", "load_spec"]

#: families that a table over one base describes
FAMILIES: Final[dict[str, Family]] = {
    "efficientnet": EFFICIENTNET,
    "efficientnet_lite": EFFICIENTNET_LITE,
    "efficientnet_v2": EFFICIENTNET_V2,
    "tinynet": TINYNET,
}


def _makers() -> dict[str, Maker]:
    makers: dict[str, Maker] = {}
    for spec in (*MOBILE, *EFFICIENTNET_V2_LARGE, *RESNETS):
        makers |= single(spec)
    for family in FAMILIES.values():
        makers |= makers_of(family)
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
