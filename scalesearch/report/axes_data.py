"""What the figures of a study of axes are drawn from: points, fitted curves, knees and refusals, as one kind of row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from scalesearch.units import format_count

__all__ = ["AXES", "COLUMNS", "REFERENCE", "curve_rows", "line_names", "paper_rows", "trained"]

AXES: Final = ("width", "depth", "resolution")
REFERENCE: Final = "compound"

#: of the frames behind the figures: `kind` is "point", "fit", "knee", "refusal" or "paper"; accuracies in percent
COLUMNS: Final = (
    *("kind", "curve", "name", "macs", "ratio", "accuracy", "low", "high", "macs_low", "macs_high", "seeds", "words"),
)

# EfficientNet (arXiv 1905.11946), Figure 3: cost of each network over that of B0, counted with the released rounding
_PAPER_COSTS: Final[Mapping[str, Sequence[tuple[float, float]]]] = {
    "width": ((1.4, 1.928), (1.8, 3.048), (2.6, 6.197), (3.8, 13.115), (5, 22.581)),
    "depth": ((2, 2.027), (3, 3.056), (4, 4.082), (6, 6.138), (8, 8.193)),
    "resolution": ((1.3, 1.861), (1.5, 2.315), (1.7, 2.926), (1.9, 3.779), (2.2, 4.984), (2.5, 6.342)),
}


def line_names(fits: pd.DataFrame) -> list[str]:
    """Names of the curves, in order."""
    return [str(name) for name in fits["curve"]] if len(fits) else []


def trained(curves: pd.DataFrame) -> pd.DataFrame:
    """The points that were to be trained; a table that was read again may hold the flag as text."""
    return curves[curves["kept"].astype(str).str.lower() == "true"]


def curve_rows(curves: pd.DataFrame, fits: pd.DataFrame, summary: Mapping[str, Any]) -> pd.DataFrame:
    """Every point, fitted curve, knee and refusal of the lines.

    Args:
        curves: one row per point: `curve, ratio, name, macs, accuracy_mean, accuracy_low, accuracy_high` (0..1),
            `seeds, kept`.
        fits: one row per line: `curve, identified, why, a, b, c, first_cost, last_cost, knee, knee_low, knee_high,
            knee_state`.
        summary: `fits`, whose entries may have a `band` (`macs, accuracy, low, high`, 0..1), and `baseline.macs`.

    Returns:
        The columns `COLUMNS`. Points without a result have no accuracy; low and high are missing with one seed. A knee
        has the interval macs_low to macs_high, open ends at the ends of the curve, which `words` says.
    """
    bands = {str(entry["curve"]): entry.get("band") or [] for entry in summary.get("fits") or ()}
    rows: list[dict[str, Any]] = []
    for _, fit in fits.iterrows():
        curve = str(fit["curve"])
        rows += _points(curves, curve)
        if _flag(fit["identified"]):
            rows += _fitted(fit, bands.get(curve) or [])
            rows += _knee(fit)
        else:
            rows.append({"kind": "refusal", "curve": curve, "words": _reason(fit["why"])})
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = [name for name in COLUMNS if name not in ("kind", "curve", "name", "words")]
    frame = frame.astype(dict.fromkeys(numbers, float))
    frame["ratio"] = frame["ratio"].fillna(frame["macs"] / float(summary["baseline"]["macs"]))
    return frame.fillna({"name": "", "words": ""})


def paper_rows(summary: Mapping[str, Any]) -> pd.DataFrame:
    """The networks of the paper's Figure 3 by their cost alone, because their accuracies are of other data."""
    baseline = summary["baseline"]
    if "efficientnet_b0" not in (baseline["name"], baseline.get("rescaled_from")):
        return pd.DataFrame(columns=list(COLUMNS))
    rows = [
        {"kind": "paper", "curve": curve, "name": f"{curve[0]} = {multiplier:g}", "ratio": ratio, "words": ""}
        for curve, points in _PAPER_COSTS.items()
        for multiplier, ratio in points
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["macs"] = frame["ratio"] * float(baseline["macs"])
    return frame


def _points(curves: pd.DataFrame, curve: str) -> list[dict[str, Any]]:
    rows = trained(curves)
    rows = rows[rows["curve"] == curve].sort_values("macs", kind="stable")
    return [
        {
            "kind": "point",
            "curve": curve,
            "name": str(row["name"]),
            "macs": row["macs"],
            "ratio": row["ratio"],
            "accuracy": _percent(row["accuracy_mean"]),
            "low": _percent(row["accuracy_low"]),
            "high": _percent(row["accuracy_high"]),
            "seeds": row["seeds"],
        }
        for _, row in rows.iterrows()
    ]


def _fitted(fit: pd.Series[Any], band: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The fitted curve with its band, or without one where the summary has none."""
    if band:
        known = [{name: place[name] for name in ("macs", "accuracy", "low", "high")} for place in band]
    else:
        costs = np.geomspace(fit["first_cost"], fit["last_cost"], 33)
        known = [{"macs": cost, "accuracy": _accuracy_at(fit, cost), "low": None, "high": None} for cost in costs]
    shares = ("accuracy", "low", "high")
    return [
        {"kind": "fit", "curve": str(fit["curve"]), "macs": row["macs"], **{k: _percent(row[k]) for k in shares}}
        for row in known
    ]


def _knee(fit: pd.Series[Any]) -> list[dict[str, Any]]:
    first, last, state = float(fit["first_cost"]), float(fit["last_cost"]), str(fit["knee_state"])
    row: dict[str, Any] = {"kind": "knee", "curve": str(fit["curve"])}
    if state != "reached":
        words = {
            "before the first cost": f"knee before {format_count(first)}",
            "not reached": f"no knee up to {format_count(last)}",
        }
        return [row | {"words": words.get(state, f"knee {state}")}]
    cost, low, high = (_number(fit[name]) for name in ("knee", "knee_low", "knee_high"))
    start = "before the first point" if math.isnan(low) else format_count(low)
    end = "beyond the last point" if math.isnan(high) else format_count(high)
    return [
        row
        | {
            "macs": cost,
            "accuracy": _percent(_accuracy_at(fit, cost)),
            "macs_low": first if math.isnan(low) else low,
            "macs_high": last if math.isnan(high) else high,
            "words": f"knee {format_count(cost)} ({start} to {end})",
        }
    ]


def _accuracy_at(fit: pd.Series[Any], cost: float) -> float:
    """1 - error on the curve error = a + b * (cost / first cost)^-c."""
    return float(1 - fit["a"] - fit["b"] * (cost / fit["first_cost"]) ** -fit["c"])


def _reason(why: Any) -> str:
    text = "" if why is None or why != why else str(why)
    return text.removeprefix("no curve: ") or "no fit"


def _flag(value: Any) -> bool:
    return str(value).lower() == "true"


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _percent(value: Any) -> float:
    return 100 * _number(value)
