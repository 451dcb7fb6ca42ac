"""Where the next trainings tell most about which candidate is best.

Optimal design by greedy choice (Fedorov 1972, Theory of Optimal Experiments; Atkinson, Donev and Tobias 2007, Optimum
Experimental Designs, with SAS, chapters 10 and 11): a training at design row x lowers the variance of a contrast c of
the surface from c'Mc to c'Mc - (c'Mx)^2 / (1 + x'Mx), M the inverse information matrix. The next training is the one
that lowers the weighted sum of the variances of all contrasts "leader minus candidate" most. The weight of a candidate
is its chance of being no worse than the leader (before there is a law: all equal, against their mean), so that
trainings go where candidates are still in question. Rows carry the seed too: a new seed pays for its own effect.

Once the law has enough networks (`SPARE` more than coefficients) and until MIN_PURE_DF repeats exist, only second
seeds of networks trained before are placed, because without repeats the law cannot be tested against noise.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalesearch.analysis.joint_law import AXES, log_coordinates
from scalesearch.analysis.surface import MIN_PURE_DF, Frame, fit_surface, read_candidates
from scalesearch.analysis.usable import usable_rows
from scalesearch.errors import DataError

__all__ = ["MAX_SEEDS", "SPARE", "next_trials"]

MAX_SEEDS = 12  # the most seeds one network gets
SPARE = 2  # networks beyond the number of coefficients before anything is repeated
_WEAK = 1e-4  # prior information on every coefficient: lets the first rows be chosen before the matrix has full rank

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Unit = tuple[str, int]  # name of a network, seed
Place = tuple[int, int]  # its row in the pool, seed


def next_trials(
    trials: pd.DataFrame, candidates: pd.DataFrame, pool: pd.DataFrame, n: int, *, max_seeds: int = MAX_SEEDS
) -> list[Unit]:
    """The next `n` trainings as (network, seed), best first; fewer when the pool is used up.

    A pure function of the tables: the same tables give the same trainings.

    Args:
        trials: trainings so far, failed ones too (accuracy NaN): candidate (name in the pool), seed, accuracy, and
            depth, width, resolution; may be empty.
        candidates: candidate, depth, width, resolution and optionally price, as in `judge_surface`.
        pool: networks that may be trained, usually the candidates and cheaper networks: candidate (name), depth,
            width, resolution.
        n: how many.
        max_seeds: seeds per network.

    Raises:
        DataError: a column is missing, a name occurs twice, or n is not positive.
    """
    if n < 1:
        raise DataError("the number of next trials must be at least 1", value=n)
    names, sizes, _ = read_candidates(pool)
    _, goal, _ = read_candidates(candidates)
    frame = Frame.of(sizes, goal)
    contrasts, weights = _contrasts(frame.design(goal), trials, candidates)
    place = {name: i for i, name in enumerate(names)}
    known = trials["candidate"].astype(str).isin(names) if len(trials) else pd.Series(dtype=bool)
    done = np.zeros((len(names), max_seeds), dtype=np.bool_)
    outside = np.zeros((0, frame.n_terms + max_seeds))
    if len(trials):
        asked = trials[known & (trials["seed"] < max_seeds)]
        done[asked["candidate"].astype(str).map(place).to_numpy(dtype=int), asked["seed"].to_numpy(dtype=int)] = True
        others, _ = usable_rows(trials, [*AXES, "seed"], "trials") if not known.all() else (trials[~known], 0)
        others = others[~others["candidate"].astype(str).isin(names) & (others["seed"] < max_seeds)]
        outside = _with_seed(frame.design(log_coordinates(others, AXES)), others["seed"].to_numpy(dtype=int), max_seeds)
    return [(names[i], s) for i, s in _greedy(frame.design(sizes), outside, done, contrasts, weights, n)]


def _greedy(rows: Floats, outside: Floats, done: Flags, contrasts: Floats, weights: Floats, n: int) -> list[Place]:
    """Choose (network, seed) one at a time; `done` (networks, seeds) is updated."""
    max_seeds = done.shape[1]
    networks, seeds = np.nonzero(done)
    past = np.vstack([outside, _with_seed(rows[networks], seeds, max_seeds)])
    information = _WEAK * np.eye(past.shape[1]) + past.T @ past
    target = np.hstack([contrasts, np.zeros((len(contrasts), max_seeds))])
    chosen: list[Place] = []
    while len(chosen) < n and not done.all():
        trained = np.asarray(done.any(axis=1))
        full = np.asarray(done.all(axis=1))
        # the lowest seed that each network lacks
        lowest = np.argmin(done, axis=1)
        units = _with_seed(rows, lowest, max_seeds)
        gain = np.where(full, -1.0, _gain(units, np.linalg.inv(information), target, weights))
        repeats = int(done.sum()) - int(trained.sum()) - int(done.any(axis=0).sum()) + 1
        if trained.sum() >= rows.shape[1] + SPARE and repeats < MIN_PURE_DF and not full[trained].all():
            gain[~trained] = -1.0
        best = int(np.argmax(gain))
        done[best, lowest[best]] = True
        chosen.append((best, int(lowest[best])))
        information += np.outer(units[best], units[best])
    return chosen


def _gain(units: Floats, inverse: Floats, target: Floats, weights: Floats) -> Floats:
    """(U,) how much each unit lowers the weighted variances of the target contrasts."""
    through = units @ inverse
    leverage = np.einsum("ij,ij->i", through, units)
    return np.asarray((through @ target.T) ** 2 @ weights / (1 + leverage), dtype=np.float64)


def _with_seed(rows: Floats, seeds: Ints, max_seeds: int) -> Floats:
    return np.hstack([rows, np.eye(max_seeds)[seeds]])


def _contrasts(points: Floats, trials: pd.DataFrame, candidates: pd.DataFrame) -> tuple[Floats, Floats]:
    """(K, p) contrasts of the surface and their (K,) weights."""
    equal = np.full(len(points), 1 / len(points))
    against_mean = points - points.mean(axis=0)
    if trials.empty or not np.isfinite(trials["accuracy"].to_numpy(dtype=np.float64)).any():
        return against_mean, equal
    surface = fit_surface(trials, candidates)
    if surface.refusal or surface.fit.sd is None:
        return against_mean, equal
    value = surface.values(surface.fit.coefficients)
    leader = int(value.argmax())
    replicates = surface.values(surface.fit.replicates(500, 0))
    # chance of being at least as good as the leader: wider than the chance of being best of all
    weights = (replicates >= replicates[:, [leader]]).mean(axis=0)
    weights[leader] = 0.0
    return (points[leader] - points, weights) if weights.sum() > 0 else (against_mean, equal)
