"""The grid study: from a budget and a data set to alpha, beta, gamma that hold on the realised network.

EfficientNet (arXiv 1905.11946, section 3.3, step 1) with the constraint counted after rounding, candidates trained
briefly with paired seeds, and a winner named only where the evidence carries one: each candidate's own trainings
(evidence=race), or one smooth law over all of them (evidence=surface); the other judge gives a second opinion.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from scalesearch.data.prepare import check_source, prepare
from scalesearch.data.prepared import PreparedData
from scalesearch.engine.base import Engine
from scalesearch.engine.create import create_engine
from scalesearch.measure.verify import verify
from scalesearch.report.screen import Screen
from scalesearch.store.ledger import Ledger
from scalesearch.store.run_folder import RunFolder
from scalesearch.store.stored_values import stored_value
from scalesearch.studies.gpu_sharing import sharing_gpus
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
from scalesearch.studies.opening import Opening, OpenRun
from scalesearch.studies.race_evidence import RaceEvidence
from scalesearch.studies.racing import Racing
from scalesearch.studies.second_opinion import GridEvidence
from scalesearch.studies.surface_evidence import SurfaceEvidence
from scalesearch.studies.surface_rounds import SurfaceRounds
from scalesearch.studies.surface_work import SurfaceWork
from scalesearch.studies.trainings import trial_recipe

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
    opening = Opening(folder, settings.identity(), config_yaml, screen)
    wanted = plan_grid(settings)
    info = check_source(settings.data)
    grid, proxies = plan_proxies(wanted, settings, info)
    recipe = trial_recipe(settings.proxy, settings.recipe, info.n_train)
    # refuses here what the machine does not have
    engine = create_engine(sharing_gpus(settings.engine, proxies.of.values(), recipe, info))
    finished = opening.precheck()
    screen.planned(grid.sentence(), candidate_rows(grid, proxies), proxies.warnings)

    def ready() -> tuple[GridWork, PreparedData]:
        if not finished:
            engine.start()  # starts up while this process decodes, counts and calibrates
        data = prepare(settings.data, side=proxies.largest_side, progress=screen.stage)
        # anew, because there may be a colour picture among grey ones that the first look did not meet
        seen = replace(info, channels=data.channels)
        return GridWork(settings, *plan_proxies(wanted, settings, seen), data), data

    with engine, opening.open(ready) as (work, run):
        screen.follow(engine)
        return _run(work, run, engine)


def _run(work: GridWork, run: OpenRun, engine: Engine) -> dict[str, Any]:
    """Verify, train, judge and write."""
    with run.stop.immediate():
        counted = _counted(work, run.ledger, run.screen) if work.settings.verify else {}
        run.folder.write_text("candidates.csv", rows_to_csv(candidate_rows(work.grid, work.proxies, counted)))
        run.estimate(
            list(work.proxies.of.values()),
            work.recipe,
            work.data,
            trainings=work.max_trainings,
            slots=lambda: engine.slots,
            minutes=work.settings.minutes,
            smaller=work.smaller(),
        )
    run.open_session(engine.slots)
    evidence = _evidence(work, run, engine)
    sessions = run.close_session(evidence.records.values())
    return write_outcome(run.folder, GridOutcome(work, evidence, counted, sessions))


def _evidence(work: GridWork, run: OpenRun, engine: Engine) -> GridEvidence:
    """Train what the chosen judge asks for."""
    minutes = work.settings.minutes
    if work.settings.evidence == "race":
        racing = Racing(work, work.race, engine, run.ledger, run.stop, run.screen, minutes)
        return RaceEvidence(work, *racing.run())
    networks = SurfaceWork(work)
    rounds = SurfaceRounds(networks, engine, run.ledger, run.stop, run.screen, minutes)
    return SurfaceEvidence(networks, *rounds.run())


def _counted(work: GridWork, ledger: Ledger, screen: Screen) -> dict[str, int]:
    """fvcore's count of every candidate at full size, by fingerprint; counted once per run.

    Raises:
        VerificationError: it differs from the closed form.
    """
    none: dict[str, int] = {}
    counted = stored_value(ledger, "fvcore_macs", lambda found: {str(key): int(found[key]) for key in found}, none)
    todo = [candidate for candidate in work.candidates.values() if candidate.fingerprint not in counted]
    for done, candidate in enumerate(todo, start=1):
        counted[candidate.fingerprint] = verify(candidate.spec).macs
        screen.stage("candidates counted with fvcore, equal to the closed form", done, len(todo))
    ledger.set_meta("fvcore_macs", json.dumps(counted))
    return counted
