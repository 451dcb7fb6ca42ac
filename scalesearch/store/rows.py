"""`TrialRecord` <-> one row of plain values, with a digest that shows when a stored row was altered."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from scalesearch.trial import TrialRecord

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "SQL_TYPES", "digest_of", "record_of", "records_frame", "row_of"]


def _plain_type(hint: Any) -> type:
    """int, float, bool or str: the type of a field without its None."""
    if get_origin(hint) in (Union, UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    if get_origin(hint) is Literal:
        return str
    assert hint in (int, float, bool, str), hint
    return hint  # type: ignore[no-any-return]


_HINTS = get_type_hints(TrialRecord)

#: column name -> int, float, bool or str, in the order of the fields of `TrialRecord`
COLUMNS: Final[Mapping[str, type]] = {field.name: _plain_type(_HINTS[field.name]) for field in fields(TrialRecord)}

#: how SQLite stores each of them
SQL_TYPES: Final[Mapping[type, str]] = {int: "INTEGER", bool: "INTEGER", float: "REAL", str: "TEXT"}

_STATUSES: Final = get_args(_HINTS["status"])
_ALWAYS: Final = frozenset(field.name for field in fields(TrialRecord) if field.default is MISSING)
_FLAGS: Final = frozenset(name for name, kind in COLUMNS.items() if kind is bool)


def row_of(record: TrialRecord) -> dict[str, Any]:
    """Plain values by column; NumPy numbers become Python's, NaN None and bool int, because SQLite stores it so."""
    return {name: _plain_value(getattr(record, name), kind) for name, kind in COLUMNS.items()}


def record_of(row: Mapping[str, Any]) -> TrialRecord:
    """The record of a row; what it lacks keeps the record's default.

    Raises:
        ValueError: a value of another type than its column's, which SQLite itself does not prevent, or a row that
            lacks what every record has.
    """
    present: dict[str, Any] = {name: value for name, value in row.items() if value is not None}
    for name, value in present.items():
        kind = COLUMNS[name]
        if type(value) is not (int if kind is bool else kind):
            raise ValueError(f"{name} must be {kind.__name__}, got {type(value).__name__}")
    if present.get("status") not in _STATUSES or not present.keys() >= _ALWAYS:
        raise ValueError("a row must say what was trained and how it ended")
    for name in present.keys() & _FLAGS:
        present[name] = bool(present[name])
    return TrialRecord(**present)


def digest_of(row: Mapping[str, Any]) -> str:
    """16 hex digits over the values that are present, so that a column added later changes no digest."""
    present = {name: value for name, value in row.items() if value is not None}
    return hashlib.sha256(json.dumps(present, sort_keys=True).encode()).hexdigest()[:16]


def records_frame(records: Iterable[TrialRecord]) -> pd.DataFrame:
    """One row per record, one column per field.

    Whole numbers are int64, or Int64 where some are missing; missing floats are NaN, missing texts None.
    """
    import pandas as pd

    rows = [row_of(record) for record in records]
    columns = {}
    for name, kind in COLUMNS.items():
        values = [row[name] for row in rows]
        whole = "Int64" if None in values else "int64"
        columns[name] = pd.Series(values, dtype={int: whole, float: "float64", bool: "bool", str: "object"}[kind])
    return pd.DataFrame(columns)


def _plain_value(value: Any, kind: type) -> Any:
    if value is None or (kind is float and math.isnan(value)):
        return None
    if kind is bool:
        return int(value)
    # half of a surrogate pair, as some error messages hold it, cannot be stored
    return value.encode("utf-8", "replace").decode() if kind is str else kind(value)
