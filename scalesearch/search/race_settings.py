"""How far a race goes: plain values, light to import."""

from __future__ import annotations

from dataclasses import dataclass

from scalesearch.errors import ConfigError

__all__ = ["RaceSettings"]


@dataclass(frozen=True, slots=True)
class RaceSettings:
    """How far a race goes.

    Raises:
        ConfigError: a value out of range.
    """

    first_seeds: int = 2  # trainings every candidate gets
    max_seeds: int = 12  # the most one candidate gets
    max_trainings: int | None = None  # of the whole race, failures included; None: 4 per candidate + 28
    keep: float = 0.5  # part of the candidates in the race that the next round trains
    min_survivors: int = 4  # but at least so many, or all that are left
    max_failures: int = 2  # a candidate leaves when its failures outnumber its successes by so many
    confidence: float = 0.95  # see analysis.evidence.judge

    def __post_init__(self) -> None:
        _at_least("race.first_seeds", self.first_seeds, 1)
        _at_least("race.max_seeds", self.max_seeds, self.first_seeds, "first_seeds")
        _at_least("race.min_survivors", self.min_survivors, 2)
        _at_least("race.max_failures", self.max_failures, 1)
        if self.max_trainings is not None:
            _at_least("race.max_trainings", self.max_trainings, 1)
        if not 0 < self.keep <= 1:
            raise ConfigError("race.keep must be above 0 and at most 1", value=self.keep, way_out="use 0.5")
        if not 0.5 <= self.confidence < 1:
            raise ConfigError("race.confidence must be from 0.5 to below 1", value=self.confidence, way_out="use 0.95")

    def budget(self, n_candidates: int) -> int:
        """The most trainings a race between so many candidates may ask for."""
        return 4 * n_candidates + 28 if self.max_trainings is None else self.max_trainings


def _at_least(name: str, value: int, least: int, what: str = "") -> None:
    if value < least:
        rule = f"{name} must be at least {what or least}"
        raise ConfigError(rule, value=value, way_out=f"use {least} or more")
