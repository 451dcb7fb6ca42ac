"""Successive halving as a pure function of results; whole searches by simulation."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesearch.errors import ConfigError
from scalesearch.search.halving import Halving, HalvingSettings

THREE_RUNGS = Halving(HalvingSettings((1, 3, 9), 3))


def test_the_best_third_goes_on_best_first_and_once() -> None:
    rung = {"a": 0.1, "b": 0.9, "c": 0.5, "d": 0.7, "e": 0.2, "f": 0.3}
    assert THREE_RUNGS.promotion([rung], [set(rung)]) == ("b", 1)
    assert THREE_RUNGS.promotion([rung, {}], [set(rung), {"b"}]) == ("d", 1)
    assert THREE_RUNGS.promotion([rung, {}], [set(rung), {"b", "d"}]) is None


def test_less_than_eta_results_promote_nobody() -> None:
    assert THREE_RUNGS.promotion([], []) is None
    assert THREE_RUNGS.promotion([{"a": 0.9, "b": 0.8}], [{"a", "b", "c", "d"}]) is None


def test_the_highest_rung_comes_first_and_the_last_one_promotes_nobody() -> None:
    low = {name: 0.1 * i for i, name in enumerate("abcdefghijkl")}
    middle = {"l": 0.5, "k": 0.6, "j": 0.4}
    assert THREE_RUNGS.promotion([low, middle], [set(low), set(middle)]) == ("k", 2)
    assert THREE_RUNGS.promotion([low, middle, {}], [set(low), set(middle), {"k"}]) == ("i", 1)
    top = {"k": 0.6, "l": 0.5, "i": 0.4}
    assert THREE_RUNGS.promotion([{}, {}, top], [set(), set(), set(top)]) is None


def test_failures_count_but_never_go_on() -> None:
    rung = {"a": None, "b": float("nan"), "c": 0.1}
    assert THREE_RUNGS.promotion([rung], [set(rung)]) == ("c", 1)
    failed = dict.fromkeys("abcdef")
    assert THREE_RUNGS.promotion([failed], [set(failed)]) is None


def test_of_equals_the_first_told_goes_on() -> None:
    assert THREE_RUNGS.promotion([{"z": 0.5, "a": 0.5, "m": 0.5}], [{"z", "a", "m"}]) == ("z", 1)


def test_one_rung_is_no_halving() -> None:
    rung = {str(i): float(i) for i in range(30)}
    assert Halving().promotion([rung], [set(rung)]) is None


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 60), eta=st.integers(2, 4), workers=st.integers(1, 5))
def test_rungs_shrink_by_eta_and_the_best_arrives(seed: int, n: int, eta: int, workers: int) -> None:
    """A search of n networks with several workers that answer in any order: nobody twice, no more than allowed."""
    rng = random.Random(seed)
    halving = Halving(HalvingSettings((1, 2, 4), eta))
    values: list[dict[str, float | None]] = [{}, {}, {}]
    asked: list[set[str]] = [set(), set(), set()]
    running: list[tuple[str, int]] = []
    while True:
        while len(running) < workers:
            job = halving.promotion(values, asked) or ((str(len(asked[0])), 0) if len(asked[0]) < n else None)
            if job is None:
                break
            assert job[0] not in asked[job[1]]
            asked[job[1]].add(job[0])
            running.append(job)
        if not running:
            break
        name, rung = running.pop(rng.randrange(len(running)))
        values[rung][name] = int(name) * 7919 % 101
    assert len(asked[0]) == n
    for rung in (1, 2):
        assert asked[rung] <= set(values[rung - 1])
        assert len(asked[rung]) >= len(values[rung - 1]) // eta
    if n >= eta:
        assert max(values[1].values(), default=None) == max(values[0].values())


@pytest.mark.parametrize("epochs", [(), (0,), (1, 1), (3, 1), (-1, 2)])
def test_rungs_must_grow(epochs: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="epochs"):
        HalvingSettings(epochs)


def test_eta_must_halve_at_least() -> None:
    with pytest.raises(ConfigError, match="eta"):
        HalvingSettings((1, 2), 1)
