"""The study of axes: how accuracy grows with width, depth, resolution and all three, and where each stops paying.

Figures 3, 4 and 8 and Table 7 of EfficientNet (arXiv 1905.11946), with every curve brought to the same realised
multiply-adds, which the paper's own networks were not, several paired seeds, and a refusal where data cannot say.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from scalesearch.data.prepare import check_source, prepare
from scalesearch.engine.base import Engine
from scalesearch.engine.create import create_engine
from scalesearch.engine.interrupts import Interrupts
from scalesearch.errors import TrialError
from scalesearch.report.screen import Screen
from scalesearch.store.ledger import Ledger
from scalesearch.store.run_folder import RunFolder
from scalesearch.studies.axes_files import write_outcome
from scalesearch.studies.axes_outcome import AxesOutcome
from scalesearch.studies.axes_plan import plan_axes
from scalesearch.studies.axes_proxies import candidate_rows, plan_proxies
from scalesearch.studies.axes_rounds import AxesRounds
from scalesearch.studies.axes_settings import AxesSettings
from scalesearch.studies.axes_work import AxesWork
from scalesearch.studies.calibrate import calibrate
from scalesearch.studies.grid_plan import rows_to_csv
from scalesearch.studies.guards import guard_data
from scalesearch.studies.sessions import close_session, open_session

__all__ = ["run_axes"]


def run_axes(settings: AxesSettings, folder: RunFolder, config_yaml: str, screen: Screen) -> dict[str, Any]:
    """Plan, train, fit and write one study; repeating it with the same folder continues where it stopped.

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
    wanted = plan_axes(settings)
    info = check_source(settings.data)
    plan, proxies = plan_proxies(wanted, settings, info)
    engine = create_engine(settings.engine)  # refuses here what the machine does not have
    folder.precheck(settings.identity())
    screen.planned(plan.sentence(), candidate_rows(plan, proxies), proxies.warnings)
    with Interrupts(screen.interrupted) as stop, screen:
        with stop.immediate():
            # a broken picture is found before anything is written
            data = prepare(settings.data, side=proxies.largest_side, progress=screen.stage)
        if data.channels != info.channels:  # a colour picture among grey ones that the first look did not meet
            plan, proxies = plan_proxies(wanted, settings, replace(info, channels=data.channels))
        work = AxesWork(settings, plan, proxies, data)
        with engine, folder.open(settings.identity(), config_yaml) as run:
            screen.follow(engine)
            for notice in run.notices:
                screen.say(notice)
            guard_data(run.ledger, data)
            return _run(work, run, engine, stop, screen, started)


def _run(
    work: AxesWork, run: RunFolder, engine: Engine, stop: Interrupts, screen: Screen, started: float
) -> dict[str, Any]:
    """Train, fit and write; `started` is when the command began."""
    if not run.ledger.is_finished:
        engine.start()  # starts up while this process calibrates
    run.write_text("candidates.csv", rows_to_csv(candidate_rows(work.plan, work.proxies)))
    with stop.immediate():
        _estimate(work, engine, run.ledger, screen)
    open_session(run.ledger, started, engine.slots)
    records = AxesRounds(work, engine, run.ledger, stop, screen).run()
    trained = any(record.started_at is not None and record.started_at >= started for record in records.own)
    sessions = close_session(run.ledger, started, trained=trained)
    return write_outcome(run, AxesOutcome(work, records, sessions))


def _estimate(work: AxesWork, engine: Engine, ledger: Ledger, screen: Screen) -> None:
    """Say what the training will take, from a short calibration in this process; a continued run knows already."""
    if ledger.done_keys():
        return
    try:
        seconds = calibrate(list(work.proxies.of.values()), work.recipe, work.data)
    except TrialError as error:
        # the trainings themselves will tell, and be recorded; an estimate must not end a run
        screen.say(f"note: no estimate of the time, because a calibration training {error}")
        return
    trainings = len(work.proxies.trained) * work.settings.seeds.at_most
    screen.estimated(seconds, trainings, engine.slots, work.settings.minutes, work.smaller())
