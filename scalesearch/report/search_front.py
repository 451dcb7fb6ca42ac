"""Accuracy against cost of all trained networks, their Pareto front, and where published networks would stand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scalesearch.analysis.pareto import front
from scalesearch.arch.catalog import catalog_names, catalog_spec
from scalesearch.arch.cost import cost_of
from scalesearch.report.front_parts import (
    draw_catalog,
    draw_finalists,
    draw_labels,
    draw_legend,
    draw_staircase,
    draw_target,
    draw_trained,
    scale_axes,
)
from scalesearch.report.marks import mark_of
from scalesearch.report.metrics import budget_words, metric_of
from scalesearch.report.render import MUTED, new_figure, style
from scalesearch.report.search_marks import searched

__all__ = ["draw_front", "front_data", "front_title"]

_KINDS: Final = ("trained", "finalist", "catalog")


def front_data(trials: pd.DataFrame, finalists: pd.DataFrame, summary: Mapping[str, Any]) -> pd.DataFrame:
    """The frame behind the figure: one row per training of the search, per finalist, and per catalog network.

    Args:
        trials: with `number, name, epochs, accuracy, cost`, and where there are such `phase` and `label` (the name of
            a reference network that was trained like all others).
        finalists: with `name, cost, accuracy_mean, accuracy_low, accuracy_high, objective, outcome, is_baseline`; may
            be empty.
        summary: `cost` (its name), `target`, `window_low, window_high` (None: no hard budget), `baseline.name`.

    Returns:
        `kind` ("trained", "finalist" or "catalog"), `number` (NaN but for trained), `name, label, epochs, cost`,
        accuracies in percent `accuracy, low, high` (NaN for catalog networks: what is published of them was reached
        on other data), `mark` of a finalist, `is_baseline`, `on_front` (of the longest trainings with a result), and
        the constants `measure, target, window_low, window_high`.
    """
    measure = str(summary["cost"])
    trained, compared = _trained(searched(trials), summary), _finalists(finalists)
    if len(compared) and (compared["is_baseline"] & compared["accuracy"].notna()).any():
        # the base network stands there once: with all its seeds
        trained["label"] = trained["label"].mask(trained["is_baseline"], "")
        trained["is_baseline"] = False
    parts = [trained, compared, _catalog(measure)]
    data = pd.concat([part for part in parts if len(part)], ignore_index=True)
    data["measure"] = measure
    same = summary.get("window_measure", measure) == measure
    for name, value in (
        ("target", summary.get("target")),
        ("window_low", summary.get("window_low") if same else None),
        ("window_high", summary.get("window_high") if same else None),
    ):
        data[name] = math.nan if value is None else float(value)
    return data


def draw_front(data: pd.DataFrame) -> Figure:
    """Draw what `front_data` returned."""
    metric = metric_of(str(data["measure"].iloc[0]))
    trained, finalists, catalog = (data[data["kind"] == kind] for kind in _KINDS)
    with style():
        figure = new_figure(7.4, 5.9)
        below = 0.085 + draw_legend(figure, data)
        axes = figure.add_axes((0.095, below, 0.875, 0.77 - below))
        axes.grid(axis="y")
        axes.set_ylabel("accuracy, %")
        axes.set_xlabel(metric.axis)
        scale_axes(axes, data)
        draw_target(axes, data)
        draw_catalog(axes, catalog)
        draw_trained(axes, trained)
        draw_staircase(axes, trained)
        draw_finalists(axes, finalists)
        figure.text(0.03, 0.95, front_title(data), fontsize=12.5, fontweight="bold")
        figure.text(0.03, 0.917, _key(data), fontsize=9, color=MUTED)
        draw_labels(axes, data)
    return figure


def front_title(data: pd.DataFrame) -> str:
    """The finding in words."""
    trained = data[(data["kind"] == "trained") & data["accuracy"].notna()]
    if trained.empty:
        return "No network has an accuracy"
    known = trained[trained["on_front"]]
    n = int(trained["name"].nunique())
    if n == 1:
        return f"1 network trained: {known['accuracy'].max():.1f} %"
    low, high = known["accuracy"].min(), known["accuracy"].max()
    reach = f"{high:.1f} %" if len(known) == 1 else f"{low:.1f} to {high:.1f} %"
    return f"{len(known)} of {n} networks {'is' if len(known) == 1 else 'are'} on the Pareto front: {reach}"


def _trained(rows: pd.DataFrame, summary: Mapping[str, Any]) -> pd.DataFrame:
    part = pd.DataFrame({"kind": "trained", "number": rows["number"].astype(float)})
    part["name"] = rows["name"].fillna("").astype(str)
    part["label"] = rows["label"].fillna("").astype(str) if "label" in rows else ""
    part["epochs"], part["cost"] = rows["epochs"].astype(float), rows["cost"].astype(float)
    part["accuracy"] = 100 * rows["accuracy"].astype(float)
    part["low"] = part["high"] = math.nan
    part["mark"] = ""
    baseline = (summary.get("baseline") or {}).get("name")
    part["is_baseline"] = (part["label"] != "") & (part["label"] == baseline)
    known = part["accuracy"].notna() & part["cost"].notna()
    longest = known & ~(part["epochs"] < part.loc[known, "epochs"].max())
    part["on_front"] = False
    part.loc[longest, "on_front"] = front(part[longest])
    return part


def _finalists(rows: pd.DataFrame) -> pd.DataFrame:
    part = pd.DataFrame({"kind": "finalist", "number": math.nan, "name": rows.get("name", pd.Series(dtype=str))})
    if part.empty:
        return part
    part["label"], part["epochs"], part["cost"] = "", math.nan, rows["cost"].astype(float)
    for name, source in (("accuracy", "accuracy_mean"), ("low", "accuracy_low"), ("high", "accuracy_high")):
        part[name] = 100 * rows[source].astype(float)
    pairs = zip(rows["outcome"].fillna(""), rows["objective"].astype(float), strict=True)
    part["mark"] = [mark_of(str(outcome), value).name for outcome, value in pairs]
    part["is_baseline"] = rows["is_baseline"].astype(bool)
    part["on_front"] = False
    return part


def _catalog(measure: str) -> pd.DataFrame:
    """Closed-form costs of the catalog; latency is known only of networks that were measured."""
    if measure == "latency":
        return pd.DataFrame()
    names = catalog_names()
    costs = [float(getattr(cost_of(catalog_spec(name)), measure)) for name in names]
    part = pd.DataFrame({"kind": "catalog", "number": math.nan, "name": names, "label": "", "epochs": math.nan})
    part["cost"] = np.array(costs)
    part["accuracy"] = part["low"] = part["high"] = math.nan
    part["mark"], part["is_baseline"], part["on_front"] = "", False, False
    return part.sort_values("cost", kind="stable", ignore_index=True)


def _key(data: pd.DataFrame) -> str:
    """What lines, band and bars mean."""
    metric = metric_of(str(data["measure"].iloc[0]))
    target, low, high = (float(data[name].iloc[0]) for name in ("target", "window_low", "window_high"))
    parts = ["stairs: Pareto front"]
    if math.isfinite(target):
        parts.append(f"dashed: target {metric.format(target)}")
    if bounds := budget_words(metric, low, high):
        parts.append(f"band: hard budget, {bounds}")
    if data["low"].notna().any():
        parts.append("bars: 95 % interval")
    return "; ".join(parts)
