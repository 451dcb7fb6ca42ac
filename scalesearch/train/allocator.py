"""Keeps freed memory in the process, so that every step does not ask the kernel for the same pages again.

glibc maps large blocks anew and gives them back when they are freed; a training step then pays for a page fault, and
for zeroing, every 4 kB of activations: 800 to 1,500 faults a step for the networks of docs/recipe.md, 50 to 150 with
these settings.
"""

from __future__ import annotations

import ctypes
from typing import Final

__all__ = ["keep_freed_memory"]

# parameters of mallopt(3), malloc.h
_TRIM_THRESHOLD: Final = -1
_TOP_PAD: Final = -2
_MMAP_THRESHOLD: Final = -3
_SETTINGS: Final = (
    (_MMAP_THRESHOLD, 1 << 30),  # blocks below 1 GiB come from the heap
    (_TRIM_THRESHOLD, (1 << 31) - 1),  # which does not shrink
    (_TOP_PAD, 64 << 20),  # and grows by 64 MiB
)


def keep_freed_memory() -> bool:
    """Set it for this process, for good; False where the C library has no such settings (musl, macOS, Windows)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return all(mallopt(parameter, value) == 1 for parameter, value in _SETTINGS)
