"""Every strategy against the contract of `search.strategy`: distinct, allowed, repeatable from asked and tell alone."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from random import Random
from typing import Any

import pytest
import torch
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from scalesearch.arch.space import CostWindow, Point, SpaceSettings, make_space
from scalesearch.arch.spec import NetSpec, StageSpec
from scalesearch.errors import ConfigError, UnknownNameError
from scalesearch.objective import SOFT
from scalesearch.search import optuna_strategy
from scalesearch.search.problem import Problem
from scalesearch.search.registry import STRATEGIES, describe_strategy, make_strategy, strategy_options
from scalesearch.search.strategy import Outcome, Strategy

# options that bring every strategy past its random start within 15 results; the Gaussian process is slow
QUICK: dict[str, dict[str, Any]] = {
    "evolution": {"population": 5, "tournament": 3, "crossover": 0.3},
    "tpe": {"startup": 5},
    "nsga2": {"population": 5},
    "gp": {"startup": 13},
    "policy_gradient": {"batch": 3},
}
SETTINGS = SpaceSettings(
    ops=("depthwise_separable", "mbconv_e3", "mbconv_e6"),
    kernel_sizes=(3, 5),
    se_ratios=(0.0,),
    skips=(True, False),
    filters=(0.75, 1.0, 1.25),
    repeats=(0, 1),
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Optuna's Gaussian process runs on torch, whose threads cost more than they gain at this size."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def problem(n_stages: int, window: CostWindow | None = None, pool: int | None = None) -> Problem:
    """72 points per stage: one stage is listed, four are not."""
    stages = tuple(StageSpec("mbconv", 3, 1 + (i % 2), 16 + 16 * i, 1, 3.0) for i in range(n_stages))
    space = make_space(NetSpec(name="toy", resolution=16, stem_width=16, stages=stages, head_width=64), SETTINGS)
    if pool is None:
        return Problem(space, SOFT, 1e6, window=window)
    every = Problem(space, SOFT, 1e6).pool
    assert every is not None
    return Problem(space, SOFT, 1e6, window=window, pool=Random(0).sample(every, pool))


def made(name: str, of: Problem, seed: int = 0) -> Strategy:
    return make_strategy(name, of, seed, **QUICK.get(name, {}))


def accuracy_of(point: Point) -> float:
    """Additive: every dimension has a best choice, far from its neighbours."""
    return 0.5 + 0.4 * statistics.fmean(((i * 7 + choice * 5) % 6) / 5 for i, choice in enumerate(point))


def outcome(of: Problem, point: Point) -> Outcome:
    cost, accuracy = float(of.costs(point).macs), accuracy_of(point)
    return Outcome(of.objective(accuracy, cost, of.target), accuracy, cost)


def failed(of: Problem, point: Point) -> Outcome:
    return Outcome(None, None, float(of.costs(point).macs))


def search(strategy: Strategy, n: int, told: Callable[[Problem, Point], Outcome] = outcome) -> list[Point]:
    points = []
    while len(points) < n and (ask := strategy.ask()) is not None:
        strategy.tell(ask.point, told(strategy.problem, ask.point))
        points.append(ask.point)
    return points


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_pool_is_asked_for_once_and_then_ends(name: str) -> None:
    small = problem(1, pool=14)
    strategy = made(name, small)
    points = search(strategy, 100)
    assert small.pool is not None
    assert sorted(points) == sorted(small.pool)
    assert strategy.ask() is None


@pytest.mark.parametrize("name", STRATEGIES)
def test_asks_lie_within_the_budget_and_are_distinct_networks(name: str) -> None:
    window = CostWindow("macs", 0.9e6, 1.1e6)
    narrow = problem(4, window)
    assert narrow.pool is None
    points = search(made(name, narrow), 15)
    assert len({narrow.fingerprint(point) for point in points}) == 15
    assert all(window.holds(narrow.costs(point)) for point in points)


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_seed_decides(name: str) -> None:
    listed = problem(1)
    first, again, other = (search(made(name, listed, seed), 15) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def run_with_pending(strategy: Strategy, n: int, at_once: int) -> list[tuple[str, Point]]:
    """n asks, never more than `at_once` unanswered; every third answer comes out of turn, every fifth is a failure."""
    events: list[tuple[str, Point]] = []
    waiting: list[Point] = []
    for number in range(n):
        ask = strategy.ask()
        assert ask is not None
        events.append(("asked", ask.point))
        waiting.append(ask.point)
        if len(waiting) >= at_once:
            point = waiting.pop(-1 if number % 3 else 0)
            events.append(("tell", point))
            strategy.tell(point, (failed if number % 5 == 4 else outcome)(strategy.problem, point))
    return events


def repeat(strategy: Strategy, events: list[tuple[str, Point]]) -> None:
    n_asked = 0
    for kind, point in events:
        if kind == "asked":
            strategy.asked(point)
            n_asked += 1
        else:
            strategy.tell(point, (failed if n_asked % 5 == 0 else outcome)(strategy.problem, point))


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_continued_search_asks_what_the_first_one_would_have_asked(name: str, at_once: int) -> None:
    # a pool makes strategies propose known points, after which hidden state would differ; without one points are drawn
    of = problem(1) if at_once == 3 else problem(3)
    n_more = 1 if name == "gp" else 3
    first, continued = made(name, of), made(name, of)
    events = run_with_pending(first, 20 if name != "gp" else 15 + at_once, at_once)
    repeat(continued, events)
    assert search(first, n_more) == search(continued, n_more)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_proposal_changes_nothing(name: str) -> None:
    strategy = made(name, problem(1))
    search(strategy, 14)
    assert strategy.propose(Random(1)) == strategy.propose(Random(1))
    undisturbed = made(name, strategy.problem)
    search(undisturbed, 14)
    assert strategy.ask() == undisturbed.ask()


@pytest.mark.parametrize("name", ["tpe", "nsga2"])
def test_rebuilding_the_study_changes_no_ask(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = search(made(name, problem(1)), 25)
    monkeypatch.setattr(optuna_strategy, "_CLOSED_AT_MOST", 2)
    assert search(made(name, problem(1)), 25) == usual


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_the_sampler_sees_pending_points_as_running_and_none_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = made(name, problem(1))
    assert isinstance(strategy, optuna_strategy.OptunaStrategy)
    search(strategy, 13)
    pending = [ask.point for ask in (strategy.ask(), strategy.ask()) if ask is not None]
    seen: list[list[Point]] = []
    study, fresh = strategy._study, strategy.sampler

    def running() -> list[Point]:
        return [tuple(trial.params.values()) for trial in study.get_trials(states=(TrialState.RUNNING,))]

    def spy(seed: int) -> BaseSampler:
        seen.append(running())
        return fresh(seed)

    monkeypatch.setattr(strategy, "sampler", spy)
    strategy.propose(Random(0))
    assert seen[0] == pending
    assert running() == []


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_search_in_which_everything_fails_goes_on(name: str) -> None:
    assert len(search(made(name, problem(1)), 20, failed)) == 20


@pytest.mark.parametrize("name", ["evolution", "tpe", "policy_gradient"])
def test_learning_beats_chance(name: str) -> None:
    of = problem(3)

    def mean_of_best(name: str) -> float:
        runs = (search(make_strategy(name, of, seed), 50) for seed in range(4))
        return statistics.fmean(max(outcome(of, point).value or 0.0 for point in run) for run in runs)

    spread = statistics.stdev(outcome(of, of.sample(Random(i))).value or 0.0 for i in range(200))
    assert mean_of_best(name) > mean_of_best("random") + 0.5 * spread


def test_nsga2_seeks_cheap_networks_where_all_are_equally_good() -> None:
    points = search(
        make_strategy("nsga2", problem(3), population=10), 80, lambda of, p: Outcome(0.5, 0.5, float(of.costs(p).macs))
    )
    costs = [problem(3).costs(point).macs for point in points]
    assert statistics.fmean(costs[50:]) < 0.7 * statistics.fmean(costs[:10])


def test_nsga2_seeks_good_networks_where_all_cost_the_same_and_heeds_no_objective() -> None:
    points = search(
        make_strategy("nsga2", problem(3), population=10),
        80,
        lambda of, p: Outcome(-accuracy_of(p), accuracy_of(p), 1.0),
    )
    reached = [accuracy_of(point) for point in points]
    assert statistics.fmean(reached[50:]) > statistics.fmean(reached[:10]) + 0.015


def test_evolution_lets_the_oldest_die() -> None:
    of = problem(3)
    strategy = make_strategy("evolution", of, population=2, tournament=2)
    good, *others = (of.sample(Random(i)) for i in range(3))
    for point, value in ((good, 9.0), (others[0], 1.0), (others[1], 2.0)):
        strategy.asked(point)
        strategy.tell(point, Outcome(value, 0.5, 1.0))
    children = [strategy.propose(Random(i)) for i in range(30)]
    likeness = [[sum(a == b for a, b in zip(child, p, strict=True)) for p in (good, others[1])] for child in children]
    # the best of the two alive is the parent of every child; the best ever is dead
    assert all(of_parent >= len(good) - 6 for _, of_parent in likeness)
    assert statistics.fmean(dead for dead, _ in likeness) < statistics.fmean(alive for _, alive in likeness) - 3


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="evolution"):
        make_strategy("evolutoin", problem(1))
    with pytest.raises(UnknownNameError, match="population"):
        make_strategy("evolution", problem(1), popluation=3)
    with pytest.raises(UnknownNameError, match="strategy"):
        describe_strategy("none")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("evolution", {"population": 3, "tournament": 4}),
        ("evolution", {"crossover": 1.5}),
        ("policy_gradient", {"batch": 0}),
        ("policy_gradient", {"clip": 0}),
        ("policy_gradient", {"momentum": 1.0}),
        ("tpe", {"startup": 0}),
        ("nsga2", {"population": 1}),
        ("nsga2", {"crossover": -0.1}),
        ("gp", {"startup": 0}),
    ],
)
def test_options_out_of_range_are_refused(name: str, options: dict[str, Any]) -> None:
    assert set(options) <= set(strategy_options(name))
    with pytest.raises(ConfigError, match=name):
        make_strategy(name, problem(1), **options)


def test_the_registry_is_light() -> None:
    code = "import sys, scalesearch.search.registry; print({'optuna', 'torch', 'scipy'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
