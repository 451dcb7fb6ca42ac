"""Which (candidate, seed) to train next: paired seeds, halving, and more seeds only for those still in the race.

All candidates start with the same `first_seeds`. After every round the candidates told apart from the leader leave the
race (`analysis.evidence.compare`, the rule that also gives the final verdict). Of the others only the better half goes
on: in round r it is brought up to first_seeds + r - 1 seeds, always the lowest seeds it lacks, so that it meets the
leader on seeds the leader already has. The worse half waits, and moves up when places become free. The race is over
when the leader is alone (and has MIN_SEEDS seeds), when everyone in the race has `max_seeds`, or when the budget is
used up; what is then still not told apart is a tie.

This is successive halving (Karnin et al. 2013; Jamieson and Talwalkar 2016) with elimination by evidence instead of
by rank (racing: Maron and Moore 1994), because a candidate cut by rank alone has been told from nobody.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from scalesearch.analysis.evidence import MIN_SEEDS, Comparison, Flags, Floats, compare
from scalesearch.errors import ConfigError
from scalesearch.search.race_settings import RaceSettings

__all__ = ["Race", "RaceSettings", "Standing"]

Unit = tuple[str, int]
Results = Mapping[Unit, float | None]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one candidate stands after the last complete round."""

    candidate: str
    state: str  # "not started", "leader", "in race", "waiting", "told apart", "tied" (race over) or "failed"
    reason: str  # plain words for tables; "" for the leader
    round: int  # round after which it came to this state, 1 for the first
    n_seeds: int  # trainings that succeeded
    estimate: float | None  # adjusted mean objective


@dataclass(slots=True)
class _Replay:
    """The race as far as the results carry it; rows are candidates, columns seeds."""

    values: Floats  # NaN: failed or not asked for
    asked: Flags
    missing: list[Unit] = field(default_factory=list)  # of the current round
    history: list[list[tuple[str, str]]] = field(default_factory=list)  # (state, reason) per candidate, after a round
    last: Comparison | None = None  # after the last complete round


class Race:
    """A race between candidates; every method is a pure function of the results it is given."""

    def __init__(self, candidates: Sequence[str], settings: RaceSettings | None = None):
        """Start a race; the order of the candidates breaks exact ties.

        Raises:
            ConfigError: no candidate, one twice, or a budget that cannot train each of them once.
        """
        self.candidates, self.settings = tuple(candidates), settings or RaceSettings()
        if not self.candidates or len(set(self.candidates)) < len(self.candidates):
            raise ConfigError("a race needs one or more different candidates", value=list(self.candidates))
        self.max_trainings = self.settings.budget(len(self.candidates))
        if self.max_trainings < len(self.candidates):
            way_out = f"allow at least {len(self.candidates)} trainings or have fewer candidates"
            raise ConfigError(
                "race.max_trainings must be at least one per candidate", value=self.max_trainings, way_out=way_out
            )

    def next_round(self, results: Results) -> list[Unit]:
        """The (candidate, seed) units of the current round that have no result yet; [] when the race is over.

        `results` maps finished units to their objective, None (or NaN) for a failed training. A failed unit counts as
        done and is not made up for by another seed. A result that the race would ask for later saves that training
        but takes part in no decision before, so that a resumed race repeats the decisions of an uninterrupted one.
        """
        return self._replay(results).missing

    def units(self, results: Results) -> list[Unit]:
        """All units asked for so far, in the current round too; never more than `max_trainings`."""
        asked = self._replay(results).asked
        return [(self.candidates[i], int(s)) for i, s in zip(*np.nonzero(asked), strict=True)]

    def standing(self, results: Results) -> list[Standing]:
        """Every candidate's state after the last complete round, in the order the candidates were given."""
        replay = self._replay(results)
        rows = []
        for i, name in enumerate(self.candidates):
            past = [after[i] for after in replay.history]
            state, reason = past[-1] if past else ("not started", "its first seeds are not finished")
            since = len(past)
            while since > 1 and past[since - 2][0] == state:
                since -= 1
            estimate = math.nan if replay.last is None else float(replay.last.fit.estimate[i])
            n_seeds = int(np.isfinite(replay.values[i]).sum())
            rows.append(Standing(name, state, reason, since, n_seeds, None if math.isnan(estimate) else estimate))
        return rows

    def _replay(self, results: Results) -> _Replay:
        """Play the race from the start, each decision on the units asked for before it."""
        shape = (len(self.candidates), self.settings.max_seeds)
        replay = _Replay(np.full(shape, math.nan), np.zeros(shape, dtype=np.bool_))
        new = np.zeros(shape, dtype=np.bool_)
        new[:, : min(self.settings.first_seeds, self.max_trainings // len(self.candidates))] = True
        while new.any():
            replay.asked |= new
            replay.missing = self._read(results, new, replay.values)
            if replay.missing:
                return replay
            new, states = self._decide(replay)
            replay.history.append(states)
        return replay

    def _read(self, results: Results, new: Flags, values: Floats) -> list[Unit]:
        """Copy the results of the new units to `values`; return the units without one, seed by seed."""
        missing = []
        for s, i in np.argwhere(new.T):
            unit = (self.candidates[i], int(s))
            if unit not in results:
                missing.append(unit)
                continue
            value = results[unit]
            values[i, s] = value if value is not None and math.isfinite(value) else math.nan
        return missing

    def _decide(self, replay: _Replay) -> tuple[Flags, list[tuple[str, str]]]:
        """The units of the next round, and every candidate's state after this one."""
        settings, asked = self.settings, replay.asked
        succeeded = np.isfinite(replay.values).sum(axis=1)
        failures = asked.sum(axis=1) - succeeded
        failed = failures - succeeded >= settings.max_failures
        none = np.zeros_like(asked)
        if failed.all() or not succeeded[~failed].any():
            return none, [("failed", _plural(int(n), "failed training")) for n in failures]
        replay.last = result = compare(np.where(failed[:, None], math.nan, replay.values), settings.confidence)
        in_race = ~failed & ~result.apart
        if in_race.sum() == 1 and succeeded[result.leader] < MIN_SEEDS:
            # a leader that is alone too early to be called meets the next best until it has enough seeds
            in_race |= result.gap == np.where(in_race | failed, math.inf, result.gap).min()
        chosen = self._choose(in_race, result, replay) if in_race.sum() > 1 else none
        goes_on = bool(chosen.any())
        return chosen, [
            ("failed", _plural(int(failures[i]), "failed training"))
            if failed[i]
            else self._state(i, result, bool(chosen[i].any()), goes_on)
            for i in range(len(self.candidates))
        ]

    def _choose(self, in_race: Flags, result: Comparison, replay: _Replay) -> Flags:
        """The better part of those in the race, brought up to the target; within the budget, best first."""
        settings, asked = self.settings, replay.asked
        estimate = np.where(np.isnan(result.fit.estimate), -math.inf, result.fit.estimate)
        ranked = [int(i) for i in np.argsort(-estimate, kind="stable") if in_race[i]]
        places = max(settings.min_survivors, math.ceil(settings.keep * len(ranked)))
        left = self.max_trainings - int(asked.sum())
        # one seed more than in the last round, so that all lack one, until some have max_seeds and make way
        target = min(settings.first_seeds + len(replay.history) + 1, settings.max_seeds)
        short = [i for i in ranked if not asked[i, :target].all()]
        chosen = np.zeros_like(asked)
        for i in short[:places]:
            want = np.flatnonzero(~asked[i, :target])[:left]
            chosen[i, want] = True
            left -= want.size
        # a seed with one candidate compares nobody
        chosen[:, (asked | chosen).sum(axis=0) < 2] = False
        return chosen

    def _state(self, i: int, result: Comparison, chosen: bool, goes_on: bool) -> tuple[str, str]:
        leader = self.candidates[result.leader]
        if i == result.leader:
            return "leader", ""
        gap = "no result yet" if math.isnan(result.gap[i]) else f"{result.gap[i]:.4f} behind {leader}"
        if result.apart[i] and not chosen:
            errors = result.gap[i] / result.error[i] if result.error[i] > 0 else math.inf
            return "told apart", f"{gap}, {errors:.1f} standard errors"
        if not goes_on:
            return "tied", f"{gap}, not told from it within the budget"
        return ("in race", gap) if chosen else ("waiting", f"{gap}, not among those that go on first")


def _plural(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
