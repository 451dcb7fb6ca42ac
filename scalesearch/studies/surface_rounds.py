"""Places and trains the trainings of a grid that one law judges, until it names a candidate or is found wrong.

The first round is what a verdict needs at least: a network per coefficient and SPARE more, and MIN_PURE_DF repeats.
The size of the others comes from the number of candidates alone, never from slots or the budget, because a run that is
continued on another machine or with more minutes must repeat every decision; within the default budget the law is
looked at LOOKS times, which is what its verdict pays for.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from scalesearch.analysis.evidence import LOOKS
from scalesearch.analysis.placement import SPARE, next_trials
from scalesearch.analysis.regression import LACK_OF_FIT
from scalesearch.analysis.surface import MIN_PURE_DF, Frame, SurfaceVerdict, judge_surface, read_candidates
from scalesearch.engine.base import Engine
from scalesearch.engine.interrupts import Interrupts
from scalesearch.report.screen import Screen
from scalesearch.store.ledger import Ledger
from scalesearch.studies.budget import decided_budget
from scalesearch.studies.guards import guard_device
from scalesearch.studies.racing import Unit, train_units
from scalesearch.studies.surface_work import SurfaceWork
from scalesearch.trial import TrialRecord

__all__ = ["SurfaceRounds", "judged", "next_units", "round_sizes"]

Records = Mapping[Unit, TrialRecord]


def round_sizes(work: SurfaceWork) -> tuple[int, int]:
    """Trainings of the first round, and of every later one."""
    if len(work.grid.candidates) == 1:  # nothing to tell apart
        return work.grid.settings.race.first_seeds, 1
    networks, candidates = read_candidates(work.pool())[1], read_candidates(work.candidates())[1]
    # one more, because the second seed pays for its own effect before it repeats anything
    first = Frame.of(networks, candidates).n_terms + SPARE + MIN_PURE_DF + 1
    budget = replace(work.grid.settings.race, max_trainings=None).budget(len(candidates))
    return first, max(1, math.ceil((budget - first) / (LOOKS - 1)))


def judged(work: SurfaceWork, records: Records, *, n_bootstrap: int = 2000) -> SurfaceVerdict | None:
    """What the law says on all trainings of networks that did not fail; None where not one has succeeded."""
    failed, candidates = work.failed(records), work.candidates(work.failed(records))
    kept = _without(records, failed)
    if candidates.empty or all(record.accuracy is None for record in kept.values()):
        return None
    confidence = work.grid.settings.race.confidence
    return judge_surface(work.trials(kept), candidates, confidence=confidence, n_bootstrap=n_bootstrap)


def next_units(work: SurfaceWork, records: Records, budget: int) -> list[Unit]:
    """The units of the next round; [] when it is over. A function of the records, in the order they were asked for.

    It is over when one candidate is named alone, when the law is found wrong (at LACK_OF_FIT over all LOOKS, because
    every look may mislead), when not one training of a round succeeded, or when the budget or the networks are used up.
    """
    first, later = round_sizes(work)
    left = budget - len(records)
    alone = len(work.grid.candidates) == 1 and len(records) >= first
    if left <= 0 or alone or (records and _is_over(judged(work, records, n_bootstrap=1))):
        return []
    failed, n = work.failed(records), min(left, later if records else first)
    trials, seeds = work.trials(_without(records, failed)), work.grid.settings.race.max_seeds
    return next_trials(trials, work.candidates(failed), work.pool(failed), n, max_seeds=seeds)


def _without(records: Records, failed: Collection[str]) -> Records:
    return {unit: record for unit, record in records.items() if unit[0] not in failed}


def _is_over(verdict: SurfaceVerdict | None) -> bool:
    if verdict is None:
        return True
    alone = verdict.winner is not None and not verdict.ties
    wrong = verdict.lack_of_fit is not None and verdict.lack_of_fit < LACK_OF_FIT / LOOKS
    return alone or wrong


@dataclass(frozen=True)
class SurfaceRounds:
    """The trainings of one grid on one engine; `minutes` as for a race."""

    work: SurfaceWork
    engine: Engine
    ledger: Ledger
    stop: Interrupts
    screen: Screen
    minutes: float | None = None

    def run(self) -> tuple[int, Records]:
        """Train until it is over; every decision follows from committed results alone.

        Returns:
            The budget as it was in the end, and the record of every unit.
        """
        records: dict[Unit, TrialRecord] = {}
        budget, number = self.work.grid.max_trainings, 0
        while units := next_units(self.work, records, budget):
            number += 1
            self._announce(records, number, len(units), budget)
            records |= train_units(self.work, units, self.engine, self.ledger, self.stop, self.screen)
            guard_device(records.values())
            if number == 1:
                budget = self._within_minutes(records, budget)
        return budget, records

    def _within_minutes(self, first_round: Records, most: int) -> int:
        seconds = [record.seconds for record in first_round.values() if record.seconds]
        budget = decided_budget(
            self.ledger, self.minutes, self.engine.slots, seconds, at_least=len(first_round), at_most=most
        )
        if budget < most:
            self.screen.say(f"{budget} trainings fit minutes={self.minutes:g}, of at most {most}")
        return budget

    def _announce(self, records: Records, number: int, units: int, budget: int) -> None:
        where = "1 training where it tells most" if units == 1 else f"{units} trainings where they tell most"
        words, best = f"round {number}: {where}", None
        verdict = judged(self.work, records, n_bootstrap=1) if records else None
        if verdict is not None and verdict.winner is not None:
            best = (verdict.value[verdict.winner], self.work.name(verdict.winner))
            words += f"; {1 + len(verdict.ties)} of {len(self.work.grid.candidates)} candidates not told apart"
        self.screen.say(words + (f"; best so far {best[1]} ({best[0]:.4f})" if best else ""))
        self.screen.searching(f"round {number}", len(records), budget, best)
