"""What a search proposes, trains and judges: settings, problem, evaluator, and the base network it starts from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from scalesearch.arch.cost import cost_of
from scalesearch.arch.space import Point
from scalesearch.arch.spec import NetSpec
from scalesearch.search.problem import Problem
from scalesearch.store.ledger import Ledger
from scalesearch.store.stored_values import stored_value
from scalesearch.studies.baseline_settings import BaselineSettings
from scalesearch.studies.evaluators import Evaluator
from scalesearch.studies.racing import RaceWork
from scalesearch.trial import TrialRecord, TrialRequest

__all__ = ["BaselineWork", "Finals"]


@dataclass(frozen=True)
class BaselineWork:
    """Everything that turns a point into a trial and a record into a value.

    Attributes:
        base: the network the space surrounds, at its budget; None for a space without one.
        latencies: measured milliseconds by fingerprint, kept in the ledger.
    """

    settings: BaselineSettings
    problem: Problem
    base: NetSpec | None
    evaluator: Evaluator
    ledger: Ledger
    latencies: dict[str, float] = field(default_factory=dict)

    def request(self, point: Point, rung: int) -> TrialRequest:
        """The trial of a point on a rung of the halving; all of the search are trained with the study's first seed."""
        return self.evaluator.request(self.problem.spec(point), 0, self.settings.halving.epochs[rung])

    def cost(self, point: Point) -> float:
        """What the objective counts, in the unit of its target; measured where it is latency."""
        return self.cost_of(self.problem.spec(point))

    def cost_of(self, spec: NetSpec) -> float:
        """The same for any network."""
        if self.settings.cost != "latency":
            return float(getattr(cost_of(spec), self.settings.cost))
        if spec.fingerprint not in self.latencies:
            self.latencies[spec.fingerprint] = self._measured(spec)
        return self.latencies[spec.fingerprint]

    def objective(self, accuracy: float | None, cost: float) -> float | None:
        """ACC * (cost / target)^w; None for a failed training."""
        return None if accuracy is None else self.settings.objective(accuracy, cost, self.settings.target)

    def _measured(self, spec: NetSpec) -> float:
        """Median milliseconds of one pass, measured once per run and network."""
        from scalesearch.measure.latency import latency

        key = f"latency/{spec.fingerprint}"
        median = stored_value(self.ledger, key, lambda found: float(found["median_ms"]), None)
        if median is None:
            how = self.settings.latency
            took = latency(
                spec,
                batch=how.batch,
                threads=how.threads,
                device=how.device,
                warmup=how.warmup,
                repeats=how.repeats,
            )
            self.ledger.set_meta(key, json.dumps(asdict(took)))
            median = took.median_ms
        return median


@dataclass(frozen=True)
class Finals(RaceWork):
    """The race between the best networks of the search and the base: fresh seeds, the longest schedule.

    Fresh, because the finalists were chosen for what they reached with the search's own seed.
    """

    work: BaselineWork
    specs: Sequence[NetSpec]

    def spec(self, fingerprint: str) -> NetSpec:
        """A finalist."""
        return next(spec for spec in self.specs if spec.fingerprint == fingerprint)

    def request(self, fingerprint: str, seed: int) -> TrialRequest:
        return self.work.evaluator.request(self.spec(fingerprint), seed + 1, self.work.settings.halving.epochs[-1])

    def value(self, fingerprint: str, record: TrialRecord) -> float | None:
        return self.work.objective(record.accuracy, self.work.cost_of(self.spec(fingerprint)))

    def name(self, fingerprint: str) -> str:
        return self.spec(fingerprint).name
