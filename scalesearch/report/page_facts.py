"""Facts that the pages of several kinds of study state in the same words, as (name, value)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from scalesearch.report.page_cells import MISSING, number_cell
from scalesearch.units import format_count, format_seconds

__all__ = ["baseline_fact", "data_fact", "objective_formula", "time_fact"]


def baseline_fact(baseline: Mapping[str, Any]) -> tuple[str, str]:
    """The network that everything is compared with."""
    origin = f", rescaled from {baseline['rescaled_from']}" if baseline.get("rescaled_from") else ""
    return (
        "Baseline",
        f"{baseline['name']}{origin}: {format_count(baseline['macs'])} multiply-adds, "
        f"{format_count(baseline['params'])} parameters, {baseline['resolution']} px",
    )


def data_fact(data: Mapping[str, Any]) -> tuple[str, str]:
    """The pictures."""
    return (
        "Data",
        f"{data['name']}: {data['classes']} classes, {data['n_train']:,} pictures to train on and "
        f"{data['n_val']:,} to choose by",
    )


def time_fact(summary: Mapping[str, Any]) -> tuple[str, str]:
    """How long the run took, on how many slots, and how busy they were."""
    wall, busy, slots = number_cell(summary.get("wall_seconds")), summary.get("slot_utilisation"), summary.get("slots")
    if math.isnan(wall):
        return "Time", MISSING
    on = f" on {slots} slot{'' if slots == 1 else 's'}" if slots else ""
    used = "" if busy is None else f", busy {100 * busy:.0f} % of it"
    return "Time", f"{format_seconds(wall)}{on}{used}"


def objective_formula(objective: Mapping[str, float], target: str, cost: str) -> str:
    """ACC * (cost / T)^w with its numbers; `target` and `cost` are words."""
    below, above = objective["below"], objective["above"]
    exponent = f"{below:g}" if below == above else f"{below:g} up to {target} and {above:g} beyond it"
    return f"accuracy × ({cost} / {target})^w, w = {exponent}".replace("-", "−")
