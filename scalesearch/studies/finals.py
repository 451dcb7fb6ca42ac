"""The finals of a search: its best networks and the base, trained again with fresh seeds until the evidence decides."""

from __future__ import annotations

from dataclasses import replace

from scalesearch.arch.spec import NetSpec
from scalesearch.engine.base import Engine
from scalesearch.engine.interrupts import Interrupts
from scalesearch.report.screen import Screen
from scalesearch.search.race import Race
from scalesearch.studies.baseline_work import BaselineWork, Finals
from scalesearch.studies.race_evidence import RaceEvidence
from scalesearch.studies.racing import Racing
from scalesearch.studies.search_loop import SearchLoop

__all__ = ["finalists", "hold_finals"]


def hold_finals(
    work: BaselineWork, loop: SearchLoop, engine: Engine, stop: Interrupts, screen: Screen
) -> RaceEvidence | None:
    """Race the finalists; None where no network can be trained a second time, or none succeeded."""
    specs = finalists(work, loop)
    seeds = work.evaluator.max_seeds
    if not specs or (seeds is not None and seeds < 2):
        return None
    settings = work.settings.race
    if seeds is not None:  # the search used the first one
        settings = replace(
            settings, first_seeds=min(settings.first_seeds, seeds - 1), max_seeds=min(settings.max_seeds, seeds - 1)
        )
    screen.say(f"finals: {', '.join(spec.name for spec in specs)}, with fresh seeds")
    finals = Finals(work, specs)
    minutes = work.settings.minutes
    racing = Racing(
        finals,
        Race([spec.fingerprint for spec in specs], settings),
        engine,
        work.ledger,
        stop,
        screen,
        None if minutes is None or seeds is not None else minutes * work.settings.final_share,
        "final_budget",
    )
    return RaceEvidence(finals, *racing.run())


def finalists(work: BaselineWork, loop: SearchLoop) -> list[NetSpec]:
    """The best networks of the search, those trained longest first, and the base after them.

    Networks that share a proxy are one trial: only the better of them goes on.
    """
    rungs = {entry.fingerprint: entry.rung for entry in loop.entries if entry.key in loop.results}
    ranked = []
    for entry in loop.entries:
        if entry.key not in loop.results or entry.rung != rungs[entry.fingerprint]:
            continue
        value = work.objective(loop.results[entry.key].accuracy, entry.cost)
        if value is not None:
            ranked.append((entry.rung, value, -entry.number, entry))
    chosen: dict[str, NetSpec] = {}
    for *_, entry in sorted(ranked, key=lambda row: row[:3], reverse=True):
        spec = work.problem.spec(entry.point)
        key = work.evaluator.request(spec, 1, work.settings.halving.epochs[-1]).key
        if len(chosen) < work.settings.finalists:
            chosen.setdefault(key, spec)
    if work.base is not None and chosen and not (work.evaluator.max_seeds and not _answers(work, work.base)):
        key = work.evaluator.request(work.base, 1, work.settings.halving.epochs[-1]).key
        if key not in chosen:
            chosen[key] = work.base
    return list(chosen.values())


def _answers(work: BaselineWork, spec: NetSpec) -> bool:
    """Whether a table holds the network."""
    return spec.fingerprint in work.problem.representative
