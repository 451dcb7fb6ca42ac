"""The simulated driver against what queueing theory says of it (benchmarks/driver_model.py)."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def simulation() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("driver_model")
    sys.path.remove(str(BENCHMARKS))


@pytest.mark.parametrize(("workers", "length"), [(10, 1.0), (80, 1.0), (200, 1.0), (1000, 2.0)])
def test_equal_trials_come_at_the_pace_of_workers_or_driver(
    simulation: ModuleType, workers: int, length: float
) -> None:
    """Deterministic lengths L and service D: one trial every max(D, (L + D) / N) seconds."""
    costs = simulation.Costs(refill=0.004, refill_per_worker=0.0, commit=0.006)
    trials = 100 * workers
    got = simulation.simulate(workers, trials, length, costs)
    pace = max(0.010, (length + 0.010) / workers)
    assert got.seconds == pytest.approx(trials * pace, rel=0.03)
    assert got.useful == pytest.approx(length / (pace * workers), rel=0.03)
    assert got.committed == trials


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_waiting_is_that_of_one_server_with_random_arrivals(simulation: ModuleType, load: float) -> None:
    """Many workers, exponential lengths: M/D/1, whose mean wait is load * D / (2 (1 - load)) (Pollaczek-Khinchine)."""
    service, workers = 0.01, 3000
    length = workers * service / load
    costs = simulation.Costs(refill=service, refill_per_worker=0.0, commit=0.0)
    got = simulation.simulate(workers, 60_000, length, costs, exponential=True, seed=1)
    assert got.waits == pytest.approx(load * service / (2 * (1 - load)), rel=0.15)


def test_nothing_is_lost_whatever_goes_wrong_and_it_costs_time(simulation: ModuleType) -> None:
    costs = simulation.Costs(refill=0.001, refill_per_worker=0.0, commit=0.001)
    storm = simulation.Weather(crashes=0.1, node_life=600.0, node_repair=30.0)
    calm = simulation.simulate(64, 4000, 5.0, costs)
    for prefetch in (False, True):
        got = simulation.simulate(64, 4000, 5.0, costs, weather=storm, prefetch=prefetch, seed=3)
        assert got.committed == 4000
        assert got.lost > 400
        assert got.seconds > calm.seconds


def test_a_stock_of_trials_takes_the_commit_off_the_workers_path(simulation: ModuleType) -> None:
    costs = simulation.Costs(refill=0.001, refill_per_worker=0.0, commit=0.020)
    without = simulation.simulate(20, 4000, 1.0, costs)
    with_stock = simulation.simulate(20, 4000, 1.0, costs, prefetch=True)
    assert with_stock.useful > without.useful
    # but a driver that is too slow stays too slow
    slow = [simulation.simulate(100, 4000, 1.0, costs, prefetch=prefetch).seconds for prefetch in (False, True)]
    assert slow[1] == pytest.approx(slow[0], rel=0.05)
