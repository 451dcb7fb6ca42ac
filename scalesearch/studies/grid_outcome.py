"""What a grid found, as tables, a summary, figures and a page; everything is derived from the ledger's rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from scalesearch.arch.cost import cost_of
from scalesearch.arch.iso_cost import Candidate
from scalesearch.arch.spec import NetSpec
from scalesearch.studies.family_preview import phi_preview
from scalesearch.studies.grid_work import GridWork
from scalesearch.studies.second_opinion import GridEvidence, second_opinion
from scalesearch.studies.sessions import Session, slot_utilisation, wall_seconds
from scalesearch.studies.surface_evidence import SurfaceEvidence
from scalesearch.studies.trial_rows import record_columns
from scalesearch.trial import TrialRecord

__all__ = ["GridOutcome"]


@dataclass(frozen=True)
class GridOutcome:
    """The finished trainings, judged, and everything around them.

    Attributes:
        work: what was trained.
        evidence: the race that is over, or the trainings of one law.
        fvcore_macs: fvcore's count per candidate, at full size; empty where it was not asked for.
        sessions: every session that trained for the run.
    """

    work: GridWork
    evidence: GridEvidence
    fvcore_macs: Mapping[str, int]
    sessions: tuple[Session, ...]

    @property
    def candidates(self) -> Mapping[str, Candidate]:
        """Trained candidates by fingerprint."""
        return self.work.candidates

    def trials(self) -> pd.DataFrame:
        """One row per unit of work, in the order of candidates and seeds, cheaper networks last."""
        rows = []
        for (fingerprint, seed), record in sorted(self.evidence.records.items(), key=self._order):
            spec, macs = self._network(fingerprint)
            row: dict[str, Any] = {
                "fingerprint": fingerprint,
                "name": spec.name,
                "seed": seed,
                "macs": macs,
                "objective": self.evidence.values[(fingerprint, seed)],
                **record_columns(record),
            }
            rows.append(row)
        return pd.DataFrame(rows)

    def standings(self) -> pd.DataFrame:
        """One row per trained candidate, best first: accuracy, objective, evidence."""
        rows = [self._standing(fingerprint) for fingerprint in self.candidates]
        frame = pd.DataFrame(rows)
        return frame.sort_values(
            "objective_adjusted", ascending=False, na_position="last", kind="stable", ignore_index=True
        )

    def summary(self) -> dict[str, Any]:
        """What summary.json holds."""
        baseline, plan = self.work.grid.baseline, self.work.grid.plan
        verdict = self.evidence.verdict
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
            "n_trials": len(self.evidence.records),
            "failed_candidates": [self.candidates[name].spec.name for name in sorted(self.evidence.failed)],
            "n_failed": sum(record.status == "failed" for record in self.evidence.records.values()),
            "winner": self.entry(verdict.winner),
            "ties": [self.entry(fingerprint) for fingerprint in verdict.ties],
            "enough_evidence": verdict.enough,
            "evidence": self.work.settings.evidence,
            "second_opinion": self._second_opinion(),
            "surface": self._surface(),
            "seed_sd": verdict.seed_sd,
            "rules": self._rules(),
            "objective": asdict(self.work.settings.objective),
            "proxy": self._proxy(),
            "data": self.work.data.facts,
            "phi_preview": phi_preview(self.work.grid, self.candidates[verdict.winner], self.work.settings),
            "max_trainings": self.evidence.max_trainings,
            "minutes": self.work.settings.minutes,
            "slots": self.sessions[-1].slots if self.sessions else None,
            "wall_seconds": wall_seconds(self.evidence.records.values(), self.sessions),
            "slot_utilisation": slot_utilisation(self.evidence.records.values(), self.sessions),
            "train_seconds": sum(record.train_seconds or 0.0 for record in self.evidence.records.values()),
        }

    def entry(self, fingerprint: str) -> dict[str, Any]:
        """One candidate with its evidence."""
        return {**self._plain(fingerprint), **self.evidence.entry(fingerprint)}

    def _plain(self, fingerprint: str) -> dict[str, Any]:
        candidate = self.candidates[fingerprint]
        c = candidate.coefficients
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
        }

    def _standing(self, fingerprint: str) -> dict[str, Any]:
        entry = self.entry(fingerprint)
        low, high = entry.pop("accuracy_ci95")
        objective_low, objective_high = entry.pop("objective_ci95") or (None, None)
        return {
            **{key: value for key, value in entry.items() if key not in ("region", "rules", "folded")},
            "rule": "+".join(entry["rules"]),
            "accuracy_low": low,
            "accuracy_high": high,
            "objective_low": objective_low,
            "objective_high": objective_high,
            "proxy_resolution": self.work.proxies.of[fingerprint].resolution,
            "proxy_ratio": self.work.proxies.ratio(fingerprint),
            "outcome": self.evidence.outcome(fingerprint),
            "why": self.evidence.standings[fingerprint].reason,
        }

    def _second_opinion(self) -> dict[str, Any]:
        """The other judge's, over the same trainings."""
        opinion = second_opinion(self.work, self.evidence)
        return {
            "judge": opinion.judge,
            "winner": self._named(opinion.winner) if opinion.winner else None,
            "ties": [self._named(fingerprint) for fingerprint in opinion.ties],
            "enough_evidence": opinion.enough,
            "agrees": opinion.agrees,
            "sentence": self._in_words(opinion.sentence),
            "lack_of_fit": opinion.lack_of_fit,
            "likely_best": [self._named(fingerprint) for fingerprint in opinion.likely],
        }

    def _surface(self) -> dict[str, Any] | None:
        """The law, where it judges; `likely_best` together hold race.confidence of being best."""
        if not isinstance(self.evidence, SurfaceEvidence):
            return None
        surface = self.evidence.surface
        return {
            "n_networks": surface.n_networks,
            "residual_sd": surface.residual_sd,
            "lack_of_fit": surface.lack_of_fit,
            "likely_best": [self._named(name) for name in surface.region] if surface.enough else [],
        }

    def _named(self, fingerprint: str) -> dict[str, Any]:
        """One candidate without its evidence."""
        entry = self._plain(fingerprint)
        return {key: entry[key] for key in ("name", "alpha", "beta", "gamma", "fingerprint", "rules")}

    def _network(self, fingerprint: str) -> tuple[NetSpec, int]:
        """The full-size network behind a training, and its MACs."""
        if isinstance(self.evidence, SurfaceEvidence):
            spec = self.evidence.work.full(fingerprint)
            return spec, cost_of(spec).macs
        return self.candidates[fingerprint].spec, self.candidates[fingerprint].cost.macs

    def _warnings(self) -> list[str]:
        """What a reader must know before believing the verdict."""
        chance = 1 / len(self.work.data.class_names)
        best = max((accuracy for accuracy in self.evidence.accuracies.values() if accuracy is not None), default=0.0)
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

    def _order(self, item: tuple[tuple[str, int], TrialRecord]) -> tuple[int, str, int]:
        (fingerprint, seed), _ = item
        networks = list(self.candidates)
        return (networks.index(fingerprint) if fingerprint in self.candidates else len(networks)), fingerprint, seed

    def _in_words(self, sentence: str) -> str:
        """Fingerprints are for machines: name candidates by their coefficients."""
        for fingerprint, candidate in self.candidates.items():
            c = candidate.coefficients
            words = f"({c.alpha:.2f}, {c.beta:.2f}, {c.gamma:.2f})"
            sentence = sentence.replace(fingerprint, f"{'+'.join(candidate.rules)} {words}".strip())
        return sentence
