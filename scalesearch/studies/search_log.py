"""Every ask of a search, written down with the next result at the latest, so that a continued search is the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final

from scalesearch.arch.space import Point
from scalesearch.store.ledger import Ledger
from scalesearch.store.stored_values import stored_items

__all__ = ["Entry", "SearchLog"]

_PREFIX: Final = "ask/"


@dataclass(frozen=True, slots=True)
class Entry:
    """One ask.

    Attributes:
        number: counted from 0.
        point: the network, in the search space.
        fingerprint: of the network.
        rung: 0 for a new network, more for one that was promoted to longer training.
        key: of its trial; None where it is not trained.
        told: results that the strategy knew when it was asked.
        duplicates: proposals passed over because their network had been asked for.
        over_budget: proposals passed over because of the hard budget.
        cost: in the unit of the search's target.
        skipped: why it is not trained; "" where it is.
    """

    number: int
    point: Point
    fingerprint: str
    rung: int
    key: str | None
    told: int
    duplicates: int
    over_budget: int
    cost: float
    skipped: str = ""


_FIELDS: Final = tuple(field.name for field in fields(Entry))


class SearchLog:
    """The asks of one run in its ledger, in order."""

    def __init__(self, ledger: Ledger):
        self._ledger = ledger
        self.entries = list(self._stored())

    def add(self, entry: Entry) -> None:
        """Write an ask down; it is on disk as soon as any result is that came after it.

        One that was lost, because everything died before, is asked for again: nothing that it depended on has changed.
        """
        assert entry.number == len(self.entries), entry
        self._ledger.note(f"{_PREFIX}{entry.number:07d}", json.dumps({name: getattr(entry, name) for name in _FIELDS}))
        self.entries.append(entry)

    def _stored(self) -> Iterator[Entry]:
        yield from (entry for _, entry in stored_items(self._ledger, _PREFIX, _entry))


def _entry(values: dict[str, Any]) -> Entry:
    numbers = {name: int(values[name]) for name in ("number", "rung", "told", "duplicates", "over_budget")}
    return Entry(**{**values, **numbers, "point": tuple(map(int, values["point"])), "cost": float(values["cost"])})
