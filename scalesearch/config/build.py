"""Frozen dataclasses from plain values: unknown keys, missing keys and wrong types are refused with one line."""

from __future__ import annotations

import difflib
import functools
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar

from scalesearch.errors import ConfigError

__all__ = ["build", "dotted_keys", "unknown_key"]

T = TypeVar("T")


def build(cls: type[T], values: object, path: str = "") -> T:
    """A dataclass from plain values, nested ones included; types are checked by pydantic's lax rules.

    Raises:
        ConfigError: an unknown key, a missing one, or a value of the wrong type.
    """
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    if not isinstance(values, Mapping):
        raise ConfigError(
            f"{path or 'the configuration'} must hold keys", value=values, way_out="choose a group option"
        )
    types = _field_types(typing.cast(type, cls))
    for key in values:
        if key not in types:
            raise unknown_key(f"{path}.{key}".lstrip("."), [f"{path}.{name}".lstrip(".") for name in types])
    arguments: dict[str, Any] = {}
    for field in fields(typing.cast(Any, cls)):
        dotted = f"{path}.{field.name}".lstrip(".")
        kind = types[field.name]
        if field.name not in values:
            if field.default is MISSING and field.default_factory is MISSING:
                raise ConfigError(f"the setting {dotted} is missing", way_out="give it a value")
        elif is_dataclass(kind):
            arguments[field.name] = build(typing.cast(type, kind), values[field.name], dotted)
        else:
            try:
                adapter: TypeAdapter[Any] = TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False))
                arguments[field.name] = adapter.validate_python(values[field.name])
            except ValidationError as error:
                raise ConfigError(
                    f"{dotted} is of the wrong type ({error.errors()[0]['msg'].lower()})",
                    value=values[field.name],
                    way_out=f"expected {_type_name(kind)}",
                ) from error
    return cls(**arguments)


def dotted_keys(cls: type) -> Iterator[str]:
    """Every key that `build` reads for a dataclass, nested ones joined by dots."""
    for name, kind in _field_types(cls).items():
        yield name
        if is_dataclass(kind):
            yield from (f"{name}.{inner}" for inner in dotted_keys(typing.cast(type, kind)))


def unknown_key(key: str, known: Sequence[str]) -> ConfigError:
    """The error for a key that is none of the known ones; names the nearest."""
    near = difflib.get_close_matches(key, known, n=3, cutoff=0.5)
    way_out = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
    return ConfigError("unknown setting", value=key, way_out=way_out)


@functools.cache
def _field_types(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(typing.cast(Any, cls))}


def _type_name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind)) if not typing.get_args(kind) else str(kind).replace("typing.", "")
