"""Fixtures of this folder."""

from small_disks import mount

__all__ = ["mount"]
