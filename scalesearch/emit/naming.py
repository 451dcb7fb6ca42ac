"""Names that emitted code may use: a function for every network, a module for every family."""

from __future__ import annotations

import builtins
import keyword
import re
import sys
from collections.abc import Collection, Sequence
from itertools import takewhile
from typing import Final

from scalesearch.arch.spec import NetSpec

__all__ = ["family_name", "function_names"]

_MAX_LENGTH: Final = 40  # so that the lines of an import of it fit
# names that emitted modules use themselves, or that would hide a package when the module is imported
_TAKEN: Final = frozenset(
    {"nn", "torch", "timm", "torchvision", "numpy", "scalesearch", "partial", "initialise", "default_cfgs", "manifest"}
)


def function_names(specs: Sequence[NetSpec], *, taken: Collection[str] = ()) -> tuple[str, ...]:
    """A valid, distinct, lower-case Python name for every spec: "Scaled B3" -> "scaled_b3".

    Names that would collide get _2, _3, ... in the order of `specs`.

    Args:
        taken: further names that must not be used; such a network is called scaled_NAME.
    """
    names: list[str] = []
    for spec in specs:
        base = _identifier(spec.name)
        if base in taken:
            base = f"scaled_{base}"
        name, count = base, 1
        while name in names:
            count += 1
            name = f"{base}_{count}"
        names.append(name)
    return tuple(names)


def family_name(specs: Sequence[NetSpec]) -> str:
    """The name of the module that holds `specs`: the leading words that their names have in common.

    ("efficientnet_b0", "efficientnet_b1") -> "efficientnet"; one network gives its own name; else "networks".
    """
    names = [_identifier(spec.name) for spec in specs]
    if len(set(names)) == 1:
        return names[0]
    parts = takewhile(lambda column: len(set(column)) == 1, zip(*(name.split("_") for name in names), strict=False))
    common = "_".join(column[0] for column in parts)
    if len(common) < 3 or keyword.iskeyword(common) or common in sys.stdlib_module_names or common in _TAKEN:
        return "networks"
    return common


def _identifier(name: str) -> str:
    text = re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_")[:_MAX_LENGTH].strip("_")
    if not text or text[0].isdigit():
        text = f"net_{text}".strip("_")
    hides = keyword.iskeyword(text) or hasattr(builtins, text) or text in sys.stdlib_module_names or text in _TAKEN
    return f"{text}_net" if hides else text
