"""What compound scaling buys at equal realised cost: every other curve and rule against it, ratio by ratio."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from scalesearch.analysis.iso_cost_test import Difference, IsoCostTest, compare_iso_cost
from scalesearch.errors import DataError

__all__ = ["COLUMNS", "REFERENCE", "Comparisons", "compare_curves"]

REFERENCE: Final = "compound"
_JOIN: Final = " = "  # between curves that one network stands for
_PROXY_TOLERANCE: Final = 0.15

#: of comparisons.csv; points, low and high are of accuracy, positive where the reference is better
COLUMNS: Final = (
    *("ratio", "reference", "curve", "points", "low", "high", "effect_size", "p", "p_corrected", "verdict", "seeds"),
    *("cost_ratio", "proxy_cost_ratio"),
)


@dataclass(frozen=True, slots=True)
class Comparisons:
    """The table comparisons.csv, what to be careful about, and the outcome in words ("" where nothing compares)."""

    frame: pd.DataFrame
    warnings: tuple[str, ...]
    sentence: str


def compare_curves(observations: pd.DataFrame, confidence: float) -> Comparisons:
    """Compare the compound curve with every other at each ratio where both were trained.

    Args:
        observations: as `axes_fits` describes them.
        confidence: of intervals and verdicts; p values are corrected for all comparisons of the table.
    """
    rows = observations[observations["budget"].notna()]
    rows = rows[rows["budget"].isin(rows.loc[rows["curve"] == REFERENCE, "budget"])]
    # one network at a budget is one contestant, whatever curves it stands for: it cannot differ from itself
    curves: dict[tuple[float, str], tuple[str, ...]] = {}
    places = list(zip(rows["budget"].astype(float), rows["network"].astype(str), strict=True))
    for place, curve in zip(places, rows["curve"].astype(str), strict=True):
        curves[place] = tuple(dict.fromkeys((*curves.get(place, ()), curve)))
    contestants = rows.assign(axis=[_contestant(curves[place]) for place in places])
    # a curve may meet a budget twice, once by its rule and once by multipliers: the first point counts
    contestants = contestants.drop_duplicates(["budget", "network", "seed"]).drop_duplicates(["budget", "axis", "seed"])
    contestants = contestants[contestants.groupby("budget")["network"].transform("nunique") > 1]
    found: IsoCostTest | None = None
    warnings: tuple[str, ...] = ()
    if len(contestants):
        trials = contestants.assign(cost=contestants["macs"], budget=contestants["budget"].map(_label))
        try:
            found = compare_iso_cost(
                trials[["axis", "budget", "seed", "accuracy", "cost", "data", "recipe"]],
                reference=REFERENCE,
                confidence=confidence,
            )
        except DataError as error:
            warnings = (f"no comparison at equal cost: {error}",)
    differences = found.differences if found else ()
    table = [*(_row(difference, contestants) for difference in differences), *_same(curves)]
    frame = pd.DataFrame(table, columns=list(COLUMNS)).sort_values("ratio", kind="stable", ignore_index=True)
    said = found.warnings if found else ()
    return Comparisons(frame, (*warnings, *said, *_uneven(frame)), _sentence(frame))


def _contestant(curves: tuple[str, ...]) -> str:
    return REFERENCE if REFERENCE in curves else _JOIN.join(curves)


def _label(ratio: float) -> str:
    return f"{ratio:g}x"


def _row(difference: Difference, contestants: pd.DataFrame) -> dict[str, Any]:
    there = contestants[contestants["budget"].map(_label) == difference.budget]
    proxies = there.groupby("axis")["proxy_macs"].first()
    return {
        "ratio": float(there["budget"].iloc[0]),
        "reference": REFERENCE,
        "curve": difference.axis,
        "points": difference.points,
        "low": difference.low,
        "high": difference.high,
        "effect_size": difference.d_z,
        "p": difference.p,
        "p_corrected": difference.p_holm,
        "verdict": difference.verdict,
        "seeds": difference.n_seeds,
        "cost_ratio": difference.cost_ratio,
        "proxy_cost_ratio": float(proxies[REFERENCE] / proxies[difference.axis]),
    }


def _same(networks: Mapping[tuple[float, str], tuple[str, ...]]) -> Iterator[dict[str, Any]]:
    """Curves that have the reference's own network; at ratio 1 all of them have the baseline."""
    for (budget, _), curves in networks.items():
        for curve in curves if REFERENCE in curves and budget != 1.0 else ():
            if curve != REFERENCE:
                yield {"ratio": budget, "reference": REFERENCE, "curve": curve, "verdict": "same network"}


def _sentence(frame: pd.DataFrame) -> str:
    """The outcome in words: what was told apart one by one, the others by their number."""
    parts, n = [], len(frame)
    for verdict, words in (("better", "better than"), ("worse", "worse than")):
        rows = frame[frame["verdict"] == verdict]
        named = zip(rows["curve"], rows["ratio"], rows["points"].astype(float), strict=True)
        if said := ", ".join(f"{curve} at {ratio:g}x ({points:+.1f} points)" for curve, ratio, points in named):
            parts.append(f"is {words} {said}")
    if tied := int((frame["verdict"] == "not told apart").sum()):
        parts.append(f"cannot be told apart in {tied} of {n} comparisons")
    if few := int((frame["verdict"] == "too few seeds").sum()):
        parts.append(f"has too few seeds for {few} of {n} comparisons")
    if same := int((frame["verdict"] == "same network").sum()):
        parts.append(f"is the same network in {same} of {n}")
    return f"at equal cost {REFERENCE} scaling {', and '.join(parts)}" if parts else ""


def _uneven(frame: pd.DataFrame) -> Iterator[str]:
    """Equal cost at full size may still be unequal compute for the networks that were trained."""
    uneven = frame[(frame["proxy_cost_ratio"] - 1).abs() > _PROXY_TOLERANCE]
    if len(uneven):
        cases = ", ".join(
            f"{curve} at {ratio:g}x ({share:.2f})"
            for curve, ratio, share in zip(uneven["curve"], uneven["ratio"], uneven["proxy_cost_ratio"], strict=True)
        )
        yield (
            "compared at equal full-size cost, but the MACs of the trained compound proxy over those of the other's "
            f"are uneven: {cases}"
        )
