"""Values that studies keep as JSON in a ledger's meta table, read with care: a run may come from anybody."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from scalesearch.errors import ScaleSearchError
from scalesearch.store.ledger import Ledger
from scalesearch.store.ledger_faults import refusal

__all__ = ["stored_items", "stored_value"]

T = TypeVar("T")


def stored_value(ledger: Ledger, key: str, read: Callable[[Any], T], default: T) -> T:
    """What `read` makes of the JSON value under `key`, or `default` where there is none.

    Raises:
        LedgerError: it is not what `read` takes.
    """
    text = ledger.get_meta(key)
    if text is None:
        return default
    with _as_written(ledger.path, key):
        return read(json.loads(text))


def stored_items(ledger: Ledger, prefix: str, read: Callable[[Any], T]) -> list[tuple[str, T]]:
    """(key, what `read` makes of its JSON value) for every key that begins with `prefix`, in the order of the keys.

    Raises:
        LedgerError: a value is not what `read` takes.
    """
    with _as_written(ledger.path, prefix):
        return [(key, read(json.loads(text))) for key, text in ledger.meta_items(prefix)]


@contextmanager
def _as_written(path: Path, key: str) -> Iterator[None]:
    try:
        yield
    except ScaleSearchError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise refusal(path, f"{key} of a ledger must be as scalesearch writes it") from error
