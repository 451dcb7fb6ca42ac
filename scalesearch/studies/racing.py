"""Runs a race: trains its units round by round until the evidence or the budget ends it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from scalesearch.arch.cost import cost_of
from scalesearch.engine.base import Engine
from scalesearch.engine.execute import execute
from scalesearch.engine.interrupts import Interrupts
from scalesearch.report.screen import Screen
from scalesearch.search.race import Race
from scalesearch.store.ledger import Ledger
from scalesearch.studies.budget import decided_budget
from scalesearch.studies.guards import guard_device
from scalesearch.trial import TrialRecord, TrialRequest

__all__ = ["RaceWork", "Racing", "Unit", "train_units"]

Unit = tuple[str, int]  # a candidate's fingerprint and a seed, counted from 0


class RaceWork(ABC):
    """What the units of a race are, and how a training is judged."""

    @abstractmethod
    def request(self, fingerprint: str, seed: int) -> TrialRequest:
        """The trial of one unit; seeds are paired across candidates."""

    @abstractmethod
    def value(self, fingerprint: str, record: TrialRecord) -> float | None:
        """The objective of a finished unit; None for a failed training."""

    @abstractmethod
    def name(self, fingerprint: str) -> str:
        """A short name for lines."""


@dataclass(frozen=True)
class Racing:
    """One race on one engine.

    Attributes:
        minutes: training time to aim at, decided on the first round's own durations; None: the race's budget.
        budget_key: under which the ledger keeps that decision.
    """

    work: RaceWork
    race: Race
    engine: Engine
    ledger: Ledger
    stop: Interrupts
    screen: Screen
    minutes: float | None = None
    budget_key: str = "budget"

    def run(self) -> tuple[Race, Mapping[Unit, TrialRecord]]:
        """Train until the race is over; every decision follows from committed results alone.

        Returns:
            The race with its final budget, and the record of every unit.
        """
        records: dict[Unit, TrialRecord] = {}
        values: dict[Unit, float | None] = {}
        race, number = self.race, 0
        while units := race.next_round(values):
            number += 1
            self._announce(race, values, number, len(units))
            for unit, record in train_units(self.work, units, self.engine, self.ledger, self.stop, self.screen).items():
                records[unit] = record
                values[unit] = self.work.value(unit[0], record)
            guard_device(records.values())
            if number == 1:
                race = self._within_minutes(list(records.values()))
        return race, records

    def _within_minutes(self, first_round: Sequence[TrialRecord]) -> Race:
        """The race with the budget that fits the minutes, from the durations of its first round."""
        race = self.race
        budget = decided_budget(
            self.ledger,
            self.minutes,
            self.engine.slots,
            [record.seconds for record in first_round if record.seconds],
            at_least=len(first_round),
            at_most=race.max_trainings,
            key=self.budget_key,
        )
        if budget < race.max_trainings:
            self.screen.say(
                f"{budget} trainings fit minutes={self.minutes:g}, of {race.max_trainings} the race would take"
            )
        return Race(race.candidates, replace(race.settings, max_trainings=budget))

    def _announce(self, race: Race, values: Mapping[Unit, float | None], number: int, units: int) -> None:
        standing = race.standing(values)
        leader = next((row for row in standing if row.state == "leader"), None)
        self.screen.round(
            number=number,
            in_race=sum(row.state not in ("told apart", "failed") for row in standing),
            units=units,
            done=len(values),
            planned=race.max_trainings,
            best=(
                (leader.estimate, self.work.name(leader.candidate)) if leader and leader.estimate is not None else None
            ),
        )


def train_units(
    work: RaceWork, units: Sequence[Unit], engine: Engine, ledger: Ledger, stop: Interrupts, screen: Screen
) -> dict[Unit, TrialRecord]:
    """The record of every unit, in the order of `units`, from the ledger where it is committed."""
    requests = [work.request(*unit) for unit in units]
    unit_of = {request.key: unit for request, unit in zip(requests, units, strict=True)}

    def show(record: TrialRecord) -> None:
        fingerprint, seed = unit_of[record.key]
        screen.trained(work.name(fingerprint), seed, record.accuracy, record.seconds, record.error)

    found = execute(requests, engine, ledger, on_record=show, on_reused=screen.reused, cost=_expected_cost, stop=stop)
    return dict(zip(units, found.records, strict=True))


def _expected_cost(request: TrialRequest) -> float:
    return float(cost_of(request.spec).macs)
