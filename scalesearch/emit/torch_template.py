"""Templates of emitted code: lines that stay only where a family of networks needs them.

A line that ends in "# if NAME" (or "# if not NAME", joined by "and") stays, without that mark, where it holds.
"""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Final

__all__ = ["FEATURES", "select"]

FEATURES: Final = frozenset({"se", "se_somewhere", "expansion", "sum", "skip", "activation", "headless", "pool"})
"""What a family may need: squeeze-excite (in some stages only), an expansion ratio, blocks that activate a sum, stages
without a skip, stages with an activation of their own, networks without a head convolution, a max pool in the stem."""

_CONDITION: Final = re.compile(r"  # if ([a-z_ ]+)$")


def select(template: str, features: Set[str]) -> str:
    """`template` without its marks, and without the lines whose condition does not hold."""
    lines = []
    for line in template.splitlines():
        mark = _CONDITION.search(line)
        if mark is None:
            lines.append(line)
        elif all(_holds(term, features) for term in mark[1].split(" and ")):
            lines.append(line[: mark.start()])
    return "\n".join(lines) + "\n"


def _holds(term: str, features: Set[str]) -> bool:
    name = term.removeprefix("not ")
    assert name in FEATURES, name
    return (name in features) != term.startswith("not ")
