"""Trains the networks of a study of axes: complete rounds of seeds, as many as fit the minutes; then the check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from scalesearch.arch.cost import cost_of
from scalesearch.engine.base import Engine
from scalesearch.engine.execute import execute
from scalesearch.engine.interrupts import Interrupts
from scalesearch.engine.settings import EngineSettings
from scalesearch.report.screen import Screen
from scalesearch.store.ledger import Ledger
from scalesearch.store.shared import adopt_shared, adopted_from
from scalesearch.studies.axes_work import AxesWork
from scalesearch.studies.budget import decided_budget
from scalesearch.studies.guards import guard_device
from scalesearch.studies.racing import Unit
from scalesearch.trial import TrialRecord, TrialRequest

__all__ = ["AxesRecords", "AxesRounds", "device_kind"]


@dataclass(frozen=True, slots=True)
class AxesRecords:
    """What was trained.

    Attributes:
        curves: by network and seed; every network has every seed.
        check: the longer trainings, likewise.
        seeds: complete rounds.
        adopted: the run that a row was taken from, by trial key.
    """

    curves: Mapping[Unit, TrialRecord]
    check: Mapping[Unit, TrialRecord]
    seeds: int
    adopted: Mapping[str, str]

    @property
    def own(self) -> list[TrialRecord]:
        """Records that this run trained itself."""
        return [record for record in self.all if record.key not in self.adopted]

    @property
    def all(self) -> list[TrialRecord]:
        """Every record."""
        return [*self.curves.values(), *self.check.values()]


@dataclass(frozen=True)
class AxesRounds:
    """The trainings of one study on one engine."""

    work: AxesWork
    engine: Engine
    ledger: Ledger
    stop: Interrupts
    screen: Screen

    def run(self) -> AxesRecords:
        """Train; every decision follows from committed results alone."""
        work, seeds = self.work, self.work.settings.seeds
        if work.settings.share:
            self._adopt()
        first, check_units = work.units(range(1)), work.check_units()
        n, extra = len(first), len(check_units)
        records = self._trained(first, work.request, f"seed 1 of up to {seeds.at_most}", 0, seeds.at_most * n + extra)
        rounds = self._rounds(list(records.values()))
        if rest := work.units(range(1, rounds)):
            records |= self._trained(rest, work.request, f"seeds 2 to {rounds}", n, rounds * n + extra)
        check: dict[Unit, TrialRecord] = {}
        if check_units:
            words = f"check: {extra} trainings of {work.longer.epochs} epochs"
            check = self._trained(check_units, work.check_request, words, rounds * n, rounds * n + extra)
        guard_device([*records.values(), *check.values()])
        return AxesRecords(records, check, rounds, adopted_from(self.ledger))

    def _adopt(self) -> None:
        """Take what other runs have trained already."""
        work = self.work
        requests = [work.request(unit) for unit in work.units(range(work.settings.seeds.at_most))]
        requests += [work.check_request(unit) for unit in work.check_units()]
        found = adopt_shared(self.ledger, requests, work.settings.runs_dir, device=device_kind(work.settings.engine))
        for notice in found.notices:
            self.screen.say(f"note: {notice}")

    def _rounds(self, first: Sequence[TrialRecord]) -> int:
        """How many complete rounds fit the minutes, from the durations of the first one; adopted trainings are free."""
        settings, n = self.work.settings, len(self.work.proxies.trained)
        fewest, most = settings.seeds.at_least, settings.seeds.at_most
        adopted = adopted_from(self.ledger)
        own = [record for record in first if record.key not in adopted]
        budget = decided_budget(
            self.ledger,
            settings.minutes,
            self.engine.slots,
            [record.seconds for record in own or first if record.seconds],
            at_least=fewest * n,
            at_most=most * n,
            key="axes_budget",
        )
        costs = [sum(self.work.request(unit).key not in adopted for unit in self.work.units([s])) for s in range(most)]
        rounds = max(r for r in range(fewest, most + 1) if r == fewest or sum(costs[:r]) <= budget)
        if settings.seeds.beyond_minutes and rounds < most and sum(costs[:rounds]) < budget:
            rounds += 1
        if rounds < most:
            fills = "fills" if settings.seeds.beyond_minutes else "fits"
            self.screen.say(
                f"{rounds} rounds of {n} trainings, of at most {most}: what {fills} minutes={settings.minutes:g}, "
                f"with seeds.at_least={fewest}"
            )
        return rounds

    def _trained(
        self, units: Sequence[Unit], request: Callable[[Unit], TrialRequest], words: str, done: int, planned: int
    ) -> dict[Unit, TrialRecord]:
        requests = [request(unit) for unit in units]
        unit_of = {asked.key: unit for asked, unit in zip(requests, units, strict=True)}
        self.screen.say(words)
        self.screen.searching(words, done, planned, None)

        def show(record: TrialRecord) -> None:
            name, seed = unit_of[record.key]
            self.screen.trained(self.work.name(name), seed, record.accuracy, record.seconds, record.error)

        found = execute(
            requests,
            self.engine,
            self.ledger,
            on_record=show,
            on_reused=self.screen.reused,
            cost=lambda asked: float(cost_of(asked.spec).macs),
            stop=self.stop,
        )
        guard_device(found.records)
        return dict(zip(units, found.records, strict=True))


def device_kind(engine: EngineSettings) -> str | None:
    """What trials run on, "cpu" or "cuda"; None where a cluster elsewhere decides."""
    if engine.gpus_per_trial == 0:
        return "cpu"
    if engine.address is not None:
        return None
    from scalesearch.nets.isolation import resolve_device

    return str(resolve_device("auto").type)
