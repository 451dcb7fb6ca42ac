"""What a grid's page says, as tables and pairs of plain text; the template only lays it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from scalesearch.report.marks import coefficients_text, mark_of
from scalesearch.report.opinion_words import judge_words
from scalesearch.report.page_cells import (
    EVIDENCE_HEADS,
    MISSING,
    Table,
    adjusted_objective,
    count_cell,
    evidence_cells,
    number_cell,
    text_cell,
)
from scalesearch.report.page_facts import baseline_fact, data_fact, objective_formula, time_fact
from scalesearch.units import format_count

__all__ = [
    "candidates_table",
    "facts",
    "family_table",
    "folded_words",
    "leaders_table",
    "proxy_words",
    "region_words",
]

_MOST_LEADERS: Final = 12


def leaders_table(summary: Mapping[str, Any]) -> Table:
    """The winner and all that cannot be told from it."""
    entries = [summary["winner"], *summary["ties"]]
    heads = ("", "rule", "α", "β", "γ", "px", "MACs", "ratio", *EVIDENCE_HEADS)
    rows = []
    for position, entry in enumerate(entries[:_MOST_LEADERS]):
        low, high = entry["accuracy_ci95"]
        evidence = {**entry, "accuracy_low": low, "accuracy_high": high}
        rule = ", ".join(entry["rules"])
        mark = "tied" if position else "best"
        words = ("winner" if len(entries) == 1 else "leads") if mark == "best" else "tied"
        rows.append((mark, (words, rule, *_coefficients(entry), *_cost(entry), *evidence_cells(evidence))))
    more = len(entries) - _MOST_LEADERS
    note = f"{more} more are tied; the table of all candidates has them." if more > 0 else ""
    return Table(heads, tuple(rows), left=2, note=note)


def candidates_table(standings: pd.DataFrame) -> Table:
    """Every trained candidate, in the order of `standings`."""
    heads = (
        "#", "outcome", "rule", "α", "β", "γ", "px", "MACs", "ratio",
        *EVIDENCE_HEADS, "params", "fvcore MACs", "nominal", "why",
    )  # fmt: skip
    words = {str(row["fingerprint"]): coefficients_text(row) for _, row in standings.iterrows()}
    rows = []
    for position, (_, row) in enumerate(standings.iterrows(), start=1):
        outcome = text_cell(row["outcome"])
        why = text_cell(row["why"])
        for fingerprint, coefficients in words.items():
            why = why.replace(fingerprint, coefficients)
        mark = mark_of(outcome, number_cell(adjusted_objective(row)))
        counts = (count_cell(row["params"]), count_cell(row["fvcore_macs"]), f"{row['nominal_product']:.2f}")
        rule = text_cell(row["rule"]).replace("+", ", ")
        cells = (str(position), outcome, rule, *_coefficients(row), *_cost(row), *evidence_cells(row), *counts, why)
        rows.append((mark.name, cells))
    return Table(heads, tuple(rows), left=3, left_last=1)


def family_table(preview: Sequence[Mapping[str, Any]]) -> Table:
    """The family that the winner implies."""
    heads = (
        "φ",
        "depth",
        "width",
        "resolution",
        "nominal px",
        "nominal ratio",
        "realised px",
        "realised ratio",
        "MACs",
    )
    rows = [
        (
            "",
            (
                f"{row['phi']:g}",
                *(f"×{row[name]:.3f}" for name in ("depth", "width", "resolution")),
                str(row["nominal_resolution"]),
                f"{row['nominal_ratio']:.2f}×",
                str(row["realised_resolution"]),
                f"{row['realised_ratio']:.2f}×",
                format_count(row["macs"]),
            ),
        )
        for row in preview
    ]
    return Table(heads, tuple(rows), left=1)


def facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The settings that matter and what the run took, as (name, value)."""
    tolerance = summary.get("tolerance")
    within = f" within {100 * tolerance:g} %" if tolerance is not None and summary["constraint"] == "realised" else ""
    counted = "counted after rounding" if summary["constraint"] == "realised" else "nominal, before rounding"
    failed = f", {summary['n_failed']} failed" if summary["n_failed"] else ""
    target = format_count(summary["ratio"] * summary["target_macs"])
    return [
        ("Budget of the baseline", f"{format_count(summary['target_macs'])} multiply-adds"),
        baseline_fact(summary["baseline"]),
        ("Cost of the candidates", f"{summary['ratio']:g} times the baseline{within}, {counted}"),
        ("Depth rounding", str(summary["depth_rounding"]).replace("_", " ")),
        ("Candidates", f"{summary['n_candidates']} trained, from {summary['n_lattice']} lattice points and the rules"),
        ("Trainings", f"{summary['n_trials']}{failed}"),
        ("Judged by", judge_words(summary)),
        ("Spread between seeds", MISSING if summary["seed_sd"] is None else f"{summary['seed_sd']:.4f} (objective)"),
        ("Objective", objective_formula(summary["objective"], target, "MACs")),
        data_fact(summary["data"]),
        time_fact(summary),
    ]


def proxy_words(summary: Mapping[str, Any]) -> str:
    """What was trained in place of the candidates, in a sentence."""
    proxy = summary["proxy"]
    epochs = f"{proxy['epochs']} epoch{'' if proxy['epochs'] == 1 else 's'}"
    low, high = f"{proxy['ratio_low']:.2f}", f"{proxy['ratio_high']:.2f}"
    spread = f"{low} times" if low == high else f"{low} to {high} times"
    return (
        f"Each candidate was trained as a small stand-in: {100 * proxy['width']:g} % of its width, at a resolution "
        f"that makes the baseline's {proxy['resolution']} px, for {epochs} over {100 * proxy['data_fraction']:g} % of "
        f"the training pictures. The stand-ins cost {spread} that of the baseline "
        f"({format_count(proxy['baseline_macs'])})."
    )


def region_words(winner: Mapping[str, Any]) -> str:
    """How far the winner's coefficients are determined: lattice points that realise the same network."""
    region = winner["region"]
    if len(region) < 2:
        return ""
    ranges = []
    for name, values in zip("αβγ", zip(*region, strict=True), strict=True):
        low, high = f"{min(values):.3g}", f"{max(values):.3g}"
        ranges.append(f"{name} = {low}" if low == high else f"{name} from {low} to {high}")
    return (
        f"{len(region)} lattice points realise this very network ({', '.join(ranges)}): its coefficients are a region."
    )


def folded_words(winner: Mapping[str, Any]) -> str:
    """Networks that were not trained, because their stand-in is the winner's own."""
    names = winner.get("folded") or []
    if not names:
        return ""
    shares = "shares" if len(names) == 1 else "share"
    return f"{_listed(names)} {shares} its proxy, so that the training could not tell them apart."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _coefficients(row: Mapping[str, Any] | pd.Series[Any]) -> tuple[str, ...]:
    return f"{row['alpha']:.3f}", f"{row['beta']:.3f}", f"{row['gamma']:.3f}"


def _cost(row: Mapping[str, Any] | pd.Series[Any]) -> tuple[str, ...]:
    return str(row["resolution"]), count_cell(row["macs"]), f"{row['realised_ratio']:.3f}×"
