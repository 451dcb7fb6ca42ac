"""What the page of a study of axes says, as tables and pairs of plain text; the template only lays it out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from scalesearch.report.page_cells import MISSING, Table, count_cell, number_cell, text_cell
from scalesearch.report.page_facts import baseline_fact, data_fact, time_fact
from scalesearch.report.page_parts import as_sentence
from scalesearch.units import format_count

__all__ = [
    "axes_facts",
    "comparisons_table",
    "fidelity_words",
    "law_table",
    "lines_table",
    "points_table",
    "shared_words",
]

_MARKS: Final = {"better": "best", "worse": "tied"}


def lines_table(summary: Mapping[str, Any]) -> Table:
    """One row per curve: what a doubling buys on average, the fitted curve, and where it stops paying."""
    heads = (
        *("curve", "points per doubling", "95 % interval", "where it stops paying", "interval", "error that stays"),
        *("exponent", "interval", "R²", "points"),
    )
    rows = []
    for fit in summary["fits"]:
        identified = bool(fit["identified"])
        a, c = (number_cell(fit.get(name)) if identified else math.nan for name in ("a", "c"))
        r2 = number_cell(fit.get("r2"))
        cells = (
            text_cell(fit["curve"]),
            _signed(fit.get("trend")),
            _range(fit.get("trend_low"), fit.get("trend_high"), _signed),
            _knee_cell(fit),
            _knee_range(fit),
            MISSING if math.isnan(a) else f"{100 * a:.1f} %",
            MISSING if math.isnan(c) else f"{c:.2f}",
            _range(fit.get("c_low"), fit.get("c_high"), "{:.2f}".format) if identified else MISSING,
            MISSING if math.isnan(r2) or not identified else f"{r2:.3f}",
            count_cell(fit.get("n_costs")),
        )
        rows.append(("" if identified else "told apart", cells))
    points = summary["points_per_doubling"]
    note = (
        f"A curve stops paying where a doubling of cost buys less than {points:g} point{'' if points == 1 else 's'} of "
        "accuracy. Curves are error = a + b·cost^−c; one that the data cannot identify is refused, and has no knee."
    )
    return Table(heads, tuple(rows), left=1, note=note)


def comparisons_table(comparisons: pd.DataFrame) -> Table:
    """Compound against every rule at every ratio."""
    heads = (
        *("cost", "against", "compound is ahead by", "95 % interval", "effect size", "p, corrected", "seeds"),
        *("cost over cost", "verdict"),
    )
    rows = []
    for _, row in comparisons.iterrows():
        effect, p = number_cell(row["effect_size"]), number_cell(row["p_corrected"])
        cost = number_cell(row["cost_ratio"]) if "cost_ratio" in row else math.nan
        cells = (
            f"{row['ratio']:g}×",
            text_cell(row["curve"]),
            _signed(row["points"]),
            _range(row["low"], row["high"], _signed),
            MISSING if math.isnan(effect) else f"{effect:.2f}".replace("-", "−"),
            MISSING if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}",
            count_cell(row["seeds"]),
            MISSING if math.isnan(cost) else f"{cost:.3f}",
            text_cell(row["verdict"]),
        )
        rows.append((_MARKS.get(text_cell(row["verdict"]), ""), cells))
    return Table(heads, tuple(rows), left_last=1, words=(1,))


def points_table(curves: pd.DataFrame) -> Table:
    """Every point, those that were not trained included, with the reason."""
    heads = (
        *("curve", "network", "cost", "MACs", "params", "px", "width", "depth", "resolution", "accuracy"),
        *("95 % interval", "seeds", "why not trained"),
    )
    rows = []
    for _, row in curves.iterrows():
        kept = str(row["kept"]).lower() == "true"
        accuracy, low, high = (number_cell(row[f"accuracy_{name}"]) for name in ("mean", "low", "high"))
        ratio = number_cell(row["ratio"])
        sizes = (number_cell(row[f"{axis}_multiplier"]) for axis in ("width", "depth", "resolution"))
        cells = (
            text_cell(row["curve"]),
            text_cell(row["name"]) or MISSING,
            MISSING if math.isnan(ratio) else f"{ratio:.3f}×",
            count_cell(row["macs"]),
            count_cell(row["params"]),
            MISSING if math.isnan(number_cell(row["resolution"])) else f"{row['resolution']:.0f}",
            *(MISSING if math.isnan(size) else f"{size:.2f}×" for size in sizes),
            MISSING if math.isnan(accuracy) else f"{100 * accuracy:.1f} %",
            MISSING if math.isnan(low) else f"{100 * low:.1f} – {100 * high:.1f} %",
            MISSING if math.isnan(number_cell(row["seeds"])) else f"{row['seeds']:.0f}",
            text_cell(row["reason"]) if not kept else "",
        )
        mark = "" if kept and not math.isnan(accuracy) else "failed"
        rows.append((mark, cells))
    return Table(heads, tuple(rows), left=2, left_last=1)


def law_table(summary: Mapping[str, Any]) -> Table:
    """The exponents of the joint law over width, depth and resolution; no rows where it is not identified."""
    law = summary.get("joint_law") or {}
    terms = {name: term for name, term in (law.get("terms") or {}).items() if name != "1"}
    rows = [
        (
            "",
            (
                name.replace("*", " × "),
                f"{term['value']:+.3f}".replace("-", "−"),
                _range(term.get("low"), term.get("high"), lambda value: f"{value:+.3f}".replace("-", "−")),
            ),
        )
        for name, term in terms.items()
    ]
    r2 = number_cell(law.get("r2"))
    fit = "" if math.isnan(r2) else f"R² {r2:.3f} over {law.get('n_networks')} networks. "
    why = str(law.get("why") or "")
    note = f"{fit}{why[:1].upper()}{why[1:]}{'.' if why and not why.endswith('.') else ''}".strip()
    return Table(("axis", "exponent of the error", "95 % interval"), tuple(rows), left=1, note=note)


def fidelity_words(summary: Mapping[str, Any]) -> str:
    """Whether longer trainings rank networks as the short ones do; empty where that was not looked at."""
    fidelity = summary.get("fidelity")
    if not fidelity:
        return ""
    bias = str(fidelity.get("width_bias_sentence") or "")
    checked = as_sentence(f"Check against {fidelity['epochs']} epochs: {fidelity['sentence']}")
    return f"{checked} {as_sentence(bias)}" if bias else checked


def shared_words(summary: Mapping[str, Any]) -> str:
    """Trainings that were taken from other runs."""
    n, runs = summary.get("n_shared") or 0, summary.get("shared_from") or []
    return f"; {n} taken from {', '.join(map(str, runs))}" if n else ""


def axes_facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The settings that matter and what the run took, as (name, value)."""
    failed = f", {summary['n_failed']} failed" if summary["n_failed"] else ""
    spread = number_cell(summary["seed_sd"])
    return [
        baseline_fact(summary["baseline"]),
        (
            "Points",
            f"{summary['n_networks']} networks trained, each at a cost counted after rounding, within "
            f"{100 * summary['tolerance']:g} % of the one asked for",
        ),
        ("Depth rounding", str(summary["depth_rounding"]).replace("_", " ")),
        ("Trainings", f"{summary['n_trials']}{failed}{shared_words(summary)}"),
        ("Seeds", f"{summary['seeds']} of every network"),
        ("Spread between seeds", MISSING if math.isnan(spread) else f"{100 * spread:.2f} points of accuracy"),
        data_fact(summary["data"]),
        time_fact(summary),
    ]


def _knee_cell(fit: Mapping[str, Any]) -> str:
    knee = number_cell(fit.get("knee"))
    if not math.isnan(knee):
        return format_count(knee)
    state = text_cell(fit.get("knee_state"))
    ends = {"before the first cost": fit.get("first_cost"), "not reached": fit.get("last_cost")}
    end = number_cell(ends.get(state))
    if math.isnan(end):
        return MISSING
    return f"{'beyond' if state == 'not reached' else 'before'} {format_count(end)}"


def _knee_range(fit: Mapping[str, Any]) -> str:
    low, high = number_cell(fit.get("knee_low")), number_cell(fit.get("knee_high"))
    if math.isnan(low) and math.isnan(high):
        return MISSING
    start = "before the first" if math.isnan(low) else format_count(low)
    return f"{start} to {'beyond the last' if math.isnan(high) else format_count(high)}"


def _signed(value: Any) -> str:
    number = number_cell(value)
    return MISSING if math.isnan(number) else f"{number:+.2f}".replace("-", "−")


def _range(low: Any, high: Any, write: Any) -> str:
    ends = number_cell(low), number_cell(high)
    return MISSING if any(math.isnan(end) for end in ends) else f"{write(ends[0])} to {write(ends[1])}"
