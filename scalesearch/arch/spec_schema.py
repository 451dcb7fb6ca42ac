"""Spec files of older schemas, brought up to date before they are read; newer ones are refused.

1   keys that came later may be left out, and so may the version itself
2   every key stands in the file, so that a default that changes one day never changes what a file means
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from scalesearch.errors import SpecError

__all__ = ["SCHEMA_VERSION", "migrated"]

SCHEMA_VERSION: Final = 2

# what schema 1 meant where a key was left out; never to be changed
_NET_1: Final[Mapping[str, Any]] = {
    "head_width": 1280,
    "num_classes": 1000,
    "in_channels": 3,
    "stem_stride": 2,
    "stem_kernel_size": 3,
    "activation": "silu",
    "dropout": 0.2,
    "drop_path": 0.2,
    "norm_eps": 1e-3,
    "norm_momentum": 0.01,
    "stem_pool": False,
}
_STAGE_1: Final[Mapping[str, Any]] = {"expansion_ratio": 1.0, "se_ratio": 0.0, "skip": True, "activation": None}


def migrated(values: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a spec file as this scalesearch writes them, without "schema".

    Raises:
        SpecError: no version that this scalesearch reads.
    """
    known = dict(values)
    version = known.pop("schema", 1)
    if type(version) is not int or not 1 <= version <= SCHEMA_VERSION:
        newer = type(version) is int and version > SCHEMA_VERSION
        raise SpecError(
            f"this scalesearch reads spec schema 1 to {SCHEMA_VERSION}",
            value=version,
            way_out="update scalesearch" if newer else "write the spec with `to_json`",
        )
    for older in range(version, SCHEMA_VERSION):
        known = _STEPS[older](known)
    return known


def _from_1(values: dict[str, Any]) -> dict[str, Any]:
    stages = values.get("stages")
    if isinstance(stages, list):
        stages = [{**_STAGE_1, **stage} if isinstance(stage, dict) else stage for stage in stages]
        values = {**values, "stages": stages}
    return {**_NET_1, **values}


_STEPS: Final[Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {1: _from_1}
