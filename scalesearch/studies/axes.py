"""The study of axes: how accuracy grows with width, depth, resolution and all three, and where each stops paying.

Figures 3, 4 and 8 and Table 7 of EfficientNet (arXiv 1905.11946), with every curve brought to the same realised
multiply-adds, which the paper's own networks were not, several paired seeds, and a refusal where data cannot say.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from scalesearch.data.prepare import check_source, prepare
from scalesearch.data.prepared import PreparedData
from scalesearch.engine.base import Engine
from scalesearch.engine.create import create_engine
from scalesearch.report.screen import Screen
from scalesearch.store.run_folder import RunFolder
from scalesearch.studies.axes_files import write_outcome
from scalesearch.studies.axes_outcome import AxesOutcome
from scalesearch.studies.axes_plan import plan_axes
from scalesearch.studies.axes_proxies import candidate_rows, plan_proxies
from scalesearch.studies.axes_rounds import AxesRounds
from scalesearch.studies.axes_settings import AxesSettings
from scalesearch.studies.axes_work import AxesWork
from scalesearch.studies.grid_plan import rows_to_csv
from scalesearch.studies.opening import Opening, OpenRun

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
    opening = Opening(folder, settings.identity(), config_yaml, screen)
    wanted = plan_axes(settings)
    info = check_source(settings.data)
    plan, proxies = plan_proxies(wanted, settings, info)
    engine = create_engine(settings.engine)  # refuses here what the machine does not have
    finished = opening.precheck()
    screen.planned(plan.sentence(), candidate_rows(plan, proxies), proxies.warnings)

    def ready() -> tuple[AxesWork, PreparedData]:
        if not finished:
            engine.start()  # starts up while this process decodes and calibrates
        data = prepare(settings.data, side=proxies.largest_side, progress=screen.stage)
        # anew, because there may be a colour picture among grey ones that the first look did not meet
        seen = replace(info, channels=data.channels)
        return AxesWork(settings, *plan_proxies(wanted, settings, seen), data), data

    with engine, opening.open(ready) as (work, run):
        screen.follow(engine)
        return _run(work, run, engine)


def _run(work: AxesWork, run: OpenRun, engine: Engine) -> dict[str, Any]:
    """Train, fit and write."""
    run.folder.write_text("candidates.csv", rows_to_csv(candidate_rows(work.plan, work.proxies)))
    with run.stop.immediate():
        run.estimate(
            list(work.proxies.of.values()),
            work.recipe,
            work.data,
            trainings=len(work.proxies.trained) * work.settings.seeds.at_most,
            slots=lambda: engine.slots,
            minutes=work.settings.minutes,
            smaller=work.smaller(),
        )
    run.open_session(engine.slots)
    records = AxesRounds(work, engine, run.ledger, run.stop, run.screen).run()
    return write_outcome(run.folder, AxesOutcome(work, records, run.close_session(records.own)))
