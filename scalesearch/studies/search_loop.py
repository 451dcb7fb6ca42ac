"""The loop of a search: what is trained next, and what the strategy is told, as a pure function of committed results.

A continued search repeats the asks and tells of its first sessions in their order, trains what was asked for but never
answered, and goes on: nothing is trained twice, and with one slot it asks for exactly what an uninterrupted run would.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from scalesearch.arch.space import Point
from scalesearch.errors import BudgetError
from scalesearch.search.halving import Rungs
from scalesearch.search.strategy import Outcome, Strategy
from scalesearch.store.ledger import Ledger
from scalesearch.studies.baseline_work import BaselineWork
from scalesearch.studies.search_log import Entry, SearchLog
from scalesearch.trial import TrialRecord, TrialRequest

__all__ = ["SearchLoop", "counts"]

# networks in a row that may turn out too dear when measured
_SKIPS: Final = 100


class SearchLoop:
    """Feeds the engine and the strategy.

    Args:
        work: what points mean and how they are judged.
        strategy: asked nothing yet.
        ledger: holds the asks and the results of earlier sessions.
        limit: trainings that the search may take; asked before each.

    Attributes:
        results: what was committed, by trial key, in the order in which it was told.
    """

    def __init__(self, work: BaselineWork, strategy: Strategy, ledger: Ledger, limit: Callable[[], int]):
        self._work, self._strategy, self._limit = work, strategy, limit
        self._rungs = Rungs(work.settings.halving)
        self._log = SearchLog(ledger)
        self._of_key: dict[str, list[Entry]] = {}
        self._point_of: dict[str, Point] = {}
        self._value_of: dict[str, float] = {}  # the latest of each network, from its longest schedule
        self._leader: str | None = None
        self.results: dict[str, TrialRecord] = {}
        self._again = deque(self._replay(ledger))

    @property
    def entries(self) -> list[Entry]:
        """Every ask so far."""
        return self._log.entries

    @property
    def n_trainings(self) -> int:
        """Different trials asked for."""
        return len(self._of_key)

    @property
    def best(self) -> tuple[float, str] | None:
        """Objective and name of the best network so far; None before the first success."""
        if self._leader is None:
            return None
        return self._value_of[self._leader], self._work.problem.spec(self._point_of[self._leader]).name

    def name(self, record: TrialRecord) -> str:
        """The network that a result is about; of several that share a proxy, the first that was asked for."""
        return self._work.problem.spec(self._of_key[record.key][0].point).name

    def take(self) -> TrialRequest | None:
        """The next trial; None when the budget is used up or there is nothing left to ask for.

        Raises:
            BudgetError: one network after the other is beyond the hard budget.
        """
        if self._again:
            return self._request(self._again.popleft())
        for _ in range(_SKIPS):
            if self.n_trainings >= self._limit():
                return None
            entry = self._promoted() or self._new()
            if entry is None:
                return None
            is_new = entry.key is not None and entry.key not in self._of_key
            self._log.add(entry)
            self._note(entry)
            if is_new:
                return self._request(entry)
        raise self._nothing_allowed()

    def finished(self, record: TrialRecord) -> None:
        """Tell the strategy about a committed result."""
        self.results[record.key] = record
        for entry in self._of_key[record.key]:
            self._tell(entry, record)

    def _replay(self, ledger: Ledger) -> list[Entry]:
        """Bring strategy and halving to where earlier sessions left them; returns asks without an answer."""
        keys = {entry.key for entry in self.entries}
        committed = deque(
            record
            for record in ledger.records()
            if record.key in keys and (record.final or ledger.stored_here(record.key))
        )
        waiting: list[Entry] = []
        for entry in self.entries:
            while len(self.results) < entry.told and committed and committed[0].key in self._of_key:
                self.finished(committed.popleft())
            if entry.rung == 0:
                self._strategy.asked(entry.point)
            if entry.key is not None and entry.key not in self._of_key:
                waiting.append(entry)
            self._note(entry)
        for record in committed:
            self.finished(record)
        return [entry for entry in waiting if entry.key not in self.results]

    def _note(self, entry: Entry) -> None:
        """An ask stands: what is known of it already is told at once."""
        self._rungs.send(entry.rung, entry.fingerprint)
        self._point_of.setdefault(entry.fingerprint, entry.point)
        if entry.key is None:
            self._strategy.tell(entry.point, Outcome(None, None, entry.cost))
            return
        self._of_key.setdefault(entry.key, []).append(entry)
        if entry.key in self.results:
            self._tell(entry, self.results[entry.key])

    def _tell(self, entry: Entry, record: TrialRecord) -> None:
        """Strategies learn from the first rung alone, because only there all networks are trained alike."""
        value = self._work.objective(record.accuracy, entry.cost)
        self._rungs.tell(entry.rung, entry.fingerprint, value)
        if value is not None:
            self._value_of[entry.fingerprint] = value
            self._follow_leader(entry.fingerprint)
        if entry.rung == 0:
            self._strategy.tell(entry.point, Outcome(value, record.accuracy, entry.cost))

    def _follow_leader(self, told: str) -> None:
        """Keep the best so far; only a leader that fell back is worth a look at all of them."""
        values, leader = self._value_of, self._leader
        if leader is None or values[told] > values[leader]:
            self._leader = told
        elif told == leader:
            self._leader = max(values, key=values.__getitem__)

    def _promoted(self) -> Entry | None:
        found = self._rungs.promotion()
        if found is None:
            return None
        fingerprint, rung = found
        point = self._point_of[fingerprint]
        key, cost = self._work.request(point, rung).key, self._work.cost(point)
        return Entry(len(self.entries), point, fingerprint, rung, key, len(self.results), 0, 0, cost)

    def _new(self) -> Entry | None:
        ask = self._strategy.ask()
        if ask is None:
            return None
        cost = self._work.cost(ask.point)
        low, high = self._work.settings.bounds
        allowed = low <= cost <= high
        return Entry(
            number=len(self.entries),
            point=ask.point,
            fingerprint=self._work.problem.fingerprint(ask.point),
            rung=0,
            key=self._work.request(ask.point, 0).key if allowed else None,
            told=len(self.results),
            duplicates=ask.duplicates,
            over_budget=ask.over_budget,
            cost=cost,
            skipped="" if allowed else "outside the hard budget",
        )

    def _request(self, entry: Entry) -> TrialRequest:
        return self._work.request(entry.point, entry.rung)

    def _nothing_allowed(self) -> BudgetError:
        low, high = self._work.settings.bounds
        skipped = sorted((entry for entry in self.entries if entry.skipped), key=lambda entry: entry.cost)
        rows = [f"{entry.cost:.4g}  {self._work.problem.spec(entry.point).name}" for entry in skipped[:8]]
        return BudgetError(
            f"a network must cost {low:.4g} to {high:.4g} ({self._work.settings.cost})",
            value=f"{_SKIPS} in a row did not",
            way_out="choose another target, or widen budget.low and budget.high",
            table="\n".join(["cost      network", *rows]),
        )


def counts(entries: list[Entry], results: Mapping[str, TrialRecord]) -> dict[str, int]:
    """What became of the asks, for summaries."""
    first: set[str] = set()
    repeated = 0
    for entry in entries:
        if entry.key is not None:
            repeated += entry.key in first
            first.add(entry.key)
    return {
        "n_asked": len(entries),
        "n_trained": len(results),
        "n_skipped_over_budget": sum(entry.over_budget + bool(entry.skipped) for entry in entries),
        "n_duplicates": repeated + sum(entry.duplicates for entry in entries),
    }
