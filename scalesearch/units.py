"""Quantities as people write them: "400M" <-> 400_000_000.

Counts are plain numbers with an optional SI suffix K, M, G (or B) or T: "400M", "0.4G", "4e8".
"""

from __future__ import annotations

import math
import re

from scalesearch.errors import UnitError

__all__ = ["format_count", "format_seconds", "parse_count"]

_SUFFIX = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12}
_COUNT = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)\s*([KMGBT]?)\s*", re.IGNORECASE)
_WAY_OUT = 'write it like "400M", "0.4G" or "4e8"'


def parse_count(text: str | int | float, *, what: str = "a count") -> int:
    """Read a positive whole number such as "400M", "400 M", "0.4G" or 4e8.

    Args:
        text: the number as a string, int or float.
        what: how messages name the quantity.

    Raises:
        UnitError: empty, unknown suffix, not positive, or not finite.
    """
    if isinstance(text, bool):
        raise UnitError(f"{what} must be a number", value=text, way_out=_WAY_OUT)
    try:
        match = _COUNT.fullmatch(str(text))
    except ValueError:  # Python does not write integers of more than 4300 digits
        raise UnitError(f"{what} must be at most 1e18", value="thousands of digits", way_out=_WAY_OUT) from None
    if match is None:
        raise UnitError(f"{what} must be a positive number with suffix K, M, G or T", value=text, way_out=_WAY_OUT)
    value = float(match[1]) * _SUFFIX[match[2].upper()]
    if not math.isfinite(value) or value > 1e18:
        raise UnitError(f"{what} must be at most 1e18", value=text, way_out=_WAY_OUT)
    if round(value) < 1:
        raise UnitError(f"{what} must be at least 1", value=text, way_out=_WAY_OUT)
    return round(value)


def format_count(value: float, *, digits: int = 3) -> str:
    """Write a count with an SI suffix: 385_814_752 -> "386M"."""
    for suffix, scale in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("K", 1e3)):
        # 999.6M would print as "1000M" with three digits: round first, then choose the suffix.
        if abs(value) >= scale * (1 - 0.5 * 10**-digits):
            scaled = value / scale
            decimals = max(0, digits - 1 - math.floor(math.log10(abs(scaled)) + 1e-9))
            return f"{scaled:.{decimals}f}{suffix}"
    return f"{value:g}"


def format_seconds(seconds: float) -> str:
    """Write a duration for people: 75.2 -> "1 min 15 s"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
