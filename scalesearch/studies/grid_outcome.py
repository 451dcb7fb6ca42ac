"""What a grid found, as tables, a summary, figures and a page; everything is derived from the ledger's rows."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from scalesearch.analysis.evidence import Verdict, judge
from scalesearch.arch.cost import cost_of
from scalesearch.arch.iso_cost import Candidate
from scalesearch.arch.scaling import CompoundCoefficients
from scalesearch.arch.solve import best_resolution, scaled_by
from scalesearch.data.prepared import PreparedData
from scalesearch.errors import TrialError
from scalesearch.search.race import Race, Standing
from scalesearch.studies.grid_plan import GridPlan, Proxies
from scalesearch.studies.grid_settings import GridSettings
from scalesearch.trial import TrialRecord

__all__ = ["GridOutcome", "phi_preview"]

_TRIAL_COLUMNS = ("status", "accuracy", "loss", "train_loss", "error", "epochs", "steps", "n_train", "n_val", "device")
_TIMING_COLUMNS = ("train_seconds", "seconds", "started_at", "finished_at", "worker", "attempt")


@dataclass(frozen=True)
class GridOutcome:
    """The finished race and everything around it.

    Attributes:
        records: one per (candidate fingerprint, seed).
        values: the objective of the same units; None for a failed training.
        fvcore_macs: fvcore's count per candidate, at full size; empty where it was not asked for.
        slots: of the engine that ran it.
        sessions: start times of every session that worked on the run.
        wall_seconds: of this call, start-up included.
    """

    settings: GridSettings
    grid: GridPlan
    proxies: Proxies
    data: PreparedData
    race: Race
    records: Mapping[tuple[str, int], TrialRecord]
    values: Mapping[tuple[str, int], float | None]
    fvcore_macs: Mapping[str, int]
    slots: int
    sessions: tuple[float, ...]
    wall_seconds: float

    @cached_property
    def candidates(self) -> Mapping[str, Candidate]:
        """Trained candidates by fingerprint."""
        return {candidate.fingerprint: candidate for candidate in self.grid.plan.kept}

    @cached_property
    def accuracies(self) -> Mapping[tuple[str, int], float | None]:
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
        return self._judged(self.values)

    @cached_property
    def accuracy_verdict(self) -> Verdict:
        """The same model fitted to accuracies, for their intervals: two seeds alone tell nothing of their spread."""
        return self._judged(self.accuracies)

    def _judged(self, values: Mapping[tuple[str, int], float | None]) -> Verdict:
        rows = [(name, seed, value) for (name, seed), value in values.items()]
        frame = pd.DataFrame(rows, columns=["candidate", "seed", "value"]).astype({"value": float})
        return judge(frame, confidence=self.settings.race.confidence)

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
        baseline, plan = self.grid.baseline, self.grid.plan
        verdict = self.verdict
        return {
            "verb": "grid",
            "sentence": self._in_words(verdict.sentence),
            "target_macs": self.settings.target_macs,
            "baseline": {
                "name": baseline.name,
                "rescaled_from": self.grid.rescaled_from.name if self.grid.rescaled_from else None,
                "macs": plan.baseline_cost.macs,
                "params": plan.baseline_cost.params,
                "resolution": baseline.resolution,
                "fingerprint": baseline.fingerprint,
            },
            "ratio": self.settings.iso_cost.ratio,
            "constraint": self.settings.iso_cost.constraint,
            "tolerance": self.settings.iso_cost.tolerance,
            "depth_rounding": self.settings.iso_cost.rounding.depth,
            "n_lattice": plan.n_lattice,
            "n_candidates": len(self.candidates),
            "n_trials": len(self.records),
            "n_failed": sum(record.status == "failed" for record in self.records.values()),
            "winner": self.entry(verdict.winner),
            "ties": [self.entry(fingerprint) for fingerprint in verdict.ties],
            "enough_evidence": verdict.enough,
            "seed_sd": verdict.seed_sd,
            "rules": {
                rule: self.entry(candidate.fingerprint)
                for candidate in self.candidates.values()
                for rule in candidate.rules
            },
            "objective": asdict(self.settings.objective),
            "proxy": self._proxy(),
            "data": {
                "name": self.data.name,
                "fingerprint": self.data.fingerprint,
                "classes": len(self.data.class_names),
                "n_train": self.data.n_train,
                "n_val": self.data.n_val,
            },
            "phi_preview": phi_preview(self.grid, self.candidates[verdict.winner], self.settings),
            "slots": self.slots,
            "wall_seconds": self.wall_seconds,
            "slot_utilisation": slot_utilisation(self.records.values(), self.slots, self.sessions),
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
            **{key: value for key, value in entry.items() if key not in ("region", "rules")},
            "rule": "+".join(entry["rules"]),
            "accuracy_low": low,
            "accuracy_high": high,
            "objective_low": objective_low,
            "objective_high": objective_high,
            "proxy_resolution": self.proxies.of[fingerprint].resolution,
            "proxy_ratio": self.proxies.ratio(fingerprint),
            "outcome": outcome,
            "why": standing.reason,
        }

    def _proxy(self) -> dict[str, Any]:
        ratios = [self.proxies.ratio(fingerprint) for fingerprint in self.proxies.of]
        return {
            **asdict(self.settings.proxy),
            "baseline_macs": cost_of(self.proxies.baseline).macs,
            "ratio_low": min(ratios),
            "ratio_high": max(ratios),
            "warnings": list(self.proxies.warnings),
        }

    @staticmethod
    def _of(fingerprint: str, values: Mapping[tuple[str, int], float | None]) -> list[float]:
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


def slot_utilisation(records: Iterable[TrialRecord], slots: int, sessions: Sequence[float]) -> float | None:
    """Time inside trials over slots x wall, from the first start of a trial to the last end; None without times.

    Args:
        sessions: start times; each session has its own wall, because a run that was stopped overnight was not idle.
    """
    busy = wall = 0.0
    spans: dict[int, list[tuple[float, float]]] = {}
    for record in records:
        if record.seconds is not None and record.started_at is not None and record.finished_at is not None:
            busy += record.seconds
            spans.setdefault(bisect(sessions, record.started_at), []).append((record.started_at, record.finished_at))
    for session in spans.values():
        wall += max(end for _, end in session) - min(start for start, _ in session)
    return busy / (slots * wall) if wall > 0 else None


def phi_preview(
    grid: GridPlan, winner: Candidate, settings: GridSettings, phis: Iterable[int] = range(4)
) -> list[dict[str, Any]]:
    """The first members of the winner's family: rounded nominally, and brought to ratio^phi on counted MACs."""
    base, base_macs = grid.baseline, grid.plan.baseline_cost.macs
    coefficients: CompoundCoefficients = winner.coefficients
    rows = []
    for phi in phis:
        at = coefficients.multipliers_at(phi)
        nominal = scaled_by(base, at, settings.iso_cost.rounding)
        ideal = settings.iso_cost.ratio**phi
        side = best_resolution(nominal, ideal * base_macs, low=nominal.total_stride)
        rows.append(
            {
                "phi": phi,
                "depth": at.depth,
                "width": at.width,
                "resolution": at.resolution,
                "ideal_ratio": ideal,
                "nominal_resolution": nominal.resolution,
                "nominal_ratio": cost_of(nominal).macs / base_macs,
                "realised_resolution": side,
                "realised_ratio": cost_of(nominal, resolution=side).macs / base_macs,
                "macs": cost_of(nominal, resolution=side).macs,
            }
        )
    return rows
