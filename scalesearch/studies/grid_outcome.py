"""What a grid found, as tables, a summary, figures and a page; everything is derived from the ledger's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from scalesearch.analysis.evidence import Verdict, judge
from scalesearch.arch.iso_cost import Candidate
from scalesearch.errors import TrialError
from scalesearch.search.race import Race, Standing
from scalesearch.studies.family_preview import phi_preview
from scalesearch.studies.grid_work import GridWork, Unit
from scalesearch.studies.sessions import Session, slot_utilisation, wall_seconds
from scalesearch.trial import TrialRecord

__all__ = ["GridOutcome"]

_TRIAL_COLUMNS = ("status", "accuracy", "loss", "train_loss", "error", "epochs", "steps", "n_train", "n_val", "device")
_TIMING_COLUMNS = ("train_seconds", "seconds", "started_at", "finished_at", "worker", "attempt")


@dataclass(frozen=True)
class GridOutcome:
    """The finished race and everything around it.

    Attributes:
        work: what was trained.
        race: over, with its final budget.
        records: one per (candidate fingerprint, seed).
        fvcore_macs: fvcore's count per candidate, at full size; empty where it was not asked for.
        sessions: every session that trained for the run.
    """

    work: GridWork
    race: Race
    records: Mapping[Unit, TrialRecord]
    fvcore_macs: Mapping[str, int]
    sessions: tuple[Session, ...]

    @property
    def candidates(self) -> Mapping[str, Candidate]:
        """Trained candidates by fingerprint."""
        return self.work.candidates

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
            errors = {record.error for record in self.records.values()}
            raise TrialError(f"every training failed: {'; '.join(sorted(filter(None, errors)))[:300]}")
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

    def _judged(self, values: Mapping[Unit, float | None]) -> Verdict:
        rows = [(name, seed, value) for (name, seed), value in values.items()]
        frame = pd.DataFrame(rows, columns=["candidate", "seed", "value"]).astype({"value": float})
        return judge(frame, confidence=self.work.settings.race.confidence)

    def trials(self) -> pd.DataFrame:
        """One row per unit of work, in the order of candidates and seeds."""
        rows = []
        for (fingerprint, seed), record in sorted(self.records.items(), key=self._order):
            candidate = self.candidates[fingerprint]
            row: dict[str, Any] = {
                "fingerprint": fingerprint,
                "name": candidate.spec.name,
                "seed": seed,
                "macs": candidate.cost.macs,
                "objective": self.values[(fingerprint, seed)],
                **{name: getattr(record, name) for name in _TRIAL_COLUMNS},
                "trained_seed": record.seed,
                "trained_fingerprint": record.fingerprint,
                "trained_resolution": record.resolution,
                "trained_macs": record.macs,
                "trained_fvcore_macs": record.fvcore_macs,
                "trained_params": record.params,
                "trained_activations": record.activations,
                "key": record.key,
                "recipe": record.recipe,
                "data": record.data,
                **{name: getattr(record, name) for name in _TIMING_COLUMNS},
            }
            rows.append(row)
        return pd.DataFrame(rows)

    def standings(self) -> pd.DataFrame:
        """One row per trained candidate, best first: accuracy, objective, evidence."""
        states = {standing.candidate: standing for standing in self.race.standing(self.values)}
        rows = [self._standing(fingerprint, states[fingerprint]) for fingerprint in self.candidates]
        frame = pd.DataFrame(rows)
        return frame.sort_values(
            "objective_adjusted", ascending=False, na_position="last", kind="stable", ignore_index=True
        )

    def summary(self) -> dict[str, Any]:
        """What summary.json holds."""
        baseline, plan = self.work.grid.baseline, self.work.grid.plan
        verdict = self.verdict
        return {
            "verb": "grid",
            "sentence": self._in_words(verdict.sentence),
            "warnings": self._warnings(),
            "target_macs": self.work.settings.target_macs,
            "baseline": {
                "name": baseline.name,
                "rescaled_from": self.work.grid.rescaled_from.name if self.work.grid.rescaled_from else None,
                "macs": plan.baseline_cost.macs,
                "params": plan.baseline_cost.params,
                "resolution": baseline.resolution,
                "fingerprint": baseline.fingerprint,
            },
            "ratio": self.work.settings.iso_cost.ratio,
            "constraint": self.work.settings.iso_cost.constraint,
            "tolerance": self.work.settings.iso_cost.tolerance,
            "depth_rounding": self.work.settings.iso_cost.rounding.depth,
            "n_lattice": plan.n_lattice,
            "n_candidates": len(self.candidates),
            "n_trials": len(self.records),
            "failed_candidates": [self.candidates[name].spec.name for name in sorted(self.failed)],
            "n_failed": sum(record.status == "failed" for record in self.records.values()),
            "winner": self.entry(verdict.winner),
            "ties": [self.entry(fingerprint) for fingerprint in verdict.ties],
            "enough_evidence": verdict.enough,
            "seed_sd": verdict.seed_sd,
            "rules": self._rules(),
            "objective": asdict(self.work.settings.objective),
            "proxy": self._proxy(),
            "data": {
                "name": self.work.data.name,
                "fingerprint": self.work.data.fingerprint,
                "classes": len(self.work.data.class_names),
                "n_train": self.work.data.n_train,
                "n_val": self.work.data.n_val,
            },
            "phi_preview": phi_preview(self.work.grid, self.candidates[verdict.winner], self.work.settings),
            "max_trainings": self.race.max_trainings,
            "minutes": self.work.settings.minutes,
            "slots": self.sessions[-1].slots if self.sessions else None,
            "wall_seconds": wall_seconds(self.records.values(), self.sessions),
            "slot_utilisation": slot_utilisation(self.records.values(), self.sessions),
            "train_seconds": sum(record.train_seconds or 0.0 for record in self.records.values()),
        }

    def entry(self, fingerprint: str) -> dict[str, Any]:
        """One candidate with its evidence."""
        candidate, verdict = self.candidates[fingerprint], self.verdict
        c = candidate.coefficients
        accuracies = self._of(fingerprint, self.accuracies)
        objectives = self._of(fingerprint, self.values)
        return {
            "name": candidate.spec.name,
            "alpha": c.alpha,
            "beta": c.beta,
            "gamma": c.gamma,
            "nominal_product": c.nominal_product,
            "macs": candidate.cost.macs,
            "fvcore_macs": self.fvcore_macs.get(fingerprint),
            "realised_ratio": candidate.realised_ratio,
            "params": candidate.cost.params,
            "resolution": candidate.spec.resolution,
            "fingerprint": fingerprint,
            "rules": list(candidate.rules),
            "region": [[r.alpha, r.beta, r.gamma] for r in candidate.region],
            "folded": [folded.spec.name for folded in candidate.folded],
            "objective": _mean(objectives),
            "objective_adjusted": verdict.estimate.get(fingerprint),
            "objective_ci95": verdict.ci95.get(fingerprint),
            "accuracy_mean": _mean(accuracies),
            "accuracy_ci95": list(self.accuracy_verdict.ci95.get(fingerprint) or (None, None)),
            "p_best": verdict.p_best.get(fingerprint),
            "seeds": len(accuracies),
        }

    def _standing(self, fingerprint: str, standing: Standing) -> dict[str, Any]:
        entry = self.entry(fingerprint)
        low, high = entry.pop("accuracy_ci95")
        objective_low, objective_high = entry.pop("objective_ci95") or (None, None)
        is_tied = fingerprint in self.verdict.ties
        outcome = "best" if fingerprint == self.verdict.winner else "tied" if is_tied else standing.state
        return {
            **{key: value for key, value in entry.items() if key not in ("region", "rules", "folded")},
            "rule": "+".join(entry["rules"]),
            "accuracy_low": low,
            "accuracy_high": high,
            "objective_low": objective_low,
            "objective_high": objective_high,
            "proxy_resolution": self.work.proxies.of[fingerprint].resolution,
            "proxy_ratio": self.work.proxies.ratio(fingerprint),
            "outcome": outcome,
            "why": standing.reason,
        }

    def _warnings(self) -> list[str]:
        """What a reader must know before believing the verdict."""
        chance = 1 / len(self.work.data.class_names)
        best = max((accuracy for accuracy in self.accuracies.values() if accuracy is not None), default=0.0)
        nothing = (
            f"nothing was learned: the best training reaches {best:.1%}, chance is {chance:.1%}; "
            "train on more pictures or longer"
        )
        learned = [] if best > 1.5 * chance else [nothing]
        return [*learned, *self.work.proxies.warnings]

    def _rules(self) -> dict[str, Any]:
        """The published rules; one that shares its proxy with another network shows that network's evidence."""
        entries: dict[str, Any] = {}
        for fingerprint, candidate in self.candidates.items():
            entries |= {rule: self.entry(fingerprint) for rule in candidate.rules}
            for folded in candidate.folded:
                own = {"macs": folded.cost.macs, "realised_ratio": folded.realised_ratio, "fvcore_macs": None}
                shared = {"shares_proxy_with": candidate.spec.name}
                entries |= {rule: self.entry(fingerprint) | own | shared for rule in folded.rules}
        return entries

    def _proxy(self) -> dict[str, Any]:
        ratios = [self.work.proxies.ratio(fingerprint) for fingerprint in self.work.proxies.of]
        return {
            **asdict(self.work.settings.proxy),
            "baseline_macs": self.work.proxies.baseline_macs,
            "ratio_low": min(ratios),
            "ratio_high": max(ratios),
        }

    @staticmethod
    def _of(fingerprint: str, values: Mapping[Unit, float | None]) -> list[float]:
        return [value for (name, _), value in sorted(values.items()) if name == fingerprint and value is not None]

    def _order(self, item: tuple[tuple[str, int], TrialRecord]) -> tuple[int, int]:
        (fingerprint, seed), _ = item
        return list(self.candidates).index(fingerprint), seed

    def _in_words(self, sentence: str) -> str:
        """Fingerprints are for machines: name candidates by their coefficients."""
        for fingerprint, candidate in self.candidates.items():
            c = candidate.coefficients
            words = f"({c.alpha:.2f}, {c.beta:.2f}, {c.gamma:.2f})"
            sentence = sentence.replace(fingerprint, f"{'+'.join(candidate.rules)} {words}".strip())
        return sentence


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
