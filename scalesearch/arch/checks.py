"""Checks of values that arrive from files and callers; each raises a `SpecError` that states the rule."""

from __future__ import annotations

from collections.abc import Collection

from scalesearch.errors import SpecError, UnknownNameError

__all__ = ["check_bool", "check_int", "check_keys", "check_label", "check_name", "check_odd", "check_real"]


def check_int(name: str, value: object, low: int, high: int) -> None:
    """A whole number from `low` to `high`; True and False are not numbers here."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise SpecError(f"{name} must be a whole number from {low} to {high}", value=value)


def check_odd(name: str, value: int) -> None:
    """An odd number: an even kernel has no centre, and its output side depends on the padding chosen."""
    if value % 2 == 0:
        raise SpecError(f"{name} must be odd", value=value, way_out="use 3, 5 or 7")


def check_real(name: str, value: object, low: float, high: float) -> None:
    """A number from `low` to `high`; NaN fails."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise SpecError(f"{name} must be a number from {low:g} to {high:g}", value=value)


def check_bool(name: str, value: object) -> None:
    """True or False, and nothing that merely looks like it."""
    if not isinstance(value, bool):
        raise SpecError(f"{name} must be true or false", value=value)


def check_name(kind: str, value: object, known: Collection[str]) -> None:
    """One of the `known` names."""
    if not isinstance(value, str) or value not in known:
        raise UnknownNameError.of(kind, value, known)


def check_label(what: str, value: object) -> None:
    """1 to 200 printable characters, because a terminal obeys others, and none of =+-@ first, because a name is a
    cell of tables that spreadsheets open, and those would take it for a formula."""
    if not isinstance(value, str) or not 1 <= len(value) <= 200 or not value.isprintable():
        raise SpecError(f"{what} must be 1 to 200 printable characters", value=value)
    if value.lstrip()[:1] in ("", *"=+-@"):
        raise SpecError(f"{what} must not be blank or begin with =, +, - or @", value=value)


def check_keys(values: object, what: str, *, known: Collection[str], required: Collection[str]) -> dict[str, object]:
    """A JSON object with every required key and no unknown one; returns a copy."""
    if not isinstance(values, dict):
        raise SpecError(f"{what} must be a JSON object", value=type(values).__name__)
    unknown = [key for key in values if key not in known]
    if unknown:
        raise SpecError(
            f"{what} has an unknown key", value=unknown[0], way_out=f"known keys: {', '.join(sorted(known))}"
        )
    missing = sorted(set(required) - set(values))
    if missing:
        raise SpecError(f"{what} lacks the key {missing[0]!r}", way_out="add it")
    return dict(values)
