"""The space of a search around a base at its budget, and what it holds: nothing here trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from scalesearch.arch.catalog import load_spec
from scalesearch.arch.cost import cost_of
from scalesearch.arch.scaling import Rounding
from scalesearch.arch.space import CostWindow, Space, make_space
from scalesearch.arch.spec import NetSpec
from scalesearch.errors import BudgetError
from scalesearch.search.problem import Problem
from scalesearch.search.result_table import ResultTable
from scalesearch.studies.baseline_settings import BaselineSettings
from scalesearch.studies.grid_plan import baseline_at
from scalesearch.units import format_count

__all__ = ["BaselinePlan", "genes", "plan_search"]

_SAMPLES: Final = 200


@dataclass(frozen=True)
class BaselinePlan:
    """The base, the space around it, and the problem that strategies see.

    Attributes:
        named: the base as it was named; `base` is that network brought to the target.
        table: answers instead of trainings, where there is one.
    """

    settings: BaselineSettings
    named: NetSpec
    base: NetSpec
    space: Space
    problem: Problem
    table: ResultTable | None

    @property
    def start(self) -> NetSpec | None:
        """The base as a network of the space; None for a layered space, which surrounds nothing."""
        layered, start = self.settings.space.kind == "layers", self.space.start
        return None if layered or start is None else self.space.decode(start).with_(name=self.base.name)

    def sentence(self) -> str:
        """What will be searched, in words."""
        pool = self.problem.pool
        allowed = f"{len(pool):,} networks within the budget" if pool is not None else "sampled, not listed"
        around = "" if self.settings.space.kind == "layers" else f" around {_described(self.base, self.named)}"
        return (
            f"space of {_size(self.space.size)} points{around} ({allowed}); {self.settings.cost} from "
            f"{_bound(self.settings.bounds[0])} to {_bound(self.settings.bounds[1])}, strategy {self.settings.strategy}"
        )

    def overview(self) -> dict[str, Any]:
        """The space as plain JSON types: dimensions, size, reachable cost, and some networks within the budget."""
        low, high = self.space.reach()
        drawn = {
            self.problem.fingerprint(point): point
            for rng in [Random(self.settings.seed)]
            for point in (self.problem.sample(rng) for _ in range(_SAMPLES))
        }
        costs = sorted(self.problem.costs(point).macs for point in drawn.values())
        return {
            "base": self.base.name,
            "base_macs": cost_of(self.base).macs,
            "size": self.space.size,
            "dimensions": {
                dimension.name: [str(choice) for choice in dimension.choices] for dimension in self.space.dimensions
            },
            "reach": {name: [getattr(low, name), getattr(high, name)] for name in ("macs", "params", "activations")},
            "listed": None if self.problem.pool is None else len(self.problem.pool),
            "drawn": len(drawn),
            "drawn_macs": [costs[0], costs[len(costs) // 2], costs[-1]],
        }


def plan_search(settings: BaselineSettings) -> BaselinePlan:
    """The problem of a search.

    Raises:
        InputError: an unknown base, an empty space, a table that does not fit, a budget nothing reaches.
    """
    named = load_spec(settings.base)
    layered = settings.space.kind == "layers"
    base = (
        named if layered or settings.cost != "macs" else baseline_at(named, settings.target_macs, _rounding(settings))
    )
    space = make_space(base, settings.space)
    table = ResultTable(settings.evaluator, space) if settings.evaluator.name == "table" else None
    problem = Problem(
        space,
        settings.objective,
        settings.target,
        cost=settings.cost,
        window=_window(settings),
        pool=table.points if table else None,
    )
    if problem.pool is None:
        _check_reach(problem, settings)
    return BaselinePlan(settings, named, base, space, problem, table)


def genes(space: Space, point: tuple[int, ...]) -> Mapping[str, str]:
    """The chosen value of every dimension, as text."""
    return {
        f"gene.{dimension.name}": str(dimension.choices[index])
        for dimension, index in zip(space.dimensions, point, strict=True)
    }


def _rounding(settings: BaselineSettings) -> Rounding:
    return Rounding(depth="largest_remainder", width_divisor=settings.space.width_divisor)


def _window(settings: BaselineSettings) -> CostWindow | None:
    low, high = settings.bounds
    return None if settings.cost == "latency" else CostWindow(settings.cost, low, high)


def _check_reach(problem: Problem, settings: BaselineSettings) -> None:
    """Refuse a budget beyond the space before anything is trained, and say what the space reaches."""
    if problem.window is None:
        return
    cheapest, dearest = problem.space.reach(problem.window.measure)
    low, high = problem.window.of(cheapest), problem.window.of(dearest)
    if problem.window.high < low or problem.window.low > high:
        raise BudgetError(
            f"a network of the space must cost {problem.window}",
            value=f"a space from {format_count(round(low))} to {format_count(round(high))} {settings.cost}",
            way_out="choose a target within that range, or widen budget.low and budget.high",
        )
    problem.sample(Random(settings.seed))  # raises where nothing is found


def _described(base: NetSpec, named: NetSpec) -> str:
    macs = format_count(cost_of(base).macs)
    return f"{named.name} ({macs} multiply-adds)" if base == named else f"{named.name} rescaled to {macs}"


def _bound(value: float) -> str:
    return "any" if value == float("inf") else format_count(round(value)) if value >= 1000 else f"{value:g}"


def _size(size: int) -> str:
    return f"{size:,}" if size < 1e9 else f"{size:.1e}"
