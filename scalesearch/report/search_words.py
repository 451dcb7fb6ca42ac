"""What a search will do and what it found, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from scalesearch.report.metrics import metric_of
from scalesearch.report.tables import aligned
from scalesearch.units import format_count, format_seconds

__all__ = ["search_words", "space_words"]

_MOST_FINALISTS: Final = 12


def search_words(summary: Mapping[str, Any], path: Path) -> str:
    """What a search found.

    Args:
        summary: what summary.json holds.
        path: of the run folder.
    """
    best, finalists = summary["best"], summary.get("finalists") or []
    lines = [summary["sentence"], *(f"note: {warning}" for warning in summary["warnings"])]
    if finalists:
        lines += ["", _finalists_text(finalists, summary)]
        if (more := len(finalists) - _MOST_FINALISTS) > 0:
            lines.append(f"... and {more} more; all of them are in finalists.csv")
    lines += ["", _best_text(best, summary)]
    lines += [f"  {stage}" for stage in best.get("stages") or ()]
    lines += [
        "",
        _counts_text(summary),
        f"next: scalesearch grid --baseline {path / 'best.json'}",
        f"report: {path / 'report.html'}",
    ]
    return "\n".join(lines)


def space_words(sentence: str, overview: Mapping[str, Any]) -> str:
    """What a search will do: the space's choices, and the costs that it reaches.

    Args:
        sentence: the search in a few words.
        overview: `dimensions` (choices by name), `reach` (smallest and largest cost by its name), and `drawn,
            drawn_macs` (how many networks within the budget were drawn, and their smallest, median and largest MACs).
    """
    body = [(name, " ".join(map(str, choices))) for name, choices in overview["dimensions"].items()]
    reach = [(name, format_count(low), format_count(high), "") for name, (low, high) in overview["reach"].items()]
    lines = [sentence, "", aligned([("dimension", "choices"), *body], left=1)]
    lines += ["", aligned([("the whole space reaches", "from", "to", ""), *reach], left=1)]
    low, middle, high = (format_count(macs) for macs in overview["drawn_macs"])
    lines.append(
        f"{overview['drawn']} networks drawn within the budget: {low} to {high} MACs, half of them up to {middle}"
    )
    return "\n".join(lines)


def _finalists_text(finalists: list[Mapping[str, Any]], summary: Mapping[str, Any]) -> str:
    metric = metric_of(summary["cost"])
    measured = () if metric.name == "macs" else (metric.head,)
    header = ("finalist", "outcome", "MACs", *measured, "objective", "accuracy", "95 % interval", "p best", "seeds", "")
    body = []
    for row in finalists[:_MOST_FINALISTS]:
        low, high = row.get("accuracy_ci95") or (None, None)
        cost = () if metric.name == "macs" else (metric.format(row["cost"]),)
        objective = row.get("objective_adjusted", row.get("objective"))
        cells = (
            row["name"],
            row["outcome"],
            format_count(row["macs"]),
            *cost,
            "-" if objective is None else f"{objective:.4f}",
            "-" if row["accuracy_mean"] is None else f"{row['accuracy_mean']:.2%}",
            "-" if low is None or high is None else f"{low:.2%} to {high:.2%}",
            "-" if row["p_best"] is None else f"{row['p_best']:.2f}",
            str(row["seeds"]),
            "base" if row.get("is_baseline") else "",
        )
        body.append(cells)
    return aligned([header, *body], left=2)


def _best_text(best: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    counted = best.get("fvcore_macs")
    equal = "" if counted is None else " (equal to fvcore)" if counted == best["macs"] else f" (fvcore: {counted:,})"
    parts = [f"{best['macs']:,} multiply-adds{equal}"]
    if best.get("params") is not None:
        parts.append(f"{best['params']:,} parameters")
    if summary["cost"] == "latency" and best.get("cost") is not None:
        parts.append(metric_of("latency").format(best["cost"]))
    return f"{best['name']}: {', '.join(parts)}"


def _counts_text(summary: Mapping[str, Any]) -> str:
    finals = summary.get("n_finals")
    failed = summary.get("n_failed")
    used = summary.get("slot_utilisation")
    parts = [
        f"{summary['n_asked']} asked for",
        f"{summary['n_trained']} trained",
        *([f"{finals} trained for the finals"] if finals else []),
        *([f"{failed} without a result"] if failed else []),
        f"{summary['n_duplicates']} duplicates and {summary['n_skipped_over_budget']} over the budget passed over",
    ]
    busy = f", slots busy {used:.0%} of the time" if used is not None else ""
    return f"{', '.join(parts)}; {format_seconds(summary['wall_seconds'])}{busy}"
