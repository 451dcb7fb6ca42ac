"""timm and torchvision for the tests that compare with them; both are optional.

torchvision's wheel may not find its compiled operators beside another build of torch. Its networks need none of them,
but its import registers shape rules for two, which fails unless their schemas exist: they are declared here first.
timm imports torchvision and stands or falls with it.
"""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# kept, because a library takes its schemas along when it is collected
_DECLARED: list[torch.library.Library] = []


def import_or_skip(name: str) -> ModuleType:
    """The package `name` ("timm", "torchvision" or a module of theirs); skips the test where it cannot be imported."""
    _declare_operators()
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"{name} cannot be imported: {error}")


def _declare_operators() -> None:
    found = importlib.util.find_spec("torchvision")
    if _DECLARED or found is None or found.origin is None:
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    _DECLARED.append(library)
    try:
        torch.ops.load_library(Path(found.origin).with_name("_C.so"))
    except OSError:
        for schema in _SCHEMAS:
            library.define(schema)
