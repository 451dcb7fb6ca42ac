"""The grid study: from a budget and a data set to alpha, beta, gamma that hold on the realised network.

EfficientNet (arXiv 1905.11946, section 3.3, step 1) with the constraint counted after rounding, candidates trained
briefly with paired seeds, and a winner named only where the evidence carries one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from scalesearch.arch.cost import cost_of
from scalesearch.arch.iso_cost import Candidate
from scalesearch.data.prepare import check_source, prepare
from scalesearch.data.prepared import PreparedData
from scalesearch.engine.base import Engine
from scalesearch.engine.create import create_engine
from scalesearch.engine.execute import execute
from scalesearch.engine.interrupts import Interrupts
from scalesearch.errors import RunFolderError, TrialError
from scalesearch.measure.verify import verify
from scalesearch.report.screen import Screen
from scalesearch.search.race import Race
from scalesearch.store.ledger import Ledger
from scalesearch.store.run_folder import RunFolder
from scalesearch.studies.calibrate import calibrate
from scalesearch.studies.grid_files import write_outcome
from scalesearch.studies.grid_outcome import GridOutcome
from scalesearch.studies.grid_plan import GridPlan, Proxies, candidate_rows, plan_grid, plan_proxies, rows_to_csv
from scalesearch.studies.grid_settings import GridSettings
from scalesearch.train.recipe import Recipe
from scalesearch.trial import TrialRecord, TrialRequest

__all__ = ["GridWork", "run_grid"]

Unit = tuple[str, int]  # a candidate's fingerprint and a seed, counted from 0


def run_grid(settings: GridSettings, folder: RunFolder, config_yaml: str, screen: Screen) -> dict[str, Any]:
    """Plan, train, judge and write one grid; repeating it with the same folder continues where it stopped.

    Args:
        folder: planned, not opened.
        config_yaml: the composed configuration, kept in the folder for `resume`.
        screen: follows the run.

    Returns:
        What summary.json holds.

    Raises:
        InputError: anything wrong with the input; nothing has been written then.
        InterruptedRun: SIGINT or SIGTERM; what was finished is committed.
        TrialError: every training failed.
    """
    started = time.time()
    grid = plan_grid(settings)
    info = check_source(settings.data)
    grid, proxies = plan_proxies(grid, settings.proxy, info)
    engine = create_engine(settings.engine)  # refuses here what the machine does not have
    screen.planned(grid.sentence(), candidate_rows(grid, proxies), proxies.warnings)
    with (
        Interrupts(screen.interrupted) as stop,
        engine,
        folder.open(settings.identity()) as run,
        screen,
    ):
        for notice in run.notices:
            screen.say(notice)
        run.write_text("config.yaml", config_yaml)
        sessions = _sessions(run.ledger, started)
        engine.start()
        with stop.immediate():
            data = prepare(settings.data, side=proxies.largest_side, progress=screen.stage)
            _guard_data(run.ledger, data)
            counted = _counted(grid, run.ledger, screen) if settings.verify else {}
            run.write_text("candidates.csv", rows_to_csv(candidate_rows(grid, proxies, counted)))
            work = GridWork(settings, grid, proxies, data)
            _estimate(work, engine, run.ledger, screen)
        race, records = _race(work, engine, run.ledger, stop, screen)
        outcome = GridOutcome(
            settings=settings,
            grid=grid,
            proxies=proxies,
            data=data,
            race=race,
            records=records,
            values={unit: work.value(unit[0], record) for unit, record in records.items()},
            fvcore_macs=counted,
            slots=engine.slots,
            sessions=sessions,
            wall_seconds=time.time() - started,
        )
        return write_outcome(run, outcome, config_yaml)


@dataclass(frozen=True)
class GridWork:
    """Everything that turns a (candidate, seed) unit into a trial, and a record into a value to race on."""

    settings: GridSettings
    grid: GridPlan
    proxies: Proxies
    data: PreparedData

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The candidates in the race."""
        return self.grid.plan.kept

    @property
    def race(self) -> Race:
        """The race over the candidates' fingerprints, with the settings' budget."""
        return Race([candidate.fingerprint for candidate in self.candidates], self.settings.race)

    @property
    def recipe(self) -> Recipe:
        """The recipe of one training: the chosen one, on the proxy's part of the data, for the proxy's epochs."""
        pictures = round(self.settings.proxy.data_fraction * self.data.n_train)
        at_most = self.settings.recipe.train_images or pictures
        return replace(self.settings.recipe, epochs=self.settings.proxy.epochs, train_images=min(pictures, at_most))

    def name(self, fingerprint: str) -> str:
        """A short name for lines: the coefficients, and the rules that lead there."""
        candidate = self._by_fingerprint[fingerprint]
        c = candidate.coefficients
        return f"({c.alpha:.2f}, {c.beta:.2f}, {c.gamma:.2f}) {'+'.join(candidate.rules)}".strip()

    @cached_property
    def _by_fingerprint(self) -> dict[str, Candidate]:
        return {candidate.fingerprint: candidate for candidate in self.candidates}

    def request(self, fingerprint: str, seed: int) -> TrialRequest:
        """The trial of one unit; seeds are paired across candidates."""
        return TrialRequest(
            self.proxies.of[fingerprint], self.recipe, self.data, seed=self.settings.seed * 10_000 + seed
        )

    def value(self, fingerprint: str, record: TrialRecord) -> float | None:
        """ACC * (MACs / (ratio * target))^w of the candidate at full size; None for a failed training."""
        if record.accuracy is None:
            return None
        macs = self._by_fingerprint[fingerprint].cost.macs
        return self.settings.objective(record.accuracy, macs, self.settings.iso_cost.ratio * self.settings.target_macs)


def _race(
    work: GridWork, engine: Engine, ledger: Ledger, stop: Interrupts, screen: Screen
) -> tuple[Race, Mapping[Unit, TrialRecord]]:
    """Train round by round until the race is over; every decision follows from committed results alone."""
    records: dict[Unit, TrialRecord] = {}
    values: dict[Unit, float | None] = {}
    race, number = work.race, 0
    while units := race.next_round(values):
        number += 1
        _announce(screen, work, race, values, number, len(units))
        requests = [work.request(*unit) for unit in units]
        unit_of = {request.key: unit for request, unit in zip(requests, units, strict=True)}

        def show(record: TrialRecord, unit_of: Mapping[str, Unit] = unit_of) -> None:
            fingerprint, seed = unit_of[record.key]
            screen.trained(work.name(fingerprint), seed, record.accuracy, record.seconds, record.error)

        execution = execute(
            requests, engine, ledger, on_record=show, on_reused=screen.reused, cost=_expected_cost, stop=stop
        )
        for unit, record in zip(units, execution.records, strict=True):
            records[unit] = record
            values[unit] = work.value(unit[0], record)
        race = _within_minutes(work, race, ledger, records.values(), engine.slots)
    return race, records


def _announce(
    screen: Screen, work: GridWork, race: Race, values: Mapping[Unit, float | None], number: int, units: int
) -> None:
    standing = race.standing(values)
    leader = next((row for row in standing if row.state == "leader"), None)
    screen.round(
        number=number,
        in_race=sum(row.state not in ("told apart", "failed") for row in standing),
        units=units,
        done=len(values),
        planned=race.max_trainings,
        best=(leader.estimate, work.name(leader.candidate)) if leader and leader.estimate is not None else None,
    )


def _within_minutes(work: GridWork, race: Race, ledger: Ledger, records: Iterable[TrialRecord], slots: int) -> Race:
    """The race with a budget that fits the minutes; decided once, on the first round's own durations, and kept.

    A resumed run reads the decision from the ledger, so that it asks for the same trainings.
    """
    minutes = work.settings.minutes
    if minutes is None:
        return race
    stored = json.loads(ledger.get_meta("budget") or "{}")
    if stored.get("minutes") != minutes:
        seconds = [record.seconds for record in records if record.seconds]
        fit = int(60 * minutes * slots * len(seconds) / sum(seconds)) if seconds else race.max_trainings
        stored = {"minutes": minutes, "trainings": fit}
        ledger.set_meta("budget", json.dumps(stored))
    # what is already trained is within the budget by definition, and every candidate needs its first training
    trainings = max(len(race.candidates), min(stored["trainings"], work.race.max_trainings))
    return Race(race.candidates, replace(race.settings, max_trainings=trainings))


def _counted(grid: GridPlan, ledger: Ledger, screen: Screen) -> dict[str, int]:
    """fvcore's count of every candidate at full size, by fingerprint; counted once per run.

    Raises:
        VerificationError: it differs from the closed form.
    """
    counted: dict[str, int] = json.loads(ledger.get_meta("fvcore_macs") or "{}")
    todo = [candidate for candidate in grid.plan.kept if candidate.fingerprint not in counted]
    for done, candidate in enumerate(todo, start=1):
        counted[candidate.fingerprint] = verify(candidate.spec).macs
        screen.stage("candidates counted with fvcore, equal to the closed form", done, len(todo))
    ledger.set_meta("fvcore_macs", json.dumps(counted))
    return counted


def _estimate(work: GridWork, engine: Engine, ledger: Ledger, screen: Screen) -> None:
    """Say what the training will take, from a short calibration in this process; a continued run knows already."""
    if ledger.done_keys():
        return
    try:
        seconds = calibrate(list(work.proxies.of.values()), work.recipe, work.data)
    except TrialError as error:
        # the trainings themselves will tell, and be recorded; an estimate must not end a run
        screen.say(f"note: no estimate of the time, because a calibration training {error}")
        return
    screen.estimated(seconds, work.race.max_trainings, engine.slots, work.settings.minutes)


def _sessions(ledger: Ledger, started: float) -> tuple[float, ...]:
    """Start times of every session that worked on this run, this one included: pauses between them are not idle."""
    sessions = [*json.loads(ledger.get_meta("sessions") or "[]"), started]
    ledger.set_meta("sessions", json.dumps(sessions))
    return tuple(sessions)


def _expected_cost(request: TrialRequest) -> float:
    return float(cost_of(request.spec).macs)


def _guard_data(ledger: Ledger, data: PreparedData) -> None:
    """Refuse to continue a run on other pictures: its rows would not belong together."""
    stored = ledger.get_meta("data_fingerprint")
    if stored is None:
        ledger.set_meta("data_fingerprint", data.fingerprint)
    elif stored != data.fingerprint:
        raise RunFolderError(
            "a run continues on the pictures it was started with",
            value=f"data {data.fingerprint} after {stored}",
            way_out="restore the data set, or choose another --name",
        )
