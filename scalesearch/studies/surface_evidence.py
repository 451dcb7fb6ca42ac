"""What one law over the finished trainings of a grid says about each candidate, in the shape of a race's evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import pandas as pd

from scalesearch.analysis.evidence import Verdict, judge
from scalesearch.analysis.regression import LACK_OF_FIT
from scalesearch.analysis.surface import SurfaceVerdict
from scalesearch.search.race import Standing
from scalesearch.studies.racing import Unit
from scalesearch.studies.surface_rounds import judged
from scalesearch.studies.surface_work import SurfaceWork
from scalesearch.studies.trial_rows import all_failed
from scalesearch.trial import TrialRecord

__all__ = ["SurfaceEvidence", "raced"]

_WAY_OUT: Final = "the law does not fit: judge the candidates one by one (evidence=race, under another --name)"
_MORE: Final = "raise race.max_trainings or minutes, or judge the candidates one by one (evidence=race)"


@dataclass(frozen=True)
class SurfaceEvidence:
    """Finished trainings judged by one law.

    Attributes:
        work: candidates and cheaper networks.
        max_trainings: the budget as it was in the end.
        records: one per (fingerprint, seed), cheaper networks too, in the order they were asked for.
    """

    work: SurfaceWork
    max_trainings: int
    records: Mapping[Unit, TrialRecord]

    @cached_property
    def values(self) -> Mapping[Unit, float | None]:
        """The objective of every unit; None for a failed training, and for cheaper networks, which have none."""
        return {unit: self.work.value(unit[0], record) for unit, record in self.records.items()}

    @cached_property
    def accuracies(self) -> Mapping[Unit, float | None]:
        """Accuracy of every unit; None for a failed training."""
        return {unit: record.accuracy for unit, record in self.records.items()}

    @cached_property
    def failed(self) -> frozenset[str]:
        """Candidates whose trainings failed; none where all of them did, as in a race."""
        failed = self.work.failed(self.records) & set(self.work.grid.candidates)
        return failed if len(failed) < len(self.work.grid.candidates) else frozenset()

    @cached_property
    def surface(self) -> SurfaceVerdict:
        """The law's verdict.

        Raises:
            TrialError: every training failed, or every candidate's did.
        """
        surface = judged(self.work, self.records)
        if surface is None:
            raise all_failed(self.records.values())
        return surface

    @cached_property
    def verdict(self) -> Verdict:
        """Winner, ties and probabilities; where there is no law, the candidates' own trainings say who leads.

        Raises:
            TrialError: every training failed.
        """
        surface, own = self.surface, raced(self.work.grid.settings.race.confidence, self.values, self.failed)
        if own is not None and len(self.work.grid.candidates) == 1:
            return own
        if surface.winner is None:
            start = f"too little evidence to tell the {len(surface.ties)} candidates apart"
            others = [name for name in surface.ties if own is None or name != own.winner]
            winner = own.winner if own else others.pop(0)
            return Verdict(
                winner=winner,
                ties=tuple(others),
                p_best=own.p_best if own else {},
                estimate=own.estimate if own else {},
                ci95=own.ci95 if own else {},
                n_seeds=self._n_seeds,
                seed_sd=own.seed_sd if own else None,
                enough=False,
                sentence=f"{start}: {surface.sentence}; {_MORE}",
            )
        wrong = surface.lack_of_fit is not None and surface.lack_of_fit < LACK_OF_FIT
        return Verdict(
            winner=surface.winner,
            ties=surface.ties,
            p_best=surface.p_best,
            estimate=surface.value,
            ci95={name: self._objective_interval(name) for name in surface.value},
            n_seeds=self._n_seeds,
            seed_sd=own.seed_sd if own else None,
            enough=surface.enough,
            sentence=f"{surface.sentence}; {_WAY_OUT}" if wrong else surface.sentence,
        )

    @cached_property
    def standings(self) -> Mapping[str, Standing]:
        """Where each candidate stands; the round is not told."""
        return {name: self._standing(name) for name in self.work.grid.candidates}

    def entry(self, fingerprint: str) -> dict[str, Any]:
        """The evidence on one candidate. Under a law, accuracy and its interval are what the law predicts."""
        own = self._of(fingerprint, self.accuracies)
        error, interval = self.surface.error.get(fingerprint), self.surface.ci95.get(fingerprint)
        low, high = (max(0.0, 1 - interval[1]), 1 - interval[0]) if interval else (None, None)
        return {
            "objective": _mean(self._of(fingerprint, self.values)),
            "objective_adjusted": self.verdict.estimate.get(fingerprint),
            "objective_ci95": self.verdict.ci95.get(fingerprint),
            "accuracy_mean": _mean(own) if error is None else 1 - error,
            "accuracy_ci95": [low, high],
            "p_best": self.verdict.p_best.get(fingerprint),
            "seeds": len(own),
        }

    def outcome(self, fingerprint: str) -> str:
        """One word for tables: "best", "tied", "told apart" or "failed"."""
        if fingerprint == self.verdict.winner:
            return "best"
        return self.standings[fingerprint].state

    def _standing(self, name: str) -> Standing:
        verdict = self.verdict
        n, estimate = self._n_seeds[name], verdict.estimate.get(name)
        if name in self.failed:
            return Standing(name, "failed", "its trainings failed", 1, n, estimate)
        if name == verdict.winner:
            return Standing(name, "leader", "", 1, n, estimate)
        best = verdict.estimate.get(verdict.winner)
        gap = "no estimate" if estimate is None or best is None else f"{best - estimate:.4f} behind {verdict.winner}"
        untrained = "" if n else ", known through the law alone"
        if name in verdict.ties:
            return Standing(name, "tied", f"{gap}, not told from it{untrained}", 1, n, estimate)
        return Standing(name, "told apart", f"{gap}{untrained}", 1, n, estimate)

    def _objective_interval(self, name: str) -> tuple[float, float] | None:
        """The interval of the error, as objectives: (1 - error) * price, never below 0."""
        interval, error, value = self.surface.ci95[name], self.surface.error[name], self.surface.value[name]
        if interval is None or error == 1:
            return None
        price = value / (1 - error)
        return max(0.0, (1 - interval[1]) * price), (1 - interval[0]) * price

    @cached_property
    def _n_seeds(self) -> Mapping[str, int]:
        return {name: len(self._of(name, self.accuracies)) for name in self.work.grid.candidates}

    @staticmethod
    def _of(fingerprint: str, values: Mapping[Unit, float | None]) -> list[float]:
        return [value for (name, _), value in sorted(values.items()) if name == fingerprint and value is not None]


def raced(confidence: float, values: Mapping[Unit, float | None], failed: frozenset[str]) -> Verdict | None:
    """The verdict of a race's judge on whatever pairs of candidate and seed there are; None without a value."""
    rows = [(name, seed, value) for (name, seed), value in values.items() if value is not None and name not in failed]
    if not rows:
        return None
    return judge(pd.DataFrame(rows, columns=["candidate", "seed", "value"]), confidence=confidence)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
