"""A Gaussian process over networks, with its predictions kept up to date for one fixed set of candidates.

Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", algorithm 2.1 (the posterior by Cholesky factor)
and equation 5.8 (marginal likelihood). The covariance of two networks is

    1 + a^2 exp(-d^2 / (2 l^2)) + b^2 (1 - m) + c^2 exp(-r m)

with d^2 the mean squared difference of their standardised log sizes and m the share of choices in which they differ.
The terms are an unknown constant; what size is worth, which a handful of trainings show; an effect of every choice by
itself; and how choices act together (an exponential of the Hamming distance). Targets are standardised.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from scalesearch.search.features import Rows

__all__ = ["PRIOR_MODE", "GaussianProcess", "Hyperparameters", "fitted"]

Array = NDArray[np.float64]

_JITTER: Final = 1e-8
_CONSTANT: Final = 1.0  # variance of the unknown constant, in units of the targets' variance
# normal priors of the log parameters: centre, deviation
_PRIOR: Final = np.array(
    [
        [0.0, 1.0],  # a: each term may explain all there is
        [np.log(2.0), 0.7],  # l: two deviations of the pool
        [0.0, 1.0],  # b
        [0.0, 1.0],  # c
        [np.log(2.4), 0.7],  # r: networks with nothing in common are nearly independent
        [np.log(0.1), 0.7],  # noise of one training: a tenth of the spread between networks
    ]
)


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """size_scale a, length l, effect_scale b, choice_scale c, decay r; noise: deviation of one target.

    Scales and noise are in deviations of the targets.
    """

    size_scale: float
    length: float
    effect_scale: float
    choice_scale: float
    decay: float
    noise: float

    def covariance(self, first: Rows, second: Rows) -> Array:
        """Prior covariance, (len(first), len(second))."""
        return self.over(*_distances(first, second))

    def over(self, squares: Array, mismatch: Array) -> Array:
        """Prior covariance where d^2 and m are known."""
        smooth = self.size_scale**2 * np.exp(squares * (-0.5 / self.length**2))
        effects = self.effect_scale**2 * (1 - mismatch)
        return _CONSTANT + smooth + effects + self.choice_scale**2 * np.exp(-self.decay * mismatch)

    @property
    def variance(self) -> float:
        """Prior variance of any network."""
        return _CONSTANT + self.size_scale**2 + self.effect_scale**2 + self.choice_scale**2


#: the hyperparameters before anything is known
PRIOR_MODE: Final = Hyperparameters(*(float(value) for value in np.exp(_PRIOR[:, 0])))


def fitted(rows: Rows, targets: Array, *, steps: int = 30) -> Hyperparameters:
    """The hyperparameters of highest posterior density (type-II maximum likelihood under the priors).

    Always starts from the centre of the priors, so that the result depends on the data alone.

    Args:
        rows, targets: standardised observations.
        steps: of L-BFGS-B.
    """
    distances = _distances(rows, rows)
    centre, deviation = _PRIOR.T
    found = minimize(
        _loss,
        centre,
        args=(*distances, targets),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(centre - 4 * deviation, centre + 4 * deviation, strict=True)),
        options={"maxiter": steps},
    )
    return Hyperparameters(*(float(value) for value in np.exp(found.x)))


class GaussianProcess:
    """The posterior after some observations, at some candidates.

    An observation costs O(observations * candidates), because V = L^-1 K(observed, candidates) grows by one row: the
    posterior mean is V' L^-1 y and the variance is reduced by the sum of squares of V's columns. L^-1 itself is kept,
    because its products need no copies and the noise bounds the condition of L.

    Args:
        parameters: of the covariance.
        observed, targets: what is known; standardised.
        candidates: where predictions are wanted.
        room: observations that may be added without copying.
    """

    def __init__(self, parameters: Hyperparameters, observed: Rows, targets: Array, candidates: Rows, room: int = 64):
        self.parameters, self.observed, self.candidates = parameters, observed, candidates
        n, size = len(observed), len(observed) + room
        self._inverse = np.zeros((size, size))  # L^-1
        self._targets, self._white = np.zeros(size), np.zeros(size)  # y and L^-1 y
        self._targets[:n] = targets
        self._cross = np.zeros((size, len(candidates)))  # V
        gram = parameters.covariance(observed, observed)
        gram[np.diag_indices(n)] += self._noise
        factor = cholesky(gram, lower=True, check_finite=False)
        self._inverse[:n, :n] = solve_triangular(factor, np.eye(n), lower=True, check_finite=False)
        self._white[:n] = self._solve(targets)
        self._cross[:n] = self._solve(parameters.covariance(observed, candidates))
        self.mean = self._white[:n] @ self._cross[:n]
        self.variance = parameters.variance - np.einsum("ij,ij->j", self._cross[:n], self._cross[:n])

    def observe(self, row: Rows, target: float) -> None:
        """Add one observation (one row) with the hyperparameters as they are."""
        n = len(self.observed)
        if n == len(self._white):
            self._grow()
        below = self._solve(self.parameters.covariance(self.observed, row)[:, 0])
        corner = math.sqrt(max(self.parameters.variance + self._noise - float(below @ below), self._noise))
        self._inverse[n, :n], self._inverse[n, n] = -(below @ self._inverse[:n, :n]) / corner, 1 / corner
        self._targets[n] = target
        self._white[n] = (target - below @ self._white[:n]) / corner
        at_candidates = self.parameters.covariance(row, self.candidates)[0]
        self._cross[n] = (at_candidates - below @ self._cross[:n]) / corner
        self.mean = self.mean + self._white[n] * self._cross[n]
        self.variance = self.variance - self._cross[n] ** 2
        self.observed = self.observed.joined(row)

    def recompute(self, columns: list[int]) -> None:
        """Predictions anew where rows of `candidates` were overwritten."""
        n = len(self.observed)
        cross, variance = self._at(self.candidates.take(columns))
        self._cross[:n, columns] = cross
        self.mean[columns] = self._white[:n] @ cross
        self.variance[columns] = variance

    def at(self, rows: Rows, pending: Rows | None = None) -> tuple[Array, Array]:
        """Posterior mean and variance of the noiseless target at other points, as if `pending` were observed."""
        cross, variance = self._at(rows)
        mean = self._white[: len(self.observed)] @ cross
        return mean, variance if pending is None else variance - self._explained(pending, rows, cross)

    def variance_after(self, pending: Rows) -> Array:
        """The candidates' variance once the pending points are observed too.

        The mean stays: a pending point is believed to give its own mean ("kriging believer", Ginsbourger, Le Riche and
        Carraro 2010, section 3.2).
        """
        explained = self._explained(pending, self.candidates, self._cross[: len(self.observed)])
        return np.asarray(self.variance - explained, dtype=np.float64)

    def at_observed(self) -> Array:
        """Posterior mean at the observations: y less noise^2 times the weights K^-1 y."""
        n = len(self.observed)
        return self._targets[:n] - self._noise * (self._white[:n] @ self._inverse[:n, :n])

    def _at(self, rows: Rows) -> tuple[Array, Array]:
        cross = self._solve(self.parameters.covariance(self.observed, rows))
        return cross, self.parameters.variance - np.einsum("ij,ij->j", cross, cross)

    def _explained(self, pending: Rows, rows: Rows, cross: Array) -> Array:
        """What observing the pending points takes from the variance at `rows`, given V's columns there."""
        own, _ = self._at(pending)
        gram = self.parameters.covariance(pending, pending) - own.T @ own
        gram[np.diag_indices(len(pending))] += self._noise
        rest = self.parameters.covariance(pending, rows) - own.T @ cross
        solved = solve_triangular(cholesky(gram, lower=True), rest, lower=True, check_finite=False)
        return np.asarray(np.einsum("ij,ij->j", solved, solved), dtype=np.float64)

    @property
    def _noise(self) -> float:
        return self.parameters.noise**2 + _JITTER

    def _solve(self, right: Array) -> Array:
        """L^-1 times `right`."""
        n = len(self.observed)
        return np.asarray(self._inverse[:n, :n] @ right, dtype=np.float64)

    def _grow(self) -> None:
        size = len(self._white)
        self._inverse = np.pad(self._inverse, ((0, size), (0, size)))
        self._targets, self._white = np.pad(self._targets, (0, size)), np.pad(self._white, (0, size))
        self._cross = np.pad(self._cross, ((0, size), (0, 0)))


def _distances(first: Rows, second: Rows) -> tuple[Array, Array]:
    """d^2 and m of every pair."""
    a, b = first.sizes, second.sizes
    squares = np.einsum("ij,ij->i", a, a)[:, None] + np.einsum("ij,ij->i", b, b)[None] - 2 * (a @ b.T)
    return np.maximum(squares, 0.0), 1 - first.choices @ second.choices.T


def _loss(logs: Array, squares: Array, mismatch: Array, targets: Array) -> tuple[float, Array]:
    """-log posterior density of the log parameters up to a constant, and its gradient (equation 5.9)."""
    parameters = Hyperparameters(*np.exp(logs))
    smooth = parameters.size_scale**2 * np.exp(squares * (-0.5 / parameters.length**2))
    effects = parameters.effect_scale**2 * (1 - mismatch)
    choice = parameters.choice_scale**2 * np.exp(-parameters.decay * mismatch)
    diagonal = np.diag_indices(len(targets))
    gram = _CONSTANT + smooth + effects + choice
    gram[diagonal] += parameters.noise**2 + _JITTER
    try:
        factor = cholesky(gram, lower=True, check_finite=False)
    except LinAlgError:
        return 1e10, np.zeros_like(logs)
    weights = cho_solve((factor, True), targets, check_finite=False)
    inner = cho_solve((factor, True), np.eye(len(targets)), check_finite=False) - np.outer(weights, weights)
    slopes = (
        2 * smooth,
        smooth * squares / parameters.length**2,
        2 * effects,
        2 * choice,
        -choice * mismatch * parameters.decay,
    )
    gradient = [0.5 * float(np.vdot(inner, slope)) for slope in slopes] + [parameters.noise**2 * float(np.trace(inner))]
    off = (logs - _PRIOR[:, 0]) / _PRIOR[:, 1]
    loss = 0.5 * float(targets @ weights) + float(np.log(factor[diagonal]).sum()) + 0.5 * float(off @ off)
    return loss, np.array(gradient) + off / _PRIOR[:, 1]
