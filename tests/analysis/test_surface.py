"""Pooled evidence: known laws are recovered, wrong laws are noticed, trainings are placed where they tell most."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from scalesearch.analysis.placement import next_trials
from scalesearch.analysis.surface import MIN_PURE_DF, SurfaceVerdict, fit_surface, judge_surface
from scalesearch.errors import DataError

AXES = ["depth", "width", "resolution"]


def candidates() -> pd.DataFrame:
    """Nine networks of the same nominal cost 2."""
    shares = [(d, w) for d in (0.1, 0.35, 0.6) for w in (0.1, 0.2, 0.3)]
    rows = [(2**d, 2 ** (w / 2), 2 ** ((1 - d - w) / 2)) for d, w in shares]
    return pd.DataFrame(rows, columns=AXES).assign(candidate=[f"c{i}" for i in range(len(rows))])


def pool() -> pd.DataFrame:
    rows = [(d, w, r) for d in (0.6, 1.0, 1.5) for w in (0.7, 1.0, 1.3) for r in (0.7, 1.0, 1.3)]
    cheaper = pd.DataFrame(rows, columns=AXES)
    cheaper = cheaper[cheaper["depth"] * cheaper["width"] ** 2 * cheaper["resolution"] ** 2 <= 2]
    cheaper = cheaper.assign(candidate=[f"n{i}" for i in range(len(cheaper))])
    return pd.concat([candidates(), cheaper], ignore_index=True)


def log_error(table: pd.DataFrame) -> np.ndarray:
    """Best at even shares: the middle of the candidates, c4, is the winner."""
    logs = np.log(table[AXES].to_numpy()) - np.log(candidates()[AXES].to_numpy()).mean(axis=0)
    return np.log(0.2) + logs @ np.array([-0.3, -0.6, -0.6]) + logs**2 @ np.array([0.6, 2.0, 2.0])


def trained(
    networks: pd.DataFrame, seeds: int, noise: float, law: Callable[[pd.DataFrame], np.ndarray] = log_error
) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    table = networks.loc[networks.index.repeat(seeds)].reset_index(drop=True)
    table["seed"] = np.tile(np.arange(seeds), len(networks))
    effect = 0.03 * rng.standard_normal(seeds)
    log = law(table) + effect[table["seed"]] + noise * rng.standard_normal(len(table))
    return table.assign(accuracy=1 - np.exp(log))


def test_a_clear_law_names_its_best_candidate_alone() -> None:
    verdict = judge_surface(trained(pool(), 2, 0.003), candidates())
    assert verdict.winner == "c4"
    assert verdict.ties == ()
    assert verdict.enough
    assert verdict.region == ("c4",)
    assert verdict.p_best["c4"] > 0.99
    assert "c4 is best" in verdict.sentence
    truth = np.exp(log_error(candidates().iloc[[4]]))[0]
    low, high = verdict.ci95["c4"] or (0.0, 0.0)
    assert low < verdict.error["c4"] < high
    assert verdict.error["c4"] == pytest.approx(truth, rel=0.06)  # the seeds' own mean effect is part of it
    assert verdict.residual_sd == pytest.approx(0.003, rel=0.4)


def test_the_law_is_least_squares_with_dummies() -> None:
    """Predictions against a direct fit of all monomials and seeds, in plain coordinates."""
    table = trained(pool(), 2, 0.02)
    surface = fit_surface(table, candidates())

    def rows(frame: pd.DataFrame) -> np.ndarray:
        x, y, z = np.log(frame[AXES].to_numpy()).T
        return np.column_stack([np.ones(len(x)), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z])

    effect = np.where(table["seed"] == 0, 1.0, -1.0)[:, None]
    full = np.hstack([rows(table), effect])
    beta = np.linalg.lstsq(full, np.log(1 - table["accuracy"].to_numpy()), rcond=None)[0]
    assert surface.values(surface.fit.coefficients) == pytest.approx(1 - np.exp(rows(candidates()) @ beta[:10]))
    variance = np.diag(rows(candidates()) @ np.linalg.inv(full.T @ full)[:10, :10] @ rows(candidates()).T)
    assert surface.fit.variances(surface.points) == pytest.approx(variance)
    assert surface.fit.df == len(table) - 11


def test_noise_makes_ties_and_the_best_is_among_them() -> None:
    verdict = judge_surface(trained(pool(), 2, 0.05), candidates())
    assert verdict.enough
    assert "c4" in {verdict.winner, *verdict.ties}
    assert len(verdict.ties) >= 2
    assert "cannot be told from it" in verdict.sentence
    assert sum(verdict.p_best.values()) == pytest.approx(1)


def test_equal_candidates_are_tied() -> None:
    def only_cost(table: pd.DataFrame) -> np.ndarray:
        return np.log(0.2) + np.log(table[AXES].to_numpy()) @ np.array([-0.18, -0.36, -0.36])

    lone = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        table = trained(pool(), 2, 0.0, only_cost)
        table["accuracy"] = 1 - (1 - table["accuracy"]) * np.exp(0.03 * rng.standard_normal(len(table)))
        verdict = judge_surface(table, candidates(), n_bootstrap=50)
        lone += not verdict.ties
    assert lone <= 2


def test_a_price_moves_the_winner() -> None:
    dear = candidates().assign(price=[1.0] * 4 + [0.9] + [1.0] * 4)
    table = trained(pool(), 2, 0.003)
    priced, free = judge_surface(table, dear), judge_surface(table, candidates())
    assert free.winner == "c4"
    assert priced.winner != "c4"
    assert priced.value["c4"] == pytest.approx(0.9 * free.value["c4"])


def test_networks_off_the_law_are_noticed() -> None:
    def rough(table: pd.DataFrame) -> np.ndarray:
        return log_error(table) + 0.1 * np.sin(np.log(table[AXES].to_numpy()) @ np.array([37.0, 53.0, 71.0]))

    verdict = judge_surface(trained(pool(), 3, 0.01, rough), candidates())
    assert verdict.lack_of_fit is not None
    assert verdict.lack_of_fit < 0.05
    assert not verdict.enough
    assert len(verdict.ties) == len(candidates()) - 1
    assert "does not describe" in verdict.sentence


def test_candidates_alone_are_enough_on_their_own_plane() -> None:
    """Equal cost leaves two directions, so six coefficients: nine candidates carry them."""
    nearly = candidates().assign(resolution=lambda t: t["resolution"] * ([0.99, 1.01] * 4 + [1.0]))
    for table in (candidates(), nearly):  # exactly and nearly equal cost
        verdict = judge_surface(trained(table, 4, 0.003), table)
        assert verdict.winner == table["candidate"].iloc[log_error(table).argmin()]
        assert verdict.enough


def test_one_seed_names_nobody() -> None:
    verdict = judge_surface(trained(pool(), 1, 0.003), candidates())
    assert not verdict.enough
    assert verdict.lack_of_fit is None
    assert len(verdict.ties) == len(candidates()) - 1
    assert "second seed" in verdict.sentence


def refused(table: pd.DataFrame) -> SurfaceVerdict:
    verdict = judge_surface(table, candidates())
    assert not verdict.enough
    assert verdict.winner is None
    assert set(verdict.ties) == set(candidates()["candidate"])
    return verdict


def test_few_networks_poor_spread_and_constant_accuracy_are_refused() -> None:
    assert "too few networks" in refused(trained(pool().iloc[:5], 3, 0.01)).sentence
    line = pd.DataFrame({"width": np.linspace(0.5, 2, 12), "depth": 1.0, "resolution": 1.0, "candidate": range(12)})
    assert "do not differ enough" in refused(trained(line, 2, 0.01)).sentence
    assert "same accuracy" in refused(trained(pool(), 2, 0.01).assign(accuracy=0.1)).sentence


def test_failed_trainings_are_dropped_and_counted() -> None:
    table = trained(pool(), 3, 0.003)
    table.loc[[3, 20], "accuracy"] = math.nan
    verdict = judge_surface(table, candidates())
    assert verdict.n_dropped == 2
    assert verdict.winner == "c4"


def test_bad_tables_are_errors() -> None:
    table = trained(pool(), 2, 0.01)
    with pytest.raises(DataError, match="no seed"):
        judge_surface(table.drop(columns="seed"), candidates())
    with pytest.raises(DataError, match="none usable"):
        judge_surface(table.assign(accuracy=math.nan), candidates())
    with pytest.raises(DataError, match="different names"):
        judge_surface(table, candidates().assign(candidate="c"))
    with pytest.raises(DataError, match="one epochs"):
        judge_surface(table.assign(epochs=[1, 2] * (len(table) // 2)), candidates())


def test_the_order_of_the_rows_does_not_matter() -> None:
    table = trained(pool(), 2, 0.02)
    one, other = (judge_surface(rows, candidates()) for rows in (table, table.sample(frac=1, random_state=0)))
    assert one.ties == other.ties
    assert one.value == pytest.approx(other.value)


def place(trials: pd.DataFrame, n: int) -> list[tuple[str, int]]:
    return next_trials(trials, candidates(), pool(), n)


def test_the_first_trainings_carry_a_law_and_the_next_ones_test_it() -> None:
    values = trained(pool(), 4, 0.01).set_index(["candidate", "seed"], drop=False)
    first = place(pd.DataFrame({"candidate": [], "seed": [], "accuracy": []}), 12)
    assert len(set(first)) == 12
    assert len({name for name, _ in first}) == 12
    trials = values.loc[first].reset_index(drop=True)
    surface = fit_surface(trials, candidates())
    assert surface.refusal == ""
    following = place(trials, 5)
    assert not set(first) & set(following)
    assert following == place(trials, 5)
    both = pd.concat([trials, values.loc[following].reset_index(drop=True)])
    assert fit_surface(both, candidates()).fit.pure_df >= MIN_PURE_DF


def test_a_placed_training_lowers_the_variance_more_than_the_others() -> None:
    trials = trained(pool(), 2, 0.02)
    trials = trials[(trials["seed"] == 0) | (trials["candidate"] < "c3")]
    (chosen,) = place(trials, 1)

    def spread(unit: tuple[str, int]) -> float:
        row = pool().set_index("candidate", drop=False).loc[[unit[0]]].assign(seed=unit[1], accuracy=0.8)
        surface = fit_surface(pd.concat([trials, row], ignore_index=True), candidates())
        contrasts = surface.points[:, None] - surface.points[None]
        return float(surface.fit.variances(contrasts.reshape(-1, surface.points.shape[1])).sum())

    others = [(name, 1) for name in pool()["candidate"] if name >= "c3" and (name, 1) != chosen]
    assert spread(chosen) <= np.median([spread(unit) for unit in others])


def test_placement_ends_with_the_pool_and_knows_foreign_trainings() -> None:
    everything = next_trials(trained(pool(), 2, 0.02), candidates(), pool(), 100, max_seeds=2)
    assert everything == []
    foreign = trained(pool(), 2, 0.02).assign(candidate=lambda t: "other " + t["candidate"])
    assert len(place(foreign, 3)) == 3
    failed = trained(pool(), 1, 0.02).assign(accuracy=math.nan)
    assert all(s == 1 for _, s in place(failed, 3))
    with pytest.raises(DataError, match="at least 1"):
        place(failed, 0)
