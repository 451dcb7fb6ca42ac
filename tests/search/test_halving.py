"""Successive halving as a pure function of results; whole searches by simulation."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesearch.errors import ConfigError
from scalesearch.search.halving import HalvingSettings, Rungs

Values = list[dict[str, float | None]]


def by_the_paper(values: Values, asked: list[set[str]], eta: int, n_rungs: int) -> tuple[str, int] | None:
    """Algorithm 2 of arXiv 1810.05934, from all results anew."""
    for rung in reversed(range(min(n_rungs - 1, len(values)))):
        succeeded = {name: v for name, v in values[rung].items() if v is not None and not math.isnan(v)}
        best = sorted(succeeded, key=lambda name: -succeeded[name])[: len(values[rung]) // eta]
        sent = asked[rung + 1] if rung + 1 < len(asked) else set()
        if left := [name for name in best if name not in sent]:
            return left[0], rung + 1
    return None


def promotion(values: Values, asked: list[set[str]], epochs: tuple[int, ...] = (1, 3, 9)) -> tuple[str, int] | None:
    """What the rungs promote after these results and asks."""
    rungs = Rungs(HalvingSettings(epochs, 3))
    for rung, names in enumerate(asked):
        for name in names:
            rungs.send(rung, name)
    for rung, results in enumerate(values):
        for name, value in results.items():
            rungs.tell(rung, name, value)
    assert rungs.promotion() == by_the_paper(values, asked, 3, len(epochs))
    return rungs.promotion()


def test_the_best_third_goes_on_best_first_and_once() -> None:
    rung = {"a": 0.1, "b": 0.9, "c": 0.5, "d": 0.7, "e": 0.2, "f": 0.3}
    assert promotion([rung], [set(rung)]) == ("b", 1)
    assert promotion([rung, {}], [set(rung), {"b"}]) == ("d", 1)
    assert promotion([rung, {}], [set(rung), {"b", "d"}]) is None


def test_less_than_eta_results_promote_nobody() -> None:
    assert promotion([], []) is None
    assert promotion([{"a": 0.9, "b": 0.8}], [{"a", "b", "c", "d"}]) is None


def test_the_highest_rung_comes_first_and_the_last_one_promotes_nobody() -> None:
    low = {name: 0.1 * i for i, name in enumerate("abcdefghijkl")}
    middle = {"l": 0.5, "k": 0.6, "j": 0.4}
    assert promotion([low, middle], [set(low), set(middle)]) == ("k", 2)
    assert promotion([low, middle, {}], [set(low), set(middle), {"k"}]) == ("i", 1)
    top = {"k": 0.6, "l": 0.5, "i": 0.4}
    assert promotion([{}, {}, top], [set(), set(), set(top)]) is None


def test_failures_count_but_never_go_on() -> None:
    rung = {"a": None, "b": float("nan"), "c": 0.1}
    assert promotion([rung], [set(rung)]) == ("c", 1)
    failed = dict.fromkeys("abcdef")
    assert promotion([failed], [set(failed)]) is None


def test_of_equals_the_first_told_goes_on() -> None:
    assert promotion([{"z": 0.5, "a": 0.5, "m": 0.5}], [{"z", "a", "m"}]) == ("z", 1)


def test_one_rung_is_no_halving() -> None:
    rung = {str(i): float(i) for i in range(30)}
    assert promotion([rung], [set(rung)], (1,)) is None


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 60), eta=st.integers(2, 4), workers=st.integers(1, 5))
def test_rungs_shrink_by_eta_and_the_best_arrives(seed: int, n: int, eta: int, workers: int) -> None:
    """A search of n networks with several workers that answer in any order: nobody twice, no more than allowed."""
    rng = random.Random(seed)
    rungs = Rungs(HalvingSettings((1, 2, 4), eta))
    values: Values = [{}, {}, {}]
    asked: list[set[str]] = [set(), set(), set()]
    running: list[tuple[str, int]] = []
    while True:
        while len(running) < workers:
            promoted = rungs.promotion()
            assert promoted == by_the_paper(values, asked, eta, 3)
            job = promoted or ((str(len(asked[0])), 0) if len(asked[0]) < n else None)
            if job is None:
                break
            assert job[0] not in asked[job[1]]
            asked[job[1]].add(job[0])
            rungs.send(job[1], job[0])
            running.append(job)
        if not running:
            break
        name, rung = running.pop(rng.randrange(len(running)))
        values[rung][name] = int(name) * 7919 % 101
        rungs.tell(rung, name, values[rung][name])
    assert len(asked[0]) == n
    for rung in (1, 2):
        assert asked[rung] <= set(values[rung - 1])
        assert len(asked[rung]) >= len(values[rung - 1]) // eta
    if n >= eta:
        assert max(values[1].values(), default=None) == max(values[0].values())


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from("abcde"), st.sampled_from([None, 0.1, 0.2, 0.3]))))
def test_a_later_result_of_a_network_takes_the_place_of_the_first(told: list[tuple[int, str, float | None]]) -> None:
    rungs, values = Rungs(HalvingSettings((1, 2, 4), 2)), [dict[str, float | None]() for _ in range(3)]
    for rung, name, value in told:
        values[rung][name] = value
        rungs.tell(rung, name, value)
        assert rungs.promotion() == by_the_paper(values, [set(), set(), set()], 2, 3)


@pytest.mark.parametrize("epochs", [(), (0,), (1, 1), (3, 1), (-1, 2)])
def test_rungs_must_grow(epochs: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="epochs"):
        HalvingSettings(epochs)


def test_eta_must_halve_at_least() -> None:
    with pytest.raises(ConfigError, match="eta"):
        HalvingSettings((1, 2), 1)
