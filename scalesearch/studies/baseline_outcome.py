"""What a search found, as tables and a summary; everything is derived from the ledger's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from scalesearch.analysis.pareto import front
from scalesearch.arch.cost import cost_of
from scalesearch.arch.spec import NetSpec, StageSpec
from scalesearch.measure.verify import verify
from scalesearch.studies.baseline_plan import BaselinePlan, genes
from scalesearch.studies.baseline_work import BaselineWork
from scalesearch.studies.race_evidence import RaceEvidence
from scalesearch.studies.search_log import Entry
from scalesearch.studies.search_loop import counts
from scalesearch.studies.sessions import Session, slot_utilisation, wall_seconds
from scalesearch.studies.trial_rows import all_failed, record_columns
from scalesearch.trial import TrialRecord

__all__ = ["BaselineOutcome", "stage_words"]


@dataclass(frozen=True)
class BaselineOutcome:
    """The finished search and everything around it.

    Attributes:
        entries: every ask.
        results: of the search, by trial key, in the order in which they came.
        finals: the race of the best, judged; None where there was none.
        sessions: every session that trained for the run.
        warnings: what was said before the training began.
    """

    plan: BaselinePlan
    work: BaselineWork
    entries: Sequence[Entry]
    results: Mapping[str, TrialRecord]
    finals: RaceEvidence | None
    sessions: tuple[Session, ...]
    warnings: tuple[str, ...] = ()

    def trials(self) -> pd.DataFrame:
        """One row per training: those of the search in the order they came, then those of the finals."""
        order = {key: number for number, key in enumerate(self.results, start=1)}
        asked = sorted((e for e in self.entries if e.key in order), key=lambda e: (order[str(e.key)], e.number))
        rows = []
        for number, entry in enumerate(asked, start=1):
            record = self.results[str(entry.key)]
            spec = self.work.problem.spec(entry.point)
            rows.append(
                self._row(spec, record, entry.cost, number, "search", entry.rung)
                | {"point": " ".join(map(str, entry.point))}
                | dict(genes(self.plan.space, entry.point))
            )
        for (fingerprint, _), record in sorted(self._final_records().items()):
            spec = self._final_spec(fingerprint)
            rung = len(self.work.settings.halving.epochs) - 1
            rows.append(self._row(spec, record, self.work.cost_of(spec), len(rows) + 1, "final", rung))
        return pd.DataFrame(rows, columns=None if rows else ["number", "phase", "objective", "accuracy"])

    def candidates(self) -> pd.DataFrame:
        """One row per ask: what it costs and what became of it."""
        rows = []
        for entry in self.entries:
            spec = self.work.problem.spec(entry.point)
            cost = cost_of(spec)
            rows.append(
                {
                    "number": entry.number,
                    "name": spec.name,
                    "fingerprint": entry.fingerprint,
                    "rung": entry.rung,
                    "kept": "false" if entry.skipped else "true",
                    "reason": entry.skipped,
                    "cost": entry.cost,
                    "macs": cost.macs,
                    "params": cost.params,
                    "activations": cost.activations,
                    "resolution": spec.resolution,
                    "depths": " ".join(map(str, spec.depths)),
                    "widths": " ".join(map(str, spec.widths)),
                    "point": " ".join(map(str, entry.point)),
                    **genes(self.plan.space, entry.point),
                }
            )
        return pd.DataFrame(rows)

    def finalists(self) -> pd.DataFrame:
        """One row per finalist, best first, with its evidence."""
        rows = []
        for entry in self._finalist_entries():
            low, high = entry["accuracy_ci95"]
            objective_low, objective_high = entry["objective_ci95"] or (None, None)
            rows.append(
                {key: value for key, value in entry.items() if key not in ("accuracy_ci95", "objective_ci95", "stages")}
                | {"accuracy_low": low, "accuracy_high": high}
                | {"objective_low": objective_low, "objective_high": objective_high}
            )
        return pd.DataFrame(rows)

    def front(self) -> pd.DataFrame:
        """The networks of the search that no other beats in both accuracy and cost, the cheapest first.

        Only trainings of the longest schedule that any network got are compared.
        """
        frame = self.trials()
        columns = ["number", "name", "fingerprint", "cost", "macs", "params", "activations", "accuracy", "objective"]
        frame = frame[(frame["phase"] == "search") & frame["accuracy"].notna()]
        if frame.empty:
            return pd.DataFrame(columns=[*columns, "epochs"])
        frame = frame[frame["epochs"] == frame["epochs"].max()]
        best: pd.DataFrame = frame.loc[front(frame), [*columns, "epochs"]]
        return best.sort_values("cost", ignore_index=True)

    @cached_property
    def best(self) -> NetSpec:
        """The winner of the finals; without finals the best of the search.

        Raises:
            TrialError: every training failed.
        """
        if self.finals is not None:
            return self._final_spec(self.finals.verdict.winner)
        values = {entry.fingerprint: self._value(entry) for entry in self.entries if entry.key in self.results}
        known = {fingerprint: value for fingerprint, value in values.items() if value is not None}
        if not known:
            raise all_failed(self.results.values())
        chosen = max(known, key=lambda fingerprint: known[fingerprint])
        return self.work.problem.spec(next(e.point for e in self.entries if e.fingerprint == chosen))

    def summary(self) -> dict[str, Any]:
        """What summary.json holds."""
        settings = self.work.settings
        records = [*self.results.values(), *self._final_records().values()]
        finalists = self._finalist_entries()
        base = next((entry for entry in finalists if entry["is_baseline"]), None)
        low, high = settings.bounds
        return {
            "verb": "search",
            "sentence": self._sentence(),
            "warnings": [*self._nothing_learned(), *self.warnings],
            "target_macs": settings.target_macs,
            "cost": settings.cost,
            "target": settings.target,
            "window_low": low,
            "window_high": high,
            "objective": asdict(settings.objective),
            "strategy": settings.strategy,
            "evaluator": settings.evaluator.name,
            "epochs": list(settings.halving.epochs),
            "space": {"size": self.plan.space.size, "dimensions": len(self.plan.space.dimensions)},
            **counts(list(self.entries), self.results),
            "n_finals": len(self._final_records()),
            "n_failed": sum(record.status == "failed" for record in records),
            "best": self._best_entry(),
            "baseline": base,
            "finalists": finalists,
            "ties": [self._final_spec(name).name for name in self.finals.verdict.ties] if self.finals else [],
            "enough_evidence": self.finals.verdict.enough if self.finals else False,
            "front": self.front().to_dict("records"),
            "data": self.work.evaluator.data.facts,
            "proxy": asdict(settings.proxy) if settings.evaluator.name == "train" else None,
            "minutes": settings.minutes,
            "slots": self.sessions[-1].slots if self.sessions else None,
            "wall_seconds": wall_seconds(records, self.sessions),
            "slot_utilisation": slot_utilisation(records, self.sessions),
            "train_seconds": sum(record.train_seconds or 0.0 for record in records),
        }

    @cached_property
    def _fvcore_macs(self) -> int:
        """fvcore's count of the best network at full size, equal to the closed form or an error."""
        return verify(self.best).macs

    def _best_entry(self) -> dict[str, Any]:
        entry = next((e for e in self._finalist_entries() if e["fingerprint"] == self.best.fingerprint), None)
        if entry is None:
            found = next(e for e in self.entries if e.fingerprint == self.best.fingerprint and e.key in self.results)
            record = self.results[str(found.key)]
            evidence = {
                "objective": self._value(found),
                "accuracy_mean": record.accuracy,
                "accuracy_ci95": [None, None],
            }
            entry = self._network(self.best) | evidence | {"p_best": None, "seeds": 1, "outcome": "best"}
        return entry | {"fvcore_macs": self._fvcore_macs}

    def _finalist_entries(self) -> list[dict[str, Any]]:
        """Every finalist, best first."""
        if self.finals is None:
            return []
        names = {unit[0] for unit in self.finals.records}
        estimate = self.finals.verdict.estimate
        ordered = sorted(names, key=lambda name: -estimate.get(name, float("-inf")))
        return [
            self._network(self._final_spec(name)) | self.finals.entry(name) | {"outcome": self.finals.outcome(name)}
            for name in ordered
        ]

    def _network(self, spec: NetSpec) -> dict[str, Any]:
        cost = cost_of(spec)
        base = self.work.base
        return {
            "name": spec.name,
            "fingerprint": spec.fingerprint,
            "is_baseline": base is not None and spec.fingerprint == base.fingerprint,
            "cost": self.work.cost_of(spec),
            "macs": cost.macs,
            "params": cost.params,
            "activations": cost.activations,
            "resolution": spec.resolution,
            "stages": [stage_words(stage) for stage in spec.stages],
        }

    def _row(
        self, spec: NetSpec, record: TrialRecord, cost: float, number: int, phase: str, rung: int
    ) -> dict[str, Any]:
        counted = cost_of(spec)
        return {
            "number": number,
            "phase": phase,
            "rung": rung,
            "fingerprint": spec.fingerprint,
            "name": spec.name,
            "cost": cost,
            "macs": counted.macs,
            "params": counted.params,
            "activations": counted.activations,
            "objective": self.work.objective(record.accuracy, cost),
            **record_columns(record),
        }

    def _sentence(self) -> str:
        if self.finals is None:
            value = self._best_entry()["objective"]
            return (
                f"{self.best.name} is the best of what was asked for (objective {value:.4f}); nothing was trained twice"
            )
        sentence = self.finals.verdict.sentence
        for name in {unit[0] for unit in self.finals.records}:
            sentence = sentence.replace(name, self._final_spec(name).name)
        return f"{sentence}{self._against_base()}"

    def _against_base(self) -> str:
        """How the best compares with the network that the space surrounds, under the same proxy and seeds."""
        base, finals = self.work.base, self.finals
        if finals is None or base is None or base.fingerprint not in finals.verdict.estimate:
            return ""
        if base.fingerprint == finals.verdict.winner:
            return f"; the search found nothing better than {self._base_name()} itself"
        gain = finals.verdict.estimate[finals.verdict.winner] - finals.verdict.estimate[base.fingerprint]
        told = "not told apart from it" if base.fingerprint in finals.verdict.ties else "told apart from it"
        return f"; its objective is {gain:+.4f} against {self._base_name()} under the same proxy and seeds ({told})"

    def _base_name(self) -> str:
        return self.plan.base.name

    def _nothing_learned(self) -> list[str]:
        chance = 1 / len(self.work.evaluator.data.class_names)
        reached = [record.accuracy for record in self.results.values() if record.accuracy is not None]
        best = max(reached, default=0.0)
        if best > 1.5 * chance:
            return []
        return [f"nothing was learned: the best training reaches {best:.1%}, chance is {chance:.1%}; train longer"]

    def _value(self, entry: Entry) -> float | None:
        return self.work.objective(self.results[str(entry.key)].accuracy, entry.cost)

    def _final_records(self) -> Mapping[tuple[str, int], TrialRecord]:
        return self.finals.records if self.finals else {}

    def _final_spec(self, fingerprint: str) -> NetSpec:
        from scalesearch.studies.baseline_work import Finals

        assert self.finals is not None
        assert isinstance(self.finals.work, Finals)
        return self.finals.work.spec(fingerprint)


def stage_words(stage: StageSpec) -> str:
    """A stage in one short line, for example "mbconv e6 k5 se0.25 s2 40x2" (width x depth)."""
    parts = [stage.kind]
    if stage.expansion_ratio != 1:
        parts.append(f"e{stage.expansion_ratio:g}")
    parts.append(f"k{stage.kernel_size}")
    if stage.se_ratio:
        parts.append(f"se{stage.se_ratio:g}")
    if not stage.skip:
        parts.append("noskip")
    return " ".join([*parts, f"s{stage.stride}", f"{stage.width}x{stage.depth}"])
