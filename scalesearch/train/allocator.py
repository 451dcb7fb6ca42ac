"""Keeps freed memory in the process, in large pages, so that no step asks the kernel for the same pages again.

glibc maps large blocks anew and gives them back when they are freed; a training step then pays for a page fault, and
for zeroing, every 4 kB of activations: 800 to 1,500 faults a step for the networks of docs/recipe.md, 50 to 150 with
these settings. Large pages (2 MB, where Linux grants them on request) save misses of the address cache on top.
"""

from __future__ import annotations

import ctypes
import mmap
from typing import Any, Final

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
_HEAP: Final = 1000 << 20  # below the first threshold; addresses only, until something is stored there


def keep_freed_memory() -> bool:
    """Set it for this process, for good; False where the C library has no such settings (musl, macOS, Windows)."""
    try:
        library = ctypes.CDLL(None)
        mallopt = library.mallopt
    except (OSError, AttributeError, TypeError):
        return False
    if not all(mallopt(parameter, value) == 1 for parameter, value in _SETTINGS):
        return False
    _ask_for_large_pages(library)
    return True


def _ask_for_large_pages(library: Any) -> None:
    """Let the heap grow once and ask for large pages there; a kernel without them refuses and nothing changes."""
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    library.free.restype, library.free.argtypes = None, [ctypes.c_void_p]
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    block = library.malloc(_HEAP)
    if block is None:  # a limit on the size of the process
        return
    first = -(-block // mmap.PAGESIZE) * mmap.PAGESIZE
    last = (block + _HEAP) // mmap.PAGESIZE * mmap.PAGESIZE
    library.madvise(first, last - first, mmap.MADV_HUGEPAGE)
    library.free(block)
