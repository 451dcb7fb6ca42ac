"""The few numbers that say how a run ended, under the same names for every kind of study."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from scalesearch.report.metrics import metric_of
from scalesearch.report.page_cells import MISSING, number_cell
from scalesearch.units import format_count, format_seconds

__all__ = ["key_numbers"]

Pairs = Iterator[tuple[str, str]]


def key_numbers(summary: Mapping[str, Any]) -> dict[str, str]:
    """What was found and what it took, by name, from what summary.json holds."""
    own = {"grid": _grid, "search": _search, "axes": _axes}[str(summary["verb"])]
    return {"study": str(summary["verb"]), **dict(_shared(summary)), **dict(own(summary)), **dict(_effort(summary))}


def _shared(summary: Mapping[str, Any]) -> Pairs:
    yield "data", str((summary.get("data") or {}).get("name") or MISSING)
    baseline = summary.get("baseline") or {}
    if baseline.get("name"):
        macs = f", {format_count(baseline['macs'])}" if baseline.get("macs") else ""
        yield "baseline", f"{baseline['name']}{macs}"


def _grid(summary: Mapping[str, Any]) -> Pairs:
    winner, ties = summary["winner"], len(summary["ties"])
    yield "leads", ", ".join(winner["rules"]) or str(winner["name"])
    yield "α, β, γ", ", ".join(f"{winner[name]:.3f}" for name in ("alpha", "beta", "gamma"))
    yield "cost of the leading one", f"{format_count(winner['macs'])} MACs, {winner['realised_ratio']:.3f}×"
    yield "accuracy", _accuracy(winner)
    yield "tied with it", str(ties)
    yield "candidates", str(summary["n_candidates"])


def _search(summary: Mapping[str, Any]) -> Pairs:
    best, metric = summary["best"], metric_of(summary["cost"])
    yield "leads", str(best["name"])
    yield "cost of the leading one", f"{metric.format(best.get('cost') or best['macs'])} {metric.head}".strip()
    yield "objective", _number(best.get("objective"), "{:.4f}")
    yield "accuracy", _accuracy(best)
    yield "tied with it", str(max(0, len(summary.get("ties") or ())))
    yield "strategy", str(summary["strategy"])


def _axes(summary: Mapping[str, Any]) -> Pairs:
    for fit in summary["fits"]:
        yield f"points per doubling, {fit['curve']}", _number(fit.get("trend"), "{:+.2f}")
    for fit in summary["fits"]:
        knee = number_cell(fit.get("knee"))
        state = str(fit.get("knee_state") or "not known")
        yield f"stops paying, {fit['curve']}", state if math.isnan(knee) else format_count(knee)
    verdicts = [str(row.get("verdict")) for row in summary.get("comparisons") or ()]
    counted = f"{verdicts.count('better')} better, {verdicts.count('worse')} worse"
    yield "compound at equal cost", f"{counted}, {verdicts.count('not told apart')} not told apart"


def _effort(summary: Mapping[str, Any]) -> Pairs:
    trainings = summary.get("n_trials")
    if trainings is None:
        trainings = summary.get("n_trained", 0) + (summary.get("n_finals") or 0)
    failed = summary.get("n_failed") or 0
    yield "trainings", f"{trainings}{f', {failed} failed' if failed else ''}"
    yield "spread between seeds", _number(summary.get("seed_sd"), "{:.4f}")
    wall = number_cell(summary.get("wall_seconds"))
    yield "time", MISSING if math.isnan(wall) else format_seconds(wall)


def _accuracy(entry: Mapping[str, Any]) -> str:
    low, high = entry.get("accuracy_ci95") or (None, None)
    interval = "" if low is None or high is None else f" ({100 * low:.1f} to {100 * high:.1f})"
    mean = number_cell(entry.get("accuracy_mean"))
    return MISSING if math.isnan(mean) else f"{100 * mean:.1f} %{interval}"


def _number(value: Any, form: str) -> str:
    number = number_cell(value)
    return MISSING if math.isnan(number) else form.format(number).replace("-", "−")
