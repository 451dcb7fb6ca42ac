"""Fits of the curves: pure functions over one frame of observations, with the refusals of `analysis`.

Observations: one row per point of a curve and seed, with the columns curve, budget (ratio at which the point can be
compared, or NaN), network (fingerprint of what was trained for it), macs, proxy_macs, width, depth, resolution
(realised multiples of the baseline), seed, accuracy (NaN for a failed training), data, recipe.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from scalesearch.analysis.joint_law import fit_joint_law
from scalesearch.analysis.knee import Knee, find_knee, marginal_gain
from scalesearch.analysis.regression import Estimate, regress
from scalesearch.analysis.saturation import SaturationFit, fit_saturation
from scalesearch.errors import DataError

__all__ = ["CurveFit", "fit_lines", "fits_frame", "joint_law_of", "spoken", "trend_of"]

_BAND: Final = 33  # points of a drawn curve


@dataclass(frozen=True, slots=True)
class CurveFit:
    """What one curve says.

    Attributes:
        fit: the saturating curve, identified or not; None where no training of the curve succeeded.
        knee: where a doubling of cost buys too little; None without a fit.
        trend: points of accuracy per doubling of cost, on average over the measured costs; a straight line needs less
            than a curve with a floor, so it is there also where the fit is refused.
        why: what stands in the way of the fit; "" if it is identified.
    """

    curve: str
    fit: SaturationFit | None
    knee: Knee | None
    trend: Estimate | None
    why: str

    @property
    def identified(self) -> bool:
        """Whether the curve's coefficients mean anything."""
        return self.fit is not None and self.fit.identified

    def gains(self, macs: Sequence[float]) -> pd.DataFrame:
        """Points that the doubling from each cost buys, see `marginal_gain`; only where the fit is identified."""
        assert self.fit is not None, "an identified curve has a fit"
        return marginal_gain(self.fit, macs)

    def band(self) -> list[dict[str, float]]:
        """The fitted accuracy over the measured costs with its band, for drawing; empty unless it is identified."""
        if self.fit is None or not self.fit.identified:
            return []
        drawn = self.fit.predict(np.geomspace(self.fit.first_cost, self.fit.last_cost, _BAND))
        accuracy, low, high = 1 - drawn["error"], 1 - drawn["high"], 1 - drawn["low"]
        found = pd.DataFrame({"macs": drawn["cost"], "accuracy": accuracy, "low": low, "high": high})
        return [{str(name): float(value) for name, value in row.items()} for row in found.to_dict(orient="records")]

    def row(self) -> dict[str, Any]:
        """One row of fits.csv."""
        fit, knee = self.fit, self.knee
        row: dict[str, Any] = {"curve": self.curve, "identified": self.identified, "why": self.why}
        for name in ("a", "b", "c"):
            row |= _columns(name, getattr(fit, name) if fit else None)
        row |= _columns("trend", self.trend)
        row |= {
            "knee_state": knee.state if knee else "not known",
            "knee": knee.cost if knee else None,
            "knee_low": knee.low if knee else None,
            "knee_high": knee.high if knee else None,
            "knee_sentence": knee.sentence if knee else self.why,
        }
        for name in ("residual_sd", "r2", "lack_of_fit", "n_rows", "n_costs", "n_seeds", "n_dropped"):
            row[name] = getattr(fit, name) if fit else None
        first, last = (fit.first_cost, fit.last_cost) if fit else (None, None)
        return row | {"first_cost": first, "last_cost": last, "notes": "; ".join(fit.notes) if fit else ""}


def fit_lines(
    observations: pd.DataFrame, lines: Sequence[str], *, points_per_doubling: float, confidence: float
) -> list[CurveFit]:
    """Fit every line, in order."""
    return [
        _fitted(name, observations[observations["curve"] == name], points_per_doubling, confidence) for name in lines
    ]


def fits_frame(fits: Sequence[CurveFit]) -> pd.DataFrame:
    """The table fits.csv."""
    return pd.DataFrame([fit.row() for fit in fits])


def trend_of(rows: pd.DataFrame, confidence: float) -> Estimate | None:
    """Points of accuracy per doubling of cost by least squares with seed effects.

    None with fewer than two costs, or where the accuracy is the same in every row.
    """
    rows = rows[np.isfinite(rows["accuracy"].to_numpy(dtype=np.float64))]
    if rows["macs"].nunique() < 2:
        return None
    doublings = np.log2(rows["macs"].to_numpy(dtype=np.float64) / rows["macs"].min())
    fit = regress(
        np.column_stack([np.ones(len(rows)), doublings]),
        100 * rows["accuracy"].to_numpy(dtype=np.float64),
        pd.factorize(rows["macs"])[0].astype(np.int64),
        pd.factorize(rows["seed"])[0].astype(np.int64),
    )
    if not fit.full_rank or fit.r2 is None:  # an accuracy that never changes has no noise to judge a slope by
        return None
    value = float(fit.coefficients[1])
    half = float(fit.half_widths(np.array([[0.0, 1.0]]), confidence)[0])
    return Estimate(value, value - half, value + half) if np.isfinite(half) else Estimate(value, None, None)


def joint_law_of(observations: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """The law over width, depth and resolution, as plain values; every trained network counts once."""
    rows = observations.drop_duplicates(["network", "seed"])
    try:
        law = fit_joint_law(rows, confidence=confidence)
    except DataError as error:
        return {"identified": False, "why": str(error), "terms": {}}
    return {
        "identified": law.identified,
        "why": law.why,
        "terms": {name: asdict(estimate) for name, estimate in law.terms.items()},
        "r2": law.r2,
        "residual_sd": law.residual_sd,
        "lack_of_fit": law.lack_of_fit,
        "n_networks": law.n_networks,
        "n_seeds": law.n_seeds,
        "n_dropped": law.n_dropped,
    }


def _fitted(curve: str, rows: pd.DataFrame, points: float, confidence: float) -> CurveFit:
    try:
        fit = fit_saturation(rows.assign(cost=rows["macs"]), confidence=confidence)
    except DataError as error:
        why = "no training of this curve succeeded" if rows["accuracy"].notna().sum() == 0 else str(error)
        return CurveFit(curve, None, None, None, f"no curve: {why}")
    return CurveFit(curve, fit, find_knee(fit, points=points), trend_of(rows, confidence), fit.why)


def _columns(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    if estimate is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def spoken(fits: Sequence[CurveFit]) -> Iterator[str]:
    """Where each line stops paying, in words; lines of which nothing is known share one sentence."""
    unknown = []
    for line in fits:
        if line.knee is None or line.knee.state == "not known":
            unknown.append(line.curve)
        else:
            yield f"{line.curve}: {line.knee.sentence}"
    if unknown:
        yield f"where growing stops paying cannot be said for {', '.join(unknown)}, whose fits are refused (fits.csv)"
