"""The search for a baseline: from a space and a budget to a network that is worth scaling.

MnasNet (arXiv 1807.11626) and EfficientNet (arXiv 1905.11946, section 4) with ACC * (cost / T)^w: a strategy proposes,
short trainings answer, and the best are trained again with fresh seeds, beside the network the space surrounds, before
one of them is called best.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from scalesearch.data.prepare import check_source, prepare
from scalesearch.data.prepared import PreparedData
from scalesearch.engine.base import Engine
from scalesearch.engine.create import create_engine
from scalesearch.engine.execute import stream
from scalesearch.errors import ConfigError
from scalesearch.report.screen import Screen
from scalesearch.search.registry import make_strategy
from scalesearch.search.strategy import Strategy
from scalesearch.store.run_folder import RunFolder
from scalesearch.studies.baseline_files import write_outcome
from scalesearch.studies.baseline_outcome import BaselineOutcome
from scalesearch.studies.baseline_plan import BaselinePlan, plan_search
from scalesearch.studies.baseline_settings import BaselineSettings
from scalesearch.studies.baseline_work import BaselineWork
from scalesearch.studies.budget import decided_budget
from scalesearch.studies.evaluators import Evaluator, TableAnswers, Trainings
from scalesearch.studies.finals import hold_finals
from scalesearch.studies.guards import guard_device
from scalesearch.studies.opening import Opening, OpenRun
from scalesearch.studies.search_loop import SearchLoop
from scalesearch.studies.trainings import check_pictures, enlarged, few_steps, trial_recipe
from scalesearch.trial import TrialRecord

__all__ = ["run_search"]

# trainings whose durations decide how many fit the minutes
_MEASURED = 4


def run_search(settings: BaselineSettings, folder: RunFolder, config_yaml: str, screen: Screen) -> dict[str, Any]:
    """Search, hold the finals and write; repeating it with the same folder continues where it stopped.

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
    _check_device(settings)
    plan = plan_search(settings)
    strategy = make_strategy(settings.strategy, plan.problem, settings.seed, **settings.strategy_options)
    answer = plan.table.answer if plan.table else None
    engine = create_engine(
        replace(settings.engine, name="serial", slots=None) if answer else settings.engine, trial_fn=answer
    )
    warnings = _check_data(settings) if plan.table is None else ()
    finished = opening.precheck()
    screen.say(plan.sentence())
    for warning in warnings:
        screen.say(f"note: {warning}")

    def ready() -> tuple[Evaluator, PreparedData]:
        if not finished:
            engine.start()  # starts up while this process decodes
        evaluator = _evaluator(plan, screen)
        return evaluator, evaluator.data

    with engine, opening.open(ready) as (evaluator, run):
        screen.follow(engine)
        work = BaselineWork(settings, plan.problem, plan.start, evaluator, run.ledger)
        run.open_session(engine.slots)
        loop = _search(work, strategy, engine, run)
        finals = hold_finals(work, loop, engine, run.stop, screen)
        records = [*loop.results.values(), *(finals.records.values() if finals else ())]
        guard_device(records)
        sessions = run.close_session(records)
        outcome = BaselineOutcome(plan, work, loop.entries, loop.results, finals, sessions, warnings)
        return write_outcome(run.folder, outcome)


def _search(work: BaselineWork, strategy: Strategy, engine: Engine, run: OpenRun) -> SearchLoop:
    """Ask, train and tell until the budget is used up."""

    def limit() -> int:
        return _trainings(work, engine, loop.results)

    loop = SearchLoop(work, strategy, work.ledger, limit)
    for record in loop.results.values():
        run.screen.reused(record)
    for record in stream(loop.take, engine, work.ledger, stop=run.stop):
        loop.finished(record)
        _show(run.screen, loop, record, limit(), work.settings.strategy)
    return loop


def _trainings(work: BaselineWork, engine: Engine, results: Mapping[str, TrialRecord]) -> int:
    """How many trainings the search may take: what fits its part of the minutes, once a few were timed."""
    settings = work.settings
    if settings.minutes is None or settings.evaluator.name == "table":
        return settings.trials
    first = max(_MEASURED, 2 * engine.slots)
    timed = list(islice((record.seconds for record in results.values() if record.seconds), first))
    if len(timed) < first:
        return settings.trials
    minutes = settings.minutes * (1 - settings.final_share)
    return decided_budget(
        work.ledger, minutes, engine.slots, timed, at_least=first, at_most=settings.trials, key="search_budget"
    )


def _show(screen: Screen, loop: SearchLoop, record: TrialRecord, planned: int, strategy: str) -> None:
    """A training was committed."""
    screen.searching(f"searching ({strategy})", len(loop.results) - 1, planned, loop.best)
    screen.trained(loop.name(record), 0, record.accuracy, record.seconds, record.error)


def _check_device(settings: BaselineSettings) -> None:
    """Refuse a latency that cannot be measured here, before anything is written."""
    if settings.cost != "latency":
        return
    from scalesearch.nets.isolation import resolve_device

    how = settings.latency
    if min(how.batch, how.threads) < 1 or how.repeats < 2 or how.warmup < 0:
        raise ConfigError("latency needs batch and threads of at least 1, and repeats of at least 2", value=how)
    resolve_device(how.device)


def _check_data(settings: BaselineSettings) -> tuple[str, ...]:
    """Warnings about the pictures; a data set that cannot be used is refused."""
    info = check_source(settings.data)
    check_pictures(settings.proxy, settings.recipe, info)
    recipe = trial_recipe(settings.proxy, settings.recipe, info.n_train)
    return (*enlarged(settings.proxy.resolution, info), *few_steps(recipe, info))


def _evaluator(plan: BaselinePlan, screen: Screen) -> Evaluator:
    """The table, or trainings on pictures that are decoded now."""
    if plan.table is not None:
        return TableAnswers(plan.table)
    settings = plan.settings
    data = prepare(settings.data, side=settings.proxy.resolution, progress=screen.stage)
    evaluator = Trainings(settings.proxy, settings.recipe, data, plan.space.base.resolution, settings.seed)
    evaluator.shrunk(plan.space.base)  # refuses a proxy that is too small
    return evaluator
