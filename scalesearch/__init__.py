"""scalesearch: how should my network grow?

The public API; heavy parts load on first use, so that `import scalesearch` is light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "CompoundCoefficients": "scalesearch.arch.scaling",
    "Cost": "scalesearch.arch.cost",
    "InputError": "scalesearch.errors",
    "NetSpec": "scalesearch.arch.spec",
    "Objective": "scalesearch.objective",
    "Rounding": "scalesearch.arch.scaling",
    "ScaleSearchError": "scalesearch.errors",
    "StageSpec": "scalesearch.arch.spec",
    "build_net": "scalesearch.nets.build",
    "catalog_names": "scalesearch.arch.catalog",
    "cost_of": "scalesearch.arch.cost",
    "from_timm": "scalesearch.emit.state_dicts",
    "from_torchvision": "scalesearch.emit.state_dicts",
    "load_run": "scalesearch.store.run",
    "load_spec": "scalesearch.arch.catalog",
    "scale_net": "scalesearch.arch.scaling",
    "to_timm": "scalesearch.emit.state_dicts",
    "to_torchvision": "scalesearch.emit.state_dicts",
}

__all__ = [
    "CompoundCoefficients",
    "Cost",
    "InputError",
    "NetSpec",
    "Objective",
    "Rounding",
    "ScaleSearchError",
    "StageSpec",
    "build_net",
    "catalog_names",
    "cost_of",
    "from_timm",
    "from_torchvision",
    "load_run",
    "load_spec",
    "scale_net",
    "to_timm",
    "to_torchvision",
    "__version__",
]

if TYPE_CHECKING:
    from scalesearch.arch.catalog import catalog_names, load_spec
    from scalesearch.arch.cost import Cost, cost_of
    from scalesearch.arch.scaling import CompoundCoefficients, Rounding, scale_net
    from scalesearch.arch.spec import NetSpec, StageSpec
    from scalesearch.emit.state_dicts import from_timm, from_torchvision, to_timm, to_torchvision
    from scalesearch.errors import InputError, ScaleSearchError
    from scalesearch.nets.build import build_net
    from scalesearch.objective import Objective
    from scalesearch.store.run import load_run


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'scalesearch' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
