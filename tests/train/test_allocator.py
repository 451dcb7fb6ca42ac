"""Keeping freed memory: it works with glibc and harms nowhere."""

import ctypes
import platform
import subprocess
import sys

import pytest

from scalesearch.train import allocator
from scalesearch.train.allocator import keep_freed_memory

# page faults of ten rounds of taking and freeing 32 MB, after a first one
FAULTS = """
import resource, sys
import torch
from scalesearch.train.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
torch.ones(8_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(8_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

# a process that may not grow by as much as is asked for
LIMITED = """
import resource
from scalesearch.train.allocator import keep_freed_memory
resource.setrlimit(resource.RLIMIT_AS, (500 << 20, 500 << 20))
assert keep_freed_memory()
bytes(1 << 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="for glibc")
def test_pages_are_not_asked_for_again() -> None:
    faults = {
        way: int(subprocess.run([sys.executable, "-c", FAULTS, way], capture_output=True, check=True, text=True).stdout)
        for way in ("plain", "keep")
    }
    assert faults["keep"] < faults["plain"] / 5


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="for glibc")
def test_a_limit_on_memory_does_no_harm() -> None:
    subprocess.run([sys.executable, "-c", LIMITED], check=True)


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Without:
        """A C library without mallopt."""

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Without())
    assert keep_freed_memory() is False

    def none_at_all(name: object) -> None:
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", none_at_all)
    assert allocator.keep_freed_memory() is False
