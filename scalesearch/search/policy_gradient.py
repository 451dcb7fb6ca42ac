"""MnasNet's controller made factorised: one categorical distribution per dimension, trained by PPO.

Tan et al., arXiv 1807.11626, section 4.2, let a recurrent network write a model token by token and train it with
proximal policy optimisation (Schulman et al., arXiv 1707.06347, equation 7). A space of a few dozen choices and some
hundred samples leave nothing for a recurrent state to learn: here the policy is softmax(logits) per dimension.
"""

from __future__ import annotations

from random import Random
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from scalesearch.arch.space import Point
from scalesearch.errors import ConfigError
from scalesearch.search.problem import Problem
from scalesearch.search.strategy import Outcome, Strategy
from scalesearch.search.within_pool import within_pool

__all__ = ["PolicyGradient"]

Floats: TypeAlias = NDArray[np.float64]


@final
class PolicyGradient(Strategy):
    """Samples from a factorised policy; every `batch` results the policy takes `epochs` clipped steps towards the good.

    A failed training counts as the worst result so far.

    Args:
        problem: what may be proposed.
        seed: of every draw.
        batch: results per update.
        epochs: gradient steps per update.
        learning_rate: of a step on the logits.
        clip: how far a probability ratio may leave 1 before it stops pulling.
        entropy: weight of the entropy bonus, which keeps the policy from closing too early.
        momentum: of the moving baseline and scale of the rewards.
        bound: how far a logit may lie from the mean of its dimension.

    Raises:
        ConfigError: a value out of range.
    """

    def __init__(
        self,
        problem: Problem,
        seed: int = 0,
        *,
        batch: int = 5,
        epochs: int = 4,
        learning_rate: float = 1.0,
        clip: float = 0.2,
        entropy: float = 0.02,
        momentum: float = 0.9,
        bound: float = 2.0,
    ):
        super().__init__(problem, seed)
        if batch < 1 or epochs < 1:
            raise ConfigError("policy_gradient needs batch and epochs of 1 or more", value=f"{batch} and {epochs}")
        if min(learning_rate, clip, bound) <= 0:
            rule = "policy_gradient needs a positive learning_rate, clip and bound"
            raise ConfigError(rule, value=f"{learning_rate}, {clip} and {bound}")
        if entropy < 0 or not 0 <= momentum < 1:
            rule = "policy_gradient needs entropy >= 0 and 0 <= momentum < 1"
            raise ConfigError(rule, value=f"{entropy} and {momentum}")
        self._batch, self._epochs, self._learning_rate = batch, epochs, learning_rate
        self._clip, self._entropy, self._momentum, self._bound = clip, entropy, momentum, bound
        widest = max(problem.cardinalities, default=1)
        # logits [dimensions, choices]; choices that a dimension does not have are -inf
        self._logits: Floats = np.zeros((len(problem.cardinalities), widest))
        for row, n in zip(self._logits, problem.cardinalities, strict=True):
            row[n:] = -np.inf
        self._waiting: list[tuple[Point, float]] = []
        self._worst: float | None = None
        self._moments: tuple[float, float] | None = None  # baseline and variance of the rewards

    def propose(self, rng: Random) -> Point:
        rows = _softmax(self._logits).tolist()
        point = tuple(rng.choices(range(len(row)), row)[0] for row in rows)
        return within_pool(self.problem, point, rng)

    def tell(self, point: Point, outcome: Outcome) -> None:
        value = self._worst if outcome.value is None else outcome.value
        if value is None:
            return
        self._worst = value if self._worst is None else min(value, self._worst)
        self._waiting.append((point, value))
        if len(self._waiting) >= self._batch:
            points, rewards = zip(*self._waiting, strict=True)
            self._update(np.array(points), np.array(rewards))
            self._waiting = []

    def _update(self, points: NDArray[np.int64], rewards: Floats) -> None:
        """PPO's clipped objective plus the entropy bonus; points [batch, dimensions], rewards [batch]."""
        advantages = self._advantages(rewards)
        old = _log_probability(self._logits, points)
        taken = np.eye(self._logits.shape[1])[points]
        for _ in range(self._epochs):
            policy = _softmax(self._logits)
            ratio = np.exp(_log_probability(self._logits, points) - old)
            # a sample pulls until its ratio has moved by `clip` in the direction of its advantage
            pulls = np.where(advantages > 0, ratio < 1 + self._clip, ratio > 1 - self._clip)
            weight = np.where(pulls, ratio * advantages, 0.0)
            gradient = np.einsum("b,bdc->dc", weight, taken - policy) / len(rewards)
            # d entropy / d logit = -p (log p + H)
            log_policy = np.log(np.where(policy > 0, policy, 1.0))
            entropy = -(policy * log_policy).sum(axis=1, keepdims=True)
            gradient -= self._entropy * policy * (log_policy + entropy)
            self._logits = self._bounded(self._logits + self._learning_rate * gradient)

    def _bounded(self, logits: Floats) -> Floats:
        """Logits within `bound` of their dimension's mean, so that no choice is ever given up for good."""
        exists = np.isfinite(logits)
        mean = logits.mean(axis=1, keepdims=True, where=exists)
        bounded: Floats = np.where(exists, np.clip(logits - mean, -self._bound, self._bound), -np.inf)
        return bounded

    def _advantages(self, rewards: Floats) -> Floats:
        """Rewards against their moving baseline, in units of their moving standard deviation."""
        mean, variance = float(rewards.mean()), float(rewards.var())
        if self._moments is not None:
            keep = self._momentum
            mean, variance = (keep * a + (1 - keep) * b for a, b in zip(self._moments, (mean, variance), strict=True))
        self._moments = mean, variance
        # clipped, because one failed training must not undo everything learnt
        advantages: Floats = np.clip((rewards - mean) / max(np.sqrt(variance), 1e-12), -3.0, 3.0)
        return advantages


def _softmax(logits: Floats) -> Floats:
    """Rows that sum to 1."""
    weights: Floats = np.exp(logits - logits.max(axis=1, keepdims=True))
    policy: Floats = weights / weights.sum(axis=1, keepdims=True)
    return policy


def _log_probability(logits: Floats, points: NDArray[np.int64]) -> Floats:
    """Log probability of every point [batch] under the policy."""
    log_policy = np.log(np.maximum(_softmax(logits), 1e-300))
    chosen: Floats = log_policy[np.arange(logits.shape[0]), points].sum(axis=1)
    return chosen
