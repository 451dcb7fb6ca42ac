"""The surrogate: its arithmetic against direct solutions, and what a strategy owes to the study."""

import math
from random import Random

import numpy as np
import pytest
from scipy.integrate import quad

import scalesearch as ss
from scalesearch.arch.space import CostWindow, LayerSpace, SpaceSettings, StageSpace
from scalesearch.arch.space_settings import LayerPlan
from scalesearch.errors import ConfigError
from scalesearch.objective import HARD, SOFT
from scalesearch.search import gaussian_process
from scalesearch.search.acquisition import improvement_in_value, level_of, log_expected_improvement, target_of
from scalesearch.search.features import Encoder, Rows
from scalesearch.search.gaussian_process import PRIOR_MODE, GaussianProcess, fitted
from scalesearch.search.problem import Problem
from scalesearch.search.random_search import RandomSearch
from scalesearch.search.strategy import Outcome
from scalesearch.search.surrogate import SurrogateStrategy
from scalesearch.search.surrogate_model import refit_size


@pytest.fixture(scope="module")
def small():
    """441 networks of six layers, all listed."""
    plan = LayerPlan(resolution=16, stem_width=8, widths=(16, 32), depths=(3, 3), strides=(2, 2), head_width=64)
    space = LayerSpace(SpaceSettings(kind="layers", ops=("identity", "mbconv_e3_k3", "mbconv_e6_k5"), layers=plan))
    return Problem(space, SOFT, 1e6)


@pytest.fixture(scope="module")
def generative():
    """1.6e17 points around EfficientNet-B0."""
    space = StageSpace(ss.load_spec("efficientnet_b0"), SpaceSettings())
    return Problem(space, SOFT, 400e6, window=CostWindow("macs", 200e6, 440e6))


def outcome_of(problem, point):
    """Error is a product of effects: of the choices, and of the cost to a power."""
    effects = sum(Random(f"{i}/{choice}").gauss(0, 0.06) for i, choice in enumerate(point))
    macs = problem.costs(point).macs
    accuracy = 1 - min(0.95, 0.3 * math.exp(effects) * (macs / problem.target) ** -0.15)
    return Outcome(problem.objective(accuracy, macs, problem.target), accuracy, macs)


def play(strategy, number, *, delay=0):
    """Ask and tell, results `delay` asks late; the points in the order of asking."""
    points = []
    for _ in range(number):
        ask = strategy.ask()
        if ask is None:
            break
        points.append(ask.point)
        if len(points) > delay:
            tell(strategy, points[-1 - delay])
    return points


def tell(strategy, point):
    strategy.tell(point, outcome_of(strategy.problem, point))


def evaluations_to_best(strategy, best, most):
    for number in range(1, most + 1):
        ask = strategy.ask()
        if ask.point == best:
            return number
        tell(strategy, ask.point)
    return most


def test_it_finds_the_best_network_in_far_fewer_trainings_than_random_search(small):
    best = max(small.pool, key=lambda point: outcome_of(small, point).value)
    ours = [evaluations_to_best(SurrogateStrategy(small, seed), best, 100) for seed in range(4)]
    random = [evaluations_to_best(RandomSearch(small, seed), best, len(small.pool)) for seed in range(4)]
    assert np.mean(ours) < 50
    assert np.mean(ours) < 0.4 * np.mean(random)


def test_on_a_generative_space_it_beats_random_search(generative):
    def best_of(strategy):
        return max(outcome_of(generative, point).value for point in play(strategy, 40))

    ours = np.mean([best_of(SurrogateStrategy(generative, seed, candidates=400)) for seed in range(2)])
    random = np.mean([best_of(RandomSearch(generative, seed)) for seed in range(2)])
    assert ours > random + 0.01


@pytest.mark.parametrize(("kind", "number", "delay"), [("small", 30, 3), ("generative", 24, 2)])
def test_a_strategy_told_the_same_again_asks_the_same_next(kind, number, delay, request):
    problem = request.getfixturevalue(kind)
    first = SurrogateStrategy(problem, 7, candidates=600)
    points = play(first, number, delay=delay)
    again = SurrogateStrategy(problem, 7, candidates=600)
    for i, point in enumerate(points):
        again.asked(point)
        if i >= delay:
            tell(again, points[i - delay])
    assert [again.ask().point for _ in range(3)] == [first.ask().point for _ in range(3)]


def test_no_known_point_is_proposed(small):
    strategy = SurrogateStrategy(small, 8)
    for _ in range(25):
        ask = strategy.ask()
        assert ask.duplicates <= (len(strategy.known) < 6)
        tell(strategy, ask.point)


def test_proposals_change_nothing(small):
    strategy, other = SurrogateStrategy(small, 1), SurrogateStrategy(small, 1)
    assert play(strategy, 12) == play(other, 12)
    for i in range(3):
        other.propose(Random(i))
    assert play(strategy, 5) == play(other, 5)


def test_points_in_training_push_the_next_ones_away(small, monkeypatch):
    strategy = SurrogateStrategy(small, 2)
    play(strategy, 15)
    counts, original = [], GaussianProcess.variance_after
    monkeypatch.setattr(
        GaussianProcess, "variance_after", lambda self, rows: counts.append(len(rows)) or original(self, rows)
    )
    asked = [strategy.ask().point for _ in range(6)]
    assert counts == [1, 2, 3, 4, 5]
    assert len({small.fingerprint(point) for point in asked}) == 6
    model, encoder = strategy._model, strategy._candidates.encoder
    alone, among = model.process.variance, model.process.variance_after(encoder.rows(asked))
    column = strategy._candidates.column[small.fingerprint(asked[0])]
    assert np.all(among <= alone + 1e-12)
    assert among[column] < 0.5 * alone[column]


def test_more_workers_than_the_design_has_points(small):
    strategy = SurrogateStrategy(small, 3)
    points = [strategy.ask().point for _ in range(12)]
    assert len(set(points)) == 12
    tell(strategy, points[5])
    assert strategy.ask().point not in points


def test_failed_trainings_are_poor_results_and_never_the_end(small):
    strategy = SurrogateStrategy(small, 4)
    seen = set()
    for number in range(30):
        point = strategy.ask().point
        seen.add(point)
        failed = Outcome(None, None, 1.0)
        strategy.tell(point, failed if number % 3 == 0 else outcome_of(small, point))
    assert len(seen) == 30
    strategy.ask()
    process = strategy._model.process
    assert np.isfinite(process.mean).all()
    assert len(process.observed) == 30
    only_failures = SurrogateStrategy(small, 4)
    for _ in range(10):
        only_failures.tell(only_failures.ask().point, Outcome(None, None, 1.0))
    assert only_failures.ask() is not None


def test_not_a_number_and_an_objective_of_zero_are_survived(small):
    strategy = SurrogateStrategy(small, 5)
    for number in range(14):
        ask = strategy.ask()
        strategy.tell(ask.point, Outcome((math.nan, 0.0, 0.5)[number % 3], 0.5, 1.0))
    assert strategy.ask() is not None


def test_equal_results_and_an_accuracy_of_one(small):
    for value in (0.7, 1.0):
        strategy = SurrogateStrategy(small, 6)
        for _ in range(15):
            ask = strategy.ask()
            # the same accuracy everywhere: the model has nothing to explain
            strategy.tell(ask.point, Outcome(value * math.exp(small.log_bonus(ask.point)), value, 1.0))
        assert strategy.ask().duplicates == 0
        assert np.isfinite(strategy._model.process.mean).all()


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_tiny_pool_is_asked_to_the_last_point_and_then_ends(small, size):
    problem = Problem(small.space, SOFT, 1e6, pool=small.pool[:size])
    points = play(SurrogateStrategy(problem), 50)
    assert sorted(points) == sorted(problem.pool)


def test_a_pool_too_large_to_list_is_sampled(small):
    strategy = SurrogateStrategy(small, candidates=60)
    points = play(strategy, 40)
    assert len(strategy._candidates.points) <= 60
    assert not strategy._candidates.listed
    assert len(set(points)) == 40
    assert set(points) <= set(small.pool)


def test_asks_of_a_generative_space_are_allowed_and_distinct(generative):
    strategy = SurrogateStrategy(generative, candidates=200)
    points = play(strategy, 30, delay=1)
    assert all(generative.allowed(point) for point in points)
    assert len({generative.fingerprint(point) for point in points}) == 30


def test_a_latency_objective_is_modelled_whole(small):
    problem = Problem(small.space, HARD, 20.0, cost="latency")
    strategy = SurrogateStrategy(problem)
    for _ in range(12):
        point = strategy.ask().point
        # values above one: faster than the target under a soft exponent
        strategy.tell(point, Outcome(0.9 + 1e5 / problem.costs(point).macs, 0.9, 20.0))
    assert strategy.ask() is not None


@pytest.mark.parametrize("options", [{"design": 1}, {"candidates": 15}])
def test_options_out_of_range(small, options):
    with pytest.raises(ConfigError):
        SurrogateStrategy(small, **options)


def test_refits_are_a_function_of_the_number_of_results():
    sizes = [refit_size(n, 5) for n in range(5, 2000)]
    assert sizes == sorted(sizes)
    assert all(size <= n for n, size in enumerate(sizes, start=5))
    assert max(n - size for n, size in enumerate(sizes, start=5)) < 256
    assert all(refit_size(size, 5) == size for size in set(sizes))


@pytest.mark.parametrize("z", [5.0, 0.0, -0.9, -1.1, -4.0, -12.0, -40.0, -300.0, -9e3, -1.1e4, -1e7])
def test_log_expected_improvement_against_its_integral(z):
    # h(z) = pdf(z) * integral of t exp(z t - t^2 / 2) over t > 0, in units of 1 / |z| where that is the width
    unit = 1 / max(1.0, -z)
    integral, _ = quad(
        lambda u: u * math.exp(z * unit * u - (unit * u) ** 2 / 2),
        0,
        60 if z < 0 else 20,
        points=[max(z, 1.0)],
        epsabs=0,
        epsrel=1e-11,
    )
    expected = -z * z / 2 - math.log(2 * math.pi) / 2 + math.log(integral) + 2 * math.log(unit)
    for deviation in (1.0, 1e-3):
        got = log_expected_improvement(np.array([z * deviation + 2]), np.array([deviation]), 2.0)[0]
        # z itself is rounded where it is taken from a small deviation
        slack = 4e-13 * max(1.0, z * z) / deviation
        assert got == pytest.approx(expected + math.log(deviation), rel=1e-10, abs=1e-7 + slack)


def test_improvement_in_value_against_simulation():
    mean, deviation, bonus, best = np.array([2.4, 2.6]), np.array([0.1, 0.05]), np.array([0.05, -0.02]), -0.04
    draws = mean + deviation * np.random.default_rng(0).standard_normal((400_000, 2))
    gain = np.maximum(np.log(level_of(draws)) + bonus - best, 0).mean(axis=0)
    # of first order in a gain of a few per cent
    assert np.exp(improvement_in_value(mean, deviation, bonus, best)) == pytest.approx(gain, rel=0.08)
    assert improvement_in_value(mean, deviation, np.array([-0.05, 0.0]), best)[0] == -np.inf


def test_targets_and_levels_are_inverse():
    levels = np.array([0.0, 0.1, 0.5, 0.99, 0.9999])
    assert level_of(target_of(levels)) == pytest.approx(levels, abs=1e-12)


def rows_of(rng, number):
    # six dimensions of three choices each
    taken = np.eye(3)[rng.integers(0, 3, (number, 6))].reshape(number, 18)
    return Rows(rng.normal(size=(number, 4)) / 2, taken / np.sqrt(6))


def test_the_posterior_after_updates_equals_a_direct_solution():
    rng = np.random.default_rng(3)
    seen, new, candidates, others, pending = (rows_of(rng, n) for n in (12, 9, 40, 5, 3))
    targets = rng.normal(size=21)
    process = GaussianProcess(PRIOR_MODE, seen, targets[:12], candidates, room=4)
    for i in range(5):
        process.observe(new.take([i]), targets[12 + i])
    fresh = rows_of(rng, 2)
    candidates.sizes[[3, 30]], candidates.choices[[3, 30]] = fresh.sizes, fresh.choices
    process.recompute([3, 30])
    for i in range(5, 9):
        process.observe(new.take([i]), targets[12 + i])

    observed, k = seen.joined(new), PRIOR_MODE.covariance
    noise = PRIOR_MODE.noise**2 + 1e-8

    def direct(at, known):
        gain = np.linalg.solve(k(known, known) + noise * np.eye(len(known)), k(known, at))
        return gain, np.diag(k(at, at) - k(at, known) @ gain)

    for at, (mean, variance) in (
        (candidates, (process.mean, process.variance)),
        (others, process.at(others)),
        (observed, (process.at_observed(), None)),
    ):
        gain, expected = direct(at, observed)
        assert mean == pytest.approx(targets @ gain, abs=1e-9)
        if variance is not None:
            assert variance == pytest.approx(expected, abs=1e-9)
    both = observed.joined(pending)
    assert process.variance_after(pending) == pytest.approx(direct(candidates, both)[1], abs=1e-9)
    assert process.at(others, pending)[1] == pytest.approx(direct(others, both)[1], abs=1e-9)


def test_the_gradient_of_the_marginal_likelihood():
    rng = np.random.default_rng(4)
    rows, targets = rows_of(rng, 15), rng.normal(size=15)
    distances = gaussian_process._distances(rows, rows)
    logs = np.log([0.7, 0.8, 0.6, 0.4, 2.0, 0.2])
    _, gradient = gaussian_process._loss(logs, *distances, targets)
    for i in range(6):
        step = 1e-5 * np.eye(6)[i]
        up, down = (gaussian_process._loss(logs + sign * step, *distances, targets)[0] for sign in (1, -1))
        assert gradient[i] == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-7)


def test_hyperparameters_tell_noise_from_signal():
    rng = np.random.default_rng(5)
    rows = rows_of(rng, 80)
    signal = 2 * rows.sizes[:, 0] + 3 * rows.choices[:, 5]
    signal = (signal - signal.mean()) / signal.std()
    clean = fitted(rows, signal)
    noisy = fitted(rows, signal + 0.5 * rng.normal(size=80))
    assert clean.noise < 0.1
    assert noisy.noise == pytest.approx(0.5, rel=0.4)


def test_sizes_are_standardised_over_the_reference(small):
    rows = Encoder(small, small.pool).rows(small.pool)
    # divided by the root of their number: the mean square of a row is one where every size varies
    assert (rows.sizes**2).sum(axis=1).mean() == pytest.approx(1.0, abs=1e-6)
    assert rows.sizes.mean(axis=0) == pytest.approx(np.zeros(rows.sizes.shape[1]), abs=1e-9)
    taken = np.array(small.pool)
    same = (taken[:9, None] == taken[None]).mean(axis=2)
    assert rows.choices[:9] @ rows.choices.T == pytest.approx(same, abs=1e-12)
