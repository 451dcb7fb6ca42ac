"""The grid study: from a budget and a data set to alpha, beta, gamma that hold on the realised network.

EfficientNet (arXiv 1905.11946, section 3.3, step 1) with the constraint counted after rounding, candidates trained
briefly with paired seeds, and a winner named only where the evidence carries one: each candidate's own trainings
(evidence=race), or one smooth law over all of them (evidence=surface); the other judge gives a second opinion.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

from scalesearch.data.prepare import check_source, prepare
from scalesearch.engine.base import Engine
from scalesearch.engine.create import create_engine
from scalesearch.engine.interrupts import Interrupts
from scalesearch.errors import TrialError
from scalesearch.measure.verify import verify
from scalesearch.report.screen import Screen
from scalesearch.store.ledger import Ledger
from scalesearch.store.run_folder import RunFolder
from scalesearch.studies.calibrate import calibrate
from scalesearch.studies.grid_files import write_outcome
from scalesearch.studies.grid_outcome import GridOutcome
from scalesearch.studies.grid_plan import (
    candidate_rows,
    plan_grid,
    plan_proxies,
    rows_to_csv,
)
from scalesearch.studies.grid_settings import GridSettings
from scalesearch.studies.grid_work import GridWork
from scalesearch.studies.guards import guard_data
from scalesearch.studies.race_evidence import RaceEvidence
from scalesearch.studies.racing import Racing
from scalesearch.studies.second_opinion import GridEvidence
from scalesearch.studies.sessions import close_session, open_session
from scalesearch.studies.surface_evidence import SurfaceEvidence
from scalesearch.studies.surface_rounds import SurfaceRounds
from scalesearch.studies.surface_work import SurfaceWork

__all__ = ["run_grid"]


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
    grid, proxies = plan_proxies(grid, settings, info)
    engine = create_engine(settings.engine)  # refuses here what the machine does not have
    folder.precheck(settings.identity())
    screen.planned(grid.sentence(), candidate_rows(grid, proxies), proxies.warnings)
    with Interrupts(screen.interrupted) as stop, screen:
        with stop.immediate():
            # a broken picture is found before anything is written
            data = prepare(settings.data, side=proxies.largest_side, progress=screen.stage)
        if data.channels != info.channels:  # a colour picture among grey ones that the first look did not meet
            grid, proxies = plan_proxies(grid, settings, replace(info, channels=data.channels))
        work = GridWork(settings, grid, proxies, data)
        with engine, folder.open(settings.identity(), config_yaml) as run:
            screen.follow(engine)
            for notice in run.notices:
                screen.say(notice)
            guard_data(run.ledger, data)
            return _run(work, run, engine, stop, screen, started)


def _run(
    work: GridWork, run: RunFolder, engine: Engine, stop: Interrupts, screen: Screen, started: float
) -> dict[str, Any]:
    """Verify, race and write; `started` is when the command began."""
    if not run.ledger.is_finished:
        engine.start()  # starts up while this process counts and calibrates
    with stop.immediate():
        counted = _counted(work, run.ledger, screen) if work.settings.verify else {}
        run.write_text("candidates.csv", rows_to_csv(candidate_rows(work.grid, work.proxies, counted)))
        _estimate(work, engine, run.ledger, screen)
    open_session(run.ledger, started, engine.slots)
    evidence = _evidence(work, run.ledger, engine, stop, screen)
    trained = any(
        record.started_at is not None and record.started_at >= started for record in evidence.records.values()
    )
    sessions = close_session(run.ledger, started, trained=trained)
    return write_outcome(run, GridOutcome(work, evidence, counted, sessions))


def _evidence(work: GridWork, ledger: Ledger, engine: Engine, stop: Interrupts, screen: Screen) -> GridEvidence:
    """Train what the chosen judge asks for."""
    if work.settings.evidence == "race":
        return RaceEvidence(work, *Racing(work, work.race, engine, ledger, stop, screen, work.settings.minutes).run())
    networks = SurfaceWork(work)
    rounds = SurfaceRounds(networks, engine, ledger, stop, screen, work.settings.minutes)
    return SurfaceEvidence(networks, *rounds.run())


def _counted(work: GridWork, ledger: Ledger, screen: Screen) -> dict[str, int]:
    """fvcore's count of every candidate at full size, by fingerprint; counted once per run.

    Raises:
        VerificationError: it differs from the closed form.
    """
    counted: dict[str, int] = json.loads(ledger.get_meta("fvcore_macs") or "{}")
    todo = [candidate for candidate in work.candidates.values() if candidate.fingerprint not in counted]
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
    screen.estimated(seconds, work.max_trainings, engine.slots, work.settings.minutes, work.smaller())
