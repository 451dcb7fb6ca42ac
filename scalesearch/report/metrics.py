"""What each kind of cost is called and how its values are written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from scalesearch.errors import UnknownNameError
from scalesearch.units import format_count

__all__ = ["METRICS", "Metric", "budget_words", "metric_of"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One kind of cost.

    Attributes:
        name: as results hold it.
        head: of a table's column.
        words: within a sentence.
        axis: title of a figure's axis.
        unit: written after a value.
    """

    name: str
    head: str
    words: str
    axis: str
    unit: str = ""

    def format(self, value: float) -> str:
        """A value for people: "386M", or "4.21 ms"."""
        return f"{value:.3g} {self.unit}" if self.unit else format_count(value)


METRICS: Final[Mapping[str, Metric]] = {
    metric.name: metric
    for metric in (
        Metric("macs", "MACs", "multiply-adds", "multiply-adds of the full-size network, counted after rounding"),
        Metric("params", "params", "parameters", "parameters of the full-size network"),
        Metric(
            "activations",
            "activations",
            "activations",
            "activations of the full-size network (outputs of convolutions and linear layers)",
        ),
        Metric("latency", "latency", "latency", "latency of the full-size network, ms (median)", "ms"),
    )
}


def metric_of(name: str) -> Metric:
    """The metric of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in METRICS:
        raise UnknownNameError.of("cost", name, METRICS)
    return METRICS[name]


def budget_words(metric: Metric, low: float | None, high: float | None) -> str:
    """A hard budget: "320M to 440M", "up to 440M", "from 320M"; empty where there is no bound."""
    lower = metric.format(low) if low is not None and low > 0 and math.isfinite(low) else ""
    upper = metric.format(high) if high is not None and math.isfinite(high) else ""
    if lower and upper:
        return f"{lower} to {upper}"
    return f"up to {upper}" if upper else f"from {lower}" if lower else ""
