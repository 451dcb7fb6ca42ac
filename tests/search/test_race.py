"""The race: budget, purity and termination as properties; error rates by a small simulation of whole grids."""

from __future__ import annotations

import math
import random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesearch.analysis.evidence import judge
from scalesearch.errors import ConfigError
from scalesearch.search.race import Race, RaceSettings

Unit = tuple[str, int]


def names(n: int) -> list[str]:
    return [f"c{i:02d}" for i in range(n)]


def all_results(values: np.ndarray) -> dict[Unit, float | None]:
    return {
        (name, s): None if math.isnan(v) else float(v)
        for name, row in zip(names(len(values)), values, strict=True)
        for s, v in enumerate(row)
    }


def play(race: Race, truth: dict[Unit, float | None]) -> tuple[dict[Unit, float | None], list[list[Unit]]]:
    results: dict[Unit, float | None] = {}
    rounds = []
    while units := race.next_round(results):
        rounds.append(units)
        results |= {unit: truth[unit] for unit in units}
    return results, rounds


@st.composite
def grids(draw: st.DrawFn) -> tuple[Race, dict[Unit, float | None]]:
    n, first = draw(st.integers(1, 7)), draw(st.integers(1, 3))
    max_seeds = first + draw(st.integers(0, 4))
    chosen = RaceSettings(
        first_seeds=first,
        max_seeds=max_seeds,
        max_trainings=draw(st.none() | st.integers(n, n * max_seeds + 3)),
        keep=draw(st.sampled_from([0.3, 0.5, 1.0])),
        min_survivors=draw(st.integers(2, 4)),
        max_failures=draw(st.integers(1, 3)),
    )
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    spread = draw(st.sampled_from([0.0, 1.0, 10.0]))
    values = spread * rng.normal(size=(n, 1)) + rng.normal(size=(n, max_seeds))
    values[rng.random(values.shape) < draw(st.sampled_from([0.0, 0.2, 0.9]))] = math.nan
    if draw(st.booleans()):
        values = np.round(values)  # exact ties
    return Race(names(n), chosen), all_results(values)


@settings(max_examples=80, deadline=None)
@given(grids(), st.randoms(use_true_random=False))
def test_a_race_ends_within_budget_and_is_a_pure_function(
    grid: tuple[Race, dict[Unit, float | None]], rng: random.Random
) -> None:
    race, truth = grid
    results, rounds = play(race, truth)
    assert len(results) <= race.max_trainings
    assert all(0 <= s < race.settings.max_seeds for _, s in results)
    assert sum(len(units) for units in rounds) == len(results), "no unit is asked for twice"
    assert set(rounds[0]) == {(c, s) for c in race.candidates for s in range(len(rounds[0]) // len(race.candidates))}

    # a seed with one candidate would compare nobody
    shared = [sum(unit[1] == seed for unit in results) for seed in {unit[1] for unit in results}]
    assert len(race.candidates) == 1 or min(shared) >= 2

    # the order in which results arrive, and how many of a round are there, changes nothing
    resumed: dict[Unit, float | None] = {}
    while units := race.next_round(resumed):
        unit = rng.choice(units)
        resumed = {unit: truth[unit], **resumed}
    assert resumed == results
    shuffled = list(results.items())
    rng.shuffle(shuffled)
    assert race.standing(dict(shuffled)) == race.standing(results)

    # results that the race did not ask for change nothing either
    assert race.next_round(truth) == []
    assert set(race.units(truth)) == set(results)


@settings(max_examples=40, deadline=None)
@given(grids())
def test_a_race_that_is_over_has_a_reason(grid: tuple[Race, dict[Unit, float | None]]) -> None:
    race, truth = grid
    results, _ = play(race, truth)
    standing = race.standing(results)
    assert [row.candidate for row in standing] == list(race.candidates)
    assert {row.state for row in standing} <= {"leader", "told apart", "tied", "failed"}
    tied = [row for row in standing if row.state == "tied"]
    left = race.max_trainings - len(results)
    asked = {c: sum(unit[0] == c for unit in results) for c in race.candidates}
    # a tie that could have been worked on: seeds left for it and for the leader, and budget for both
    assert not tied or left < 2 or all(asked[row.candidate] == race.settings.max_seeds for row in tied)


def test_better_half_goes_on_and_those_told_apart_leave() -> None:
    rng = np.random.default_rng(0)
    quality = np.array([0, 0, 0, 0, 0, 0, 0, 0, 10, 11, 12, 12.5])
    values = quality[:, None] + rng.normal(size=12) + rng.normal(size=(12, 12))
    race = Race(names(12), RaceSettings())
    results, rounds = play(race, all_results(values))
    assert len(rounds[0]) == 24
    assert {c for c, _ in rounds[1]} <= {"c08", "c09", "c10", "c11"}
    assert all(row.state == "told apart" for row in race.standing(results)[:8])
    equal = rng.normal(size=(12, 12))
    assert len({c for c, _ in play(race, all_results(equal))[1][1]}) == 6


def test_a_leader_alone_after_two_seeds_is_confirmed_by_a_third() -> None:
    values = np.random.default_rng(6).normal(size=(6, 12))
    values[4] += 50
    race = Race(names(6), RaceSettings())
    results, rounds = play(race, all_results(values))
    assert [len(units) for units in rounds] == [12, 2]
    assert race.standing(results)[4].n_seeds == 3
    rows = [(c, s, v) for (c, s), v in results.items()]
    verdict = judge(pd.DataFrame(rows, columns=["candidate", "seed", "value"]))
    assert (verdict.winner, verdict.ties, verdict.enough) == ("c04", (), True)


def test_nobody_overtakes_the_better_half() -> None:
    """A round trains the better half of those in the race; who has all seeds makes way for the next in rank."""
    rng = np.random.default_rng(7)
    for _ in range(15):
        truth, race = all_results(rng.normal(size=(10, 12)) + 0.5 * rng.normal(size=(10, 1))), Race(names(10))
        results = {unit: truth[unit] for unit in race.next_round({})}
        while units := race.next_round(results):
            running = [row for row in race.standing(results) if row.state != "told apart"]
            running.sort(key=lambda row: -(row.estimate or 0.0))
            places = max(4, math.ceil(len(running) / 2))
            trained = {c for c, _ in units}
            unfinished = [row.candidate for row in running if row.n_seeds < 12]
            assert trained <= set(unfinished[:places])
            results |= {unit: truth[unit] for unit in units}


def test_paired_seeds() -> None:
    """Whoever goes on gets the lowest seeds it lacks, so seeds are shared and have no gaps."""
    values = np.random.default_rng(1).normal(size=(10, 12))
    results, _ = play(Race(names(10), RaceSettings()), all_results(values))
    for name in names(10):
        seeds = sorted(s for c, s in results if c == name)
        assert seeds == list(range(len(seeds)))
    for s in {s for _, s in results}:
        assert sum(unit[1] == s for unit in results) >= 2


def test_results_that_are_there_already_are_not_asked_for() -> None:
    values = np.random.default_rng(2).normal(size=(6, 12))
    truth, race = all_results(values), Race(names(6), RaceSettings())
    known = {unit: truth[unit] for unit in [("c00", 0), ("c03", 1), ("c05", 7)]}
    first = race.next_round(known)
    assert len(first) == 10
    assert not set(first) & set(known)


def test_a_single_candidate_stops_after_the_first_seeds() -> None:
    race = Race(["only"], RaceSettings())
    assert race.next_round({}) == [("only", 0), ("only", 1)]
    assert race.next_round({("only", 0): 0.5, ("only", 1): 0.6}) == []


def test_a_candidate_that_always_fails_leaves_and_the_race_goes_on() -> None:
    values = np.random.default_rng(3).normal(size=(5, 12))
    values[0] += 3
    values[2] = math.nan
    race = Race(names(5), RaceSettings())
    results, _ = play(race, all_results(values))
    assert sum(c == "c02" for c, _ in results) == 2
    row = race.standing(results)[2]
    assert (row.state, row.reason, row.round, row.n_seeds, row.estimate) == ("failed", "2 failed trainings", 1, 0, None)
    assert sum(c == "c00" for c, _ in results) > 2


def test_a_single_failure_costs_one_seed_only() -> None:
    values = np.random.default_rng(4).normal(size=(4, 12))
    values[1, 0] = math.nan
    values[1] += 20
    race = Race(names(4), RaceSettings())
    results, _ = play(race, all_results(values))
    assert race.standing(results)[1].state == "leader"
    assert race.standing(results)[1].n_seeds == sum(c == "c01" for c, _ in results) - 1


def test_a_race_in_which_all_fails_is_over() -> None:
    race = Race(names(3), RaceSettings())
    results, rounds = play(race, all_results(np.full((3, 12), math.nan)))
    assert len(rounds) == 1
    assert {row.state for row in race.standing(results)} == {"failed"}


def test_standing_before_and_during() -> None:
    race = Race(names(8), RaceSettings())
    assert {row.state for row in race.standing({})} == {"not started"}
    values = np.random.default_rng(5).normal(size=(8, 12)) * 0.01
    values[7] -= 1
    first = {unit: all_results(values)[unit] for unit in race.next_round({})}
    states = [row.state for row in race.standing(first)]
    assert sorted(states) == ["in race"] * 3 + ["leader", "told apart"] + ["waiting"] * 3
    assert "standard errors" in race.standing(first)[7].reason


def test_settings_are_checked() -> None:
    for bad in ({"first_seeds": 0}, {"max_seeds": 1}, {"keep": 0.0}, {"keep": 1.5}, {"min_survivors": 1}):
        with pytest.raises(ConfigError, match=f"race.{next(iter(bad))}"):
            RaceSettings(**bad)
    for bad in ({"max_failures": 0}, {"max_trainings": 0}, {"confidence": 95.0}):
        with pytest.raises(ConfigError, match=f"race.{next(iter(bad))}"):
            RaceSettings(**bad)
    with pytest.raises(ConfigError, match="at least one per candidate"):
        Race(names(4), RaceSettings(max_trainings=3))
    for candidates in ([], ["a", "a"]):
        with pytest.raises(ConfigError, match="different candidates"):
            Race(candidates)


def simulate(effect: float, n_best: int, grids: int = 250, n: int = 12) -> tuple[float, float, float]:
    """Rates of a wrong lone winner and of exactly the best being named, and trainings per grid."""
    rng = np.random.default_rng(11)
    best = set(names(n)[: n_best if effect else n])
    race = Race(names(n))
    wrong = found = trainings = 0
    for _ in range(grids):
        values = rng.normal(size=(n, 12)) + rng.normal(size=12)
        values[:n_best] += effect
        truth = all_results(values)
        units = race.units(truth)
        verdict = judge(
            pd.DataFrame([(c, s, truth[c, s]) for c, s in units], columns=["candidate", "seed", "value"]),
            n_bootstrap=1,
        )
        named = {verdict.winner, *verdict.ties}
        wrong += len(named) == 1 and named != best
        found += named == best
        trainings += len(units)
    return wrong / grids, found / grids, trainings / grids


def test_equal_candidates_rarely_get_a_lone_winner() -> None:
    wrong, _, trainings = simulate(0.0, 1)
    assert wrong <= 0.02
    assert trainings <= RaceSettings().budget(12)


def test_two_sigma_are_found_with_part_of_the_budget() -> None:
    wrong, found, trainings = simulate(2.0, 1)
    assert wrong <= 0.01
    assert found >= 0.75
    assert trainings <= 60


def test_two_equal_leaders_are_named_together() -> None:
    wrong, found, _ = simulate(2.0, 2)
    assert wrong <= 0.06
    assert found >= 0.75
