"""What the finished trainings of a race say about each candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from scalesearch.analysis.evidence import Verdict, judge
from scalesearch.search.race import Race, Standing
from scalesearch.studies.racing import RaceWork, Unit
from scalesearch.studies.trial_rows import all_failed
from scalesearch.trial import TrialRecord

__all__ = ["RaceEvidence"]


@dataclass(frozen=True)
class RaceEvidence:
    """A finished race judged.

    Attributes:
        work: how a training is judged.
        race: over, with its final budget.
        records: one per (candidate fingerprint, seed).
    """

    work: RaceWork
    race: Race
    records: Mapping[Unit, TrialRecord]

    @property
    def max_trainings(self) -> int:
        """The budget as it was in the end."""
        return self.race.max_trainings

    @cached_property
    def values(self) -> Mapping[Unit, float | None]:
        """The objective of every unit; None for a failed training."""
        return {unit: self.work.value(unit[0], record) for unit, record in self.records.items()}

    @cached_property
    def accuracies(self) -> Mapping[Unit, float | None]:
        """Accuracy of every unit; None for a failed training."""
        return {unit: record.accuracy for unit, record in self.records.items()}

    @cached_property
    def verdict(self) -> Verdict:
        """Winner, ties and probabilities.

        Raises:
            TrialError: every training failed.
        """
        if all(value is None for value in self.values.values()):
            raise all_failed(self.records.values())
        return self._judged({unit: value for unit, value in self.values.items() if unit[0] not in self.failed})

    @cached_property
    def failed(self) -> frozenset[str]:
        """Candidates that left the race because their trainings failed: what they scored by luck is no evidence."""
        standing = self.race.standing(self.values)
        failed = frozenset(row.candidate for row in standing if row.state == "failed")
        return failed if len(failed) < len(standing) else frozenset()

    @cached_property
    def accuracy_verdict(self) -> Verdict:
        """The same model fitted to accuracies, for their intervals: two seeds alone tell nothing of their spread."""
        return self._judged(self.accuracies)

    @cached_property
    def standings(self) -> Mapping[str, Standing]:
        """Where each candidate stood when the race was over."""
        return {standing.candidate: standing for standing in self.race.standing(self.values)}

    def entry(self, fingerprint: str) -> dict[str, Any]:
        """The evidence on one candidate: objective, accuracy with interval, probability of being best, seeds."""
        accuracies = self._of(fingerprint, self.accuracies)
        return {
            "objective": _mean(self._of(fingerprint, self.values)),
            "objective_adjusted": self.verdict.estimate.get(fingerprint),
            "objective_ci95": self.verdict.ci95.get(fingerprint),
            "accuracy_mean": _mean(accuracies),
            "accuracy_ci95": list(self.accuracy_verdict.ci95.get(fingerprint) or (None, None)),
            "p_best": self.verdict.p_best.get(fingerprint),
            "seeds": len(accuracies),
        }

    def outcome(self, fingerprint: str) -> str:
        """One word for tables: "best", "tied", or the state in which it left the race."""
        if fingerprint == self.verdict.winner:
            return "best"
        return "tied" if fingerprint in self.verdict.ties else self.standings[fingerprint].state

    def _judged(self, values: Mapping[Unit, float | None]) -> Verdict:
        rows = [(name, seed, value) for (name, seed), value in values.items()]
        frame = pd.DataFrame(rows, columns=["candidate", "seed", "value"]).astype({"value": float})
        return judge(frame, confidence=self.race.settings.confidence)

    @staticmethod
    def _of(fingerprint: str, values: Mapping[Unit, float | None]) -> list[float]:
        return [value for (name, _), value in sorted(values.items()) if name == fingerprint and value is not None]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
