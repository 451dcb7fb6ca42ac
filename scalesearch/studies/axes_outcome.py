"""What a study of axes found, as tables and a summary; everything is derived from the ledger's rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final

import pandas as pd

from scalesearch.analysis.evidence import MIN_SEEDS, Verdict, judge
from scalesearch.arch.cost import cost_of
from scalesearch.store.run_folder import plain_json
from scalesearch.studies.axes_comparisons import REFERENCE, Comparisons, compare_curves
from scalesearch.studies.axes_fidelity import fidelity_of
from scalesearch.studies.axes_fits import CurveFit, fit_lines, fits_frame, joint_law_of, spoken
from scalesearch.studies.axes_frames import observations, trials
from scalesearch.studies.axes_plan import AxisPoint, point_row
from scalesearch.studies.axes_rounds import AxesRecords
from scalesearch.studies.axes_work import AxesWork
from scalesearch.studies.sessions import Session, slot_utilisation, wall_seconds
from scalesearch.studies.trial_rows import all_failed

__all__ = ["CURVE_COLUMNS", "AxesOutcome"]

#: of curves.csv, one row per point, trained or not; gains are points of accuracy that the next doubling of cost buys
CURVE_COLUMNS: Final = (
    *("curve", "ratio", "name", "fingerprint", "macs", "params", "activations", "resolution", "width_multiplier"),
    *("depth_multiplier", "resolution_multiplier", "proxy_resolution", "proxy_macs", "proxy_ratio", "accuracy_mean"),
    *("accuracy_low", "accuracy_high", "error_mean", "seeds", "gain", "gain_low", "gain_high", "gain_measured"),
    *("asked_ratio", "kept", "reason"),
)


@dataclass(frozen=True)
class AxesOutcome:
    """The finished trainings and everything around them.

    Attributes:
        sessions: every session that trained for the run.
    """

    work: AxesWork
    records: AxesRecords
    sessions: tuple[Session, ...]

    def trials(self) -> pd.DataFrame:
        """One row per training."""
        return trials(self.work, self.records)

    @cached_property
    def observations(self) -> pd.DataFrame:
        """One row per trained point of a curve and seed."""
        return observations(self.work, self.records)

    @cached_property
    def verdict(self) -> Verdict:
        """Accuracy of every trained network with its interval, seed effects removed.

        Raises:
            TrialError: every training failed.
        """
        rows = [(name, seed, record.accuracy) for (name, seed), record in self.records.curves.items()]
        if all(accuracy is None for *_, accuracy in rows):
            raise all_failed(self.records.curves.values())
        frame = pd.DataFrame(rows, columns=["candidate", "seed", "value"]).astype({"value": float})
        # n_bootstrap serves the probability of being best, which nobody asks for here
        return judge(frame, confidence=self.work.settings.confidence, n_bootstrap=1)

    @cached_property
    def fits(self) -> list[CurveFit]:
        """What every curve says."""
        settings = self.work.settings
        return fit_lines(
            self.observations,
            self.work.plan.lines,
            points_per_doubling=settings.points_per_doubling,
            confidence=settings.confidence,
        )

    @cached_property
    def compared(self) -> Comparisons:
        """Compound scaling against every axis and rule."""
        return compare_curves(self.observations, self.work.settings.confidence)

    def curves(self) -> pd.DataFrame:
        """One row per point of a curve, those that are not trained included."""
        return pd.DataFrame([self._point(point) for point in self.work.plan.points], columns=list(CURVE_COLUMNS))

    def fits_frame(self) -> pd.DataFrame:
        """One row per curve: fit, knee and average gain."""
        return fits_frame(self.fits)

    def comparisons(self) -> pd.DataFrame:
        """One row per ratio and curve or rule that compound scaling was compared with."""
        return self.compared.frame

    def summary(self) -> dict[str, Any]:
        """What summary.json holds, as plain JSON types: what is missing is None."""
        fidelity = fidelity_of(self.work, self.records)
        found = {
            "verb": "axes",
            "sentence": self._sentence(),
            "warnings": [*self._warnings(), *(fidelity["warnings"] if fidelity else [])],
            "baseline": self._baseline(),
            "reference": REFERENCE,
            "curves": self._curves(),
            "fits": [line.row() | {"band": line.band()} for line in self.fits],
            "knees": {line.curve: asdict(line.knee) if line.knee else None for line in self.fits},
            "comparisons": self.comparisons().to_dict(orient="records"),
            "comparison_sentence": self.compared.sentence,
            "joint_law": joint_law_of(self.observations, self.work.settings.confidence),
            "fidelity": fidelity,
            **self._settings(),
            **self._counts(),
        }
        return dict(plain_json(found))

    def _point(self, point: AxisPoint) -> dict[str, Any]:
        row = point_row(self.work.plan, point)
        if not point.kept or point.spec is None:
            return row
        own = point.spec.fingerprint
        trained = self.work.proxies.stands_for[own]
        found = [self.records.curves[(trained, seed)].accuracy for seed in range(self.records.seeds)]
        accuracies = [accuracy for accuracy in found if accuracy is not None]
        mean = sum(accuracies) / len(accuracies) if accuracies else None
        # where seeds make no difference at all (every net at chance, say) nothing is known of the noise
        measured = (self.verdict.seed_sd or 0.0) > 1e-12
        low, high = (self.verdict.ci95.get(trained) if measured else None) or (None, None)
        return row | {
            "proxy_resolution": self.work.proxies.of[own].resolution,
            "proxy_macs": cost_of(self.work.proxies.of[own]).macs,
            "proxy_ratio": self.work.proxies.ratio(own),
            "accuracy_mean": mean,
            "accuracy_low": low,
            "accuracy_high": high,
            "error_mean": None if mean is None else 1 - mean,
            "seeds": len(accuracies),
            **self._gain(point.curve, cost_of(point.spec).macs),
        }

    def _gain(self, curve: str, macs: int) -> dict[str, Any]:
        """What the doubling that starts at a point buys."""
        line = next((line for line in self.fits if line.curve == curve and line.identified), None)
        if line is None:
            return {"gain": None, "gain_low": None, "gain_high": None, "gain_measured": False}
        gain = line.gains([macs]).iloc[0]
        names = {"gain": "gain", "gain_low": "low", "gain_high": "high", "gain_measured": "measured"}
        return {column: gain[name] for column, name in names.items()}

    def _curves(self) -> list[dict[str, Any]]:
        """The points by curve; a rule that only joins the comparison is a curve without a line."""
        frame = self.curves()
        return [
            {
                "curve": str(name),
                "is_line": name in self.work.plan.lines,
                "n_points": int(rows["kept"].sum()),
                "points": rows.drop(columns="curve").to_dict(orient="records"),
            }
            for name, rows in frame.groupby("curve", sort=False)
        ]

    def _baseline(self) -> dict[str, Any]:
        plan = self.work.plan
        cost = cost_of(plan.baseline)
        return {
            "name": plan.baseline.name,
            "rescaled_from": plan.rescaled_from.name if plan.rescaled_from else None,
            "macs": cost.macs,
            "params": cost.params,
            "resolution": plan.baseline.resolution,
            "fingerprint": plan.baseline.fingerprint,
        }

    def _settings(self) -> Mapping[str, Any]:
        settings = self.work.settings
        ratios = [self.work.proxies.ratio(name) for name in self.work.proxies.of]
        return {
            "points_per_doubling": settings.points_per_doubling,
            "confidence": settings.confidence,
            "depth_rounding": settings.rounding.depth,
            "tolerance": settings.tolerance,
            "proxy": {
                **asdict(settings.proxy),
                "baseline_macs": self.work.proxies.baseline_macs,
                "ratio_low": min(ratios),
                "ratio_high": max(ratios),
            },
            "data": self.work.data.facts,
            "seeds": self.records.seeds,
            "minutes": settings.minutes,
        }

    def _counts(self) -> Mapping[str, Any]:
        records, own = self.records.all, self.records.own
        return {
            "n_networks": len(self.work.proxies.trained),
            "n_trials": len(records),
            "n_check": len(self.records.check),
            "n_shared": len(records) - len(own),
            "shared_from": sorted({self.records.adopted[r.key] for r in records if r.key in self.records.adopted}),
            "n_failed": sum(record.status == "failed" for record in records),
            "seed_sd": self.verdict.seed_sd,
            "slots": self.sessions[-1].slots if self.sessions else None,
            "wall_seconds": wall_seconds(own, self.sessions),
            "slot_utilisation": slot_utilisation(own, self.sessions),
            "train_seconds": sum(record.train_seconds or 0.0 for record in own),
        }

    def _sentence(self) -> str:
        """What pays, until where, and what compound scaling buys at equal cost."""
        parts = [_paid(self.fits), *spoken(self.fits)]
        return "; ".join([*filter(None, parts), self.compared.sentence or "nothing was compared at equal cost"])

    def _warnings(self) -> list[str]:
        """What a reader must know before believing any of it."""
        accuracies = [r.accuracy for r in self.records.curves.values() if r.accuracy is not None]
        chance, best = 1 / len(self.work.data.class_names), max(accuracies, default=0.0)
        found = []
        if best <= 1.5 * chance:
            found.append(
                f"nothing was learned: the best training reaches {best:.1%}, chance is {chance:.1%}; "
                "train on more pictures or longer"
            )
        if self.records.seeds < MIN_SEEDS:
            n = self.records.seeds
            found.append(
                f"{n} seed{'' if n == 1 else 's'}: comparisons need {MIN_SEEDS}, so none has a verdict (seeds.at_least)"
            )
        failed = {self.work.name(name) for (name, _), r in self.records.curves.items() if r.accuracy is None}
        if failed:
            found.append(f"trainings failed and are left out, of {', '.join(sorted(failed))}")
        refused = [f"{line.curve}: {line.why}" for line in self.fits if line.why]
        return [*found, *refused, *self.compared.warnings, *self.work.proxies.warnings]


def _paid(fits: list[CurveFit]) -> str:
    """Points per doubling of cost on average, curve by curve, the largest first."""
    known = sorted((line for line in fits if line.trend), key=lambda line: -line.trend.value if line.trend else 0.0)
    said = []
    for line in known:
        assert line.trend is not None
        low, high = line.trend.low, line.trend.high
        interval = "" if low is None or high is None else f" ({low:+.1f} to {high:+.1f})"
        said.append(f"{line.curve} {line.trend.value:+.1f}{interval}")
    return f"points of accuracy per doubling of cost, on average: {', '.join(said)}" if said else ""
