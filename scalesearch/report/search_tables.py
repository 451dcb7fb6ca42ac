"""What a search's page says, as tables and pairs of plain text; the template only lays it out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from scalesearch.report.marks import mark_of
from scalesearch.report.metrics import budget_words, metric_of
from scalesearch.report.page_cells import (
    EVIDENCE_HEADS,
    MISSING,
    Table,
    count_cell,
    evidence_cells,
    number_cell,
    text_cell,
)
from scalesearch.report.page_facts import objective_formula, time_fact

__all__ = [
    "best_facts",
    "finalists_table",
    "front_table",
    "objective_words",
    "proxy_words",
    "search_facts",
    "stages_table",
]

_COUNTS: Final = (("macs", "MACs"), ("params", "params"), ("activations", "activations"))


def finalists_table(finalists: pd.DataFrame, summary: Mapping[str, Any]) -> Table:
    """Every finalist, in the order of `finalists`."""
    measured = summary["cost"] not in dict(_COUNTS)
    metric = metric_of(summary["cost"])
    heads = ("outcome", "network", *((metric.head,) if measured else ()), *(head for _, head in _COUNTS))
    rows = []
    for _, row in finalists.iterrows():
        outcome = text_cell(row["outcome"])
        mark = mark_of(outcome, number_cell(row["objective"])).name
        name = text_cell(row["name"]) + (" (base)" if row["is_baseline"] is True or row["is_baseline"] == 1 else "")
        cost = (_cost(row["cost"], summary),) if measured else ()
        counts = (count_cell(row[key]) if key in row else MISSING for key, _ in _COUNTS)
        rows.append((mark, (mark if mark == "failed" else outcome, name, *cost, *counts, *evidence_cells(row))))
    return Table((*heads, *EVIDENCE_HEADS), tuple(rows), left=2)


def front_table(summary: Mapping[str, Any]) -> Table:
    """The Pareto front of the search, in the order of the summary."""
    metric = metric_of(summary["cost"])
    heads = ("network", metric.head, "accuracy", "objective", "epochs")
    rows = []
    for entry in summary["front"]:
        accuracy, objective = number_cell(entry.get("accuracy")), number_cell(entry.get("objective"))
        epochs = number_cell(entry.get("epochs"))
        cells = (
            text_cell(entry["name"]),
            _cost(entry["cost"], summary),
            MISSING if math.isnan(accuracy) else f"{100 * accuracy:.1f} %",
            MISSING if math.isnan(objective) else f"{objective:.4f}",
            f"{epochs:g}" if epochs > 0 else MISSING,
        )
        rows.append(("", cells))
    return Table(heads, tuple(rows), left=1)


def stages_table(best: Mapping[str, Any]) -> Table:
    """The network that was found, stage by stage."""
    rows = tuple(("", (str(i), text_cell(words))) for i, words in enumerate(best.get("stages") or (), start=1))
    note = "e: expansion ratio, k: kernel size, se: squeeze-excite ratio, s: stride; then width × depth of the stage."
    return Table(("stage", "blocks"), rows, left=2, note=note)


def best_facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The network that was found, as (name, value)."""
    best = summary["best"]
    macs, counted = int(best["macs"]), best.get("fvcore_macs")
    equal = "" if counted is None else ", equal to fvcore's count" if int(counted) == macs else f"; fvcore: {counted:,}"
    low, high = best.get("accuracy_ci95") or (None, None)
    accuracy, objective = number_cell(best.get("accuracy_mean")), number_cell(best.get("objective"))
    interval = "" if low is None or high is None else f", 95 % interval {100 * low:.1f} to {100 * high:.1f} %"
    seeds = f" ({best['seeds']} seed{'' if best['seeds'] == 1 else 's'}{interval})"
    found = [("Network", text_cell(best["name"])), ("Multiply-adds", f"{macs:,}{equal}")]
    if best.get("params") is not None:
        found.append(("Parameters", f"{int(best['params']):,}"))
    if summary["cost"] == "latency" and best.get("cost") is not None:
        found.append(("Latency", _cost(best["cost"], summary)))
    if not math.isnan(accuracy):
        found.append(
            ("Accuracy of its proxy" if summary.get("proxy") else "Accuracy", f"{100 * accuracy:.1f} %{seeds}")
        )
    if not math.isnan(objective):
        found.append(("Objective", f"{objective:.4f}"))
    return found


def search_facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The settings that matter and what the run took, as (name, value)."""
    metric = metric_of(summary["cost"])
    bounds = budget_words(metric, summary.get("window_low"), summary.get("window_high"))
    rows = [
        ("Target", f"{_cost(summary['target'], summary)} {'' if metric.unit else metric.words}".strip()),
        ("Hard budget", f"{bounds}; networks outside were not trained" if bounds else "none"),
        ("Objective", objective_words(summary)),
        ("Strategy", text_cell(summary["strategy"]).replace("_", " ")),
    ]
    if space := summary.get("space"):
        rows.append(("Space", f"{space['size']:.3g} points in {space['dimensions']} dimensions"))
    rows.append(("Trainings asked for", f"{summary['n_asked']}"))
    rows.append(("Trainings of the search", f"{summary['n_trained']}"))
    if summary.get("n_finals"):
        rows.append(("Trainings of the finals", f"{summary['n_finals']}"))
    if summary.get("n_failed"):
        rows.append(("Without a result", f"{summary['n_failed']}"))
    rows.append(("Duplicates passed over", f"{summary['n_duplicates']}"))
    rows.append(("Over the budget, not trained", f"{summary['n_skipped_over_budget']}"))
    if data := summary.get("data"):
        rows.append(("Data", text_cell(data["name"])))
    return [*rows, time_fact(summary)]


def objective_words(summary: Mapping[str, Any]) -> str:
    """The formula with its numbers."""
    target, head = _cost(summary["target"], summary), metric_of(summary["cost"]).head
    return objective_formula(summary["objective"], target, head)


def proxy_words(summary: Mapping[str, Any]) -> str:
    """What was trained in place of the networks, in a sentence; empty where nothing was."""
    proxy = summary.get("proxy")
    if not proxy:
        return ""
    lengths = summary.get("epochs") or [proxy["epochs"]]
    epochs = " or ".join(f"{length:g}" for length in lengths)
    return (
        f"Each network was trained as a small stand-in: {100 * proxy['width']:g} % of its width, "
        f"{proxy['resolution']} px in place of the base network's resolution, for {epochs} "
        f"epoch{'' if lengths == [1] else 's'} over {100 * proxy['data_fraction']:g} % of the training pictures."
    )


def _cost(value: Any, summary: Mapping[str, Any]) -> str:
    number = number_cell(value)
    return MISSING if math.isnan(number) else metric_of(summary["cost"]).format(number)
