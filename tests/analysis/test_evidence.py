"""The verdict: known answers on small tables, and simulated error rates of the rule."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scalesearch.analysis.evidence import LOOKS, Verdict, compare, fit_additive, judge
from scalesearch.errors import ConfigError, DataError, TrialError

NAN = math.nan


def table(matrix: Sequence[Sequence[float]]) -> pd.DataFrame:
    rows = [(f"c{i}", s, v) for i, row in enumerate(matrix) for s, v in enumerate(row)]
    return pd.DataFrame(rows, columns=["candidate", "seed", "value"])


def clear_winner(n_seeds: int, n: int = 4) -> list[list[float]]:
    rng = np.random.default_rng(0)
    values = 0.7 + 0.005 * rng.standard_normal((n, n_seeds)) + 0.02 * rng.standard_normal(n_seeds)
    values[1] += 0.1
    return [list(map(float, row)) for row in values]


def test_balanced_design_has_the_textbook_answer() -> None:
    """Two-way analysis of variance without interaction, by its textbook formulae."""
    values = np.random.default_rng(1).normal(size=(5, 4))
    fit = fit_additive(values)
    residual = values - values.mean(1, keepdims=True) - values.mean(0) + values.mean()
    assert fit.estimate == pytest.approx(values.mean(1))
    assert fit.df == 4 * 3
    assert fit.sd == pytest.approx(math.sqrt((residual**2).sum() / 12))
    assert fit.sd is not None
    assert fit.variance == pytest.approx(np.full(5, 1 / 4))
    result = compare(values)
    others = np.arange(5) != result.leader
    assert result.error[others] == pytest.approx(fit.sd * math.sqrt(2 / 4))


def test_unbalanced_design_equals_least_squares_on_dummy_variables() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(4, 5))
    values[1, 2:] = values[2, 0] = values[3, 4] = NAN
    fit = fit_additive(values)
    cells = np.argwhere(np.isfinite(values))
    design = np.zeros((len(cells), 9))
    design[np.arange(len(cells)), cells[:, 0]] = 1
    design[np.arange(len(cells)), 4 + cells[:, 1]] = 1
    y = values[np.isfinite(values)]
    beta = np.linalg.lstsq(design, y, rcond=None)[0]
    gram = np.linalg.pinv(design.T @ design)
    assert fit.estimate == pytest.approx(beta[:4] + beta[4:].mean())
    assert fit.df == len(cells) - 8
    assert fit.sd == pytest.approx(math.sqrt(((y - design @ beta) ** 2).sum() / fit.df))
    for i in range(4):
        contrast = np.concatenate([np.eye(4)[i], np.full(5, 1 / 5)])
        assert fit.variance[i] == pytest.approx(contrast @ gram @ contrast)


def test_seed_effects_cancel() -> None:
    values = np.random.default_rng(3).normal(size=(4, 6))
    values[2, 3:] = NAN
    shift = np.array([0, 5, -3, 8, 1, -9.0])
    before, after = compare(values), compare(values + shift)
    assert after.gap == pytest.approx(before.gap)
    assert after.fit.sd == pytest.approx(before.fit.sd)
    assert after.apart.tolist() == before.apart.tolist()


def test_the_rule_is_the_t_quantile_shared_between_looks() -> None:
    """Two candidates, four seeds: a paired t test at level 0.05 / LOOKS, two-sided."""
    critical = stats.t.ppf(1 - 0.05 / (2 * LOOKS), 3)
    noise = np.array([0.01, -0.01, 0.02, -0.02])
    error = noise.std(ddof=1) / 2
    for factor, apart in ((0.99, False), (1.01, True)):
        difference = factor * critical * error + noise
        assert compare(np.stack([np.zeros(4), difference])).apart.tolist() == [apart, False]


def test_clear_winner() -> None:
    verdict = judge(table(clear_winner(4)))
    assert (verdict.winner, verdict.ties, verdict.enough) == ("c1", (), True)
    assert verdict.p_best["c1"] > 0.99
    assert verdict.seed_sd == pytest.approx(0.005, rel=0.6)
    assert verdict.sentence.startswith("c1 is best: the 3 others are told apart from it (4 seeds")
    interval = verdict.ci95["c1"]
    assert interval is not None
    assert interval[0] < verdict.estimate["c1"] < interval[1]


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_one_or_two_seeds_name_nobody(n_seeds: int) -> None:
    verdict = judge(table(clear_winner(n_seeds)))
    assert verdict.winner == "c1"
    assert set(verdict.ties) == {"c0", "c2", "c3"}
    assert not verdict.enough
    assert verdict.sentence.startswith("too little evidence to tell the 4 candidates apart: c1 leads after")
    if n_seeds == 1:
        assert verdict.seed_sd is None
        assert set(verdict.ci95.values()) == {None}
        assert set(verdict.p_best.values()) == {0.25}


def test_tie_lists_best_first_and_says_so() -> None:
    values = clear_winner(6)
    values[3] = [a + 0.0005 * (-1) ** s - 0.001 for s, a in enumerate(values[1])]
    verdict = judge(table(values))
    assert (verdict.winner, verdict.ties) == ("c1", ("c3",))
    assert verdict.enough
    assert verdict.sentence.startswith("a tie between 2 of 4 candidates: c1 leads (6 seeds")
    assert "c3 cannot be told from it at 95% confidence" in verdict.sentence


def test_without_any_noise_nothing_is_known_of_it_and_everybody_ties() -> None:
    """Networks at chance give the same accuracy for every seed; differences in price must not make a winner."""
    verdict = judge(table([[0.1 + 0.2] * 4, [0.3] * 4, [0.2] * 4]))
    assert {verdict.winner, *verdict.ties} == {"c0", "c1", "c2"}
    assert not verdict.enough
    assert "seeds make no difference" in verdict.sentence


def test_rounding_tells_nobody_apart() -> None:
    """Equal but for the last bit: gap and residual sd are both rounding errors, and their ratio means nothing."""
    rng = np.random.default_rng(8)
    for _ in range(50):
        values = np.full((int(rng.integers(2, 9)), int(rng.integers(2, 9))), float(rng.random()))
        values[0] = np.nextafter(values[0], 2)
        assert not compare(values).apart.any()


def test_missing_values_stay_missing() -> None:
    values = clear_winner(5)
    values[0] = [NAN] * 5
    values[2][1], values[3][4] = NAN, math.inf
    verdict = judge(table(values))
    assert verdict.n_seeds == {"c0": 0, "c1": 5, "c2": 4, "c3": 4}
    assert set(verdict.estimate) == set(verdict.ci95) == set(verdict.p_best) == {"c1", "c2", "c3"}
    assert verdict.ties == ()
    assert math.isfinite(sum(verdict.estimate.values()))


def test_candidates_without_a_common_seed_are_ties() -> None:
    values = np.full((4, 8), NAN)
    values[:2, :4] = np.array(clear_winner(4))[:2]
    values[2:, 4:] = np.array(clear_winner(4))[2:]
    verdict = judge(table(values.tolist()))
    assert (verdict.winner, set(verdict.ties)) == ("c1", {"c2", "c3"})


def test_row_order_changes_nothing() -> None:
    frame = table(clear_winner(3))
    assert judge(frame) == judge(frame.sample(frac=1, random_state=4))


def test_single_candidate() -> None:
    verdict = judge(table([[0.5, 0.6]]))
    assert (verdict.winner, verdict.ties, verdict.p_best) == ("c0", (), {"c0": 1.0})
    assert verdict.sentence == "c0 is the only candidate with a result (2 seeds)"


def test_p_best_sums_to_one_repeats_and_is_even_between_equals() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=(6, 8))
    values[4:, 3:] = NAN
    first, again = judge(table(values.tolist())), judge(table(values.tolist()))
    assert sum(first.p_best.values()) == pytest.approx(1)
    assert first == again
    mirrored = judge(table([[1.0, 2, 3, 4], [4.0, 3, 2, 1]]))
    assert mirrored.p_best["c0"] == pytest.approx(0.5, abs=0.05)


def test_few_seeds_make_p_best_less_certain() -> None:
    """The same estimates, but the second candidate measured with two seeds instead of eight."""
    rng = np.random.default_rng(6)
    values = rng.normal(size=(4, 8)) * 0.5 + np.array([[1.0], [0.5], [0.0], [0.0]])
    few = values.copy()
    few[1, 2:] = NAN
    gap = fit_additive(values).estimate[[0, 1]] @ [1, -1]
    few[1, :2] += fit_additive(few).estimate[[0, 1]] @ [1, -1] - gap
    assert fit_additive(few).estimate[[0, 1]] @ [1, -1] == pytest.approx(gap)
    assert judge(table(few.tolist())).p_best["c1"] > 2 * judge(table(values.tolist())).p_best["c1"]


@pytest.mark.parametrize("lost", [0, 9])
def test_p_best_agrees_with_the_standard_error(lost: int) -> None:
    """Two candidates far ahead of six: the chance of the second is that of its gap to be below zero."""
    rng = np.random.default_rng(9)
    values = rng.normal(size=(8, 12)) + 0.5 * rng.normal(size=12)
    values[:2] += 20
    values[1, 12 - lost :] = NAN
    fit = compare(values)
    values[1] += fit.fit.estimate[0] - fit.fit.estimate[1] - 0.3
    result = compare(values)
    assert result.gap[1] == pytest.approx(0.3)
    expected = stats.norm.cdf(-result.gap[1] / result.error[1])
    assert judge(table(values.tolist())).p_best["c1"] == pytest.approx(expected, abs=0.07)


def test_errors() -> None:
    with pytest.raises(TrialError, match="no training succeeded"):
        judge(table([[NAN, NAN], [NAN, math.inf]]))
    with pytest.raises(TrialError, match="no training succeeded"):
        judge(table([]))
    frame = table([[1.0]])
    with pytest.raises(DataError, match="no seed"):
        judge(frame.drop(columns="seed"))
    with pytest.raises(DataError, match="twice"):
        judge(pd.concat([frame, frame]))
    with pytest.raises(ConfigError, match="confidence"):
        judge(frame, confidence=95)


def test_error_rates_with_all_seeds_of_all_candidates() -> None:
    """Without a race (one look): intervals cover, and two equal leaders rarely lose one to the other."""
    rng = np.random.default_rng(7)
    quality = np.array([2, 2, 0, 0, 0, 0.0])
    covered = lone = both = 0
    for _ in range(400):
        values = quality[:, None] + rng.normal(size=6) + rng.normal(size=(6, 6))
        result = compare(values)
        half = stats.t.ppf(0.975, result.fit.df) * (result.fit.sd or 0) * math.sqrt(result.fit.variance[2])
        covered += abs(result.fit.estimate[2] - quality[2] - (values - quality[:, None]).mean(0).mean()) < half
        lone += result.apart.sum() == 5
        both += not result.apart[:2].any()
    assert covered / 400 >= 0.93
    assert lone / 400 < 0.02  # 0.05 / LOOKS = 0.006 is the rate of one look
    assert both / 400 > 0.98


def test_verdict_is_frozen() -> None:
    verdict = judge(table(clear_winner(3)))
    assert isinstance(verdict, Verdict)
    with pytest.raises(AttributeError):
        verdict.winner = "c0"  # type: ignore[misc]
