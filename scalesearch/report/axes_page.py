"""A study of axes as one HTML page that needs nothing else: no network, pictures inside, one script for sorting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from scalesearch.report.axes_tables import (
    axes_facts,
    comparisons_table,
    fidelity_words,
    law_table,
    lines_table,
    points_table,
)
from scalesearch.report.grid_tables import proxy_words
from scalesearch.report.page_parts import as_sentence, study_page

__all__ = ["axes_page"]

_CAPTIONS: Final[Mapping[str, str]] = {
    "axes": "How accuracy of the trained proxies grows when a network grows in one axis only, against what the "
    "full-size networks cost. The fitted curve is error = a + b·cost^−c; where the data cannot identify it, none is "
    "drawn. The bar above the lower edge is the interval of the knee. The paper's networks are marked by cost alone, "
    "because its accuracies are of other data.",
    "together": "The same curves in one picture, compound scaling among them.",
    "sweeps": "Width sweeps that start from baselines of other depth and resolution, as in Figure 4 of the "
    "EfficientNet paper.",
    "iso_cost": "Every rule at equal realised cost, the most accurate first, and what compound scaling is ahead by: "
    "differences are taken seed by seed, which tells more than the overlap of two intervals. Hollow: not told apart.",
    "gain": "Points of accuracy that the next doubling of cost buys. Where a curve is not identified, the average over "
    "the measured costs is all there is.",
}


def axes_page(
    summary: Mapping[str, Any],
    curves: pd.DataFrame,
    comparisons: pd.DataFrame,
    pictures: Mapping[str, bytes],
    config_yaml: str,
) -> str:
    """The page of a study of axes.

    Args:
        summary: what summary.json holds.
        curves: one row per point of a curve, trained or not.
        comparisons: one row per ratio and rule that compound scaling was compared with; may be empty.
        pictures: PNG bytes by name, shown in this order.
        config_yaml: the settings that repeat the run; the page shows only the last part of each path in them.
    """
    names = [str(fit["curve"]) for fit in summary["fits"]]
    compared = str(summary.get("comparison_sentence") or "")
    alone = str(summary["sentence"]).removesuffix(compared).rstrip("; ") or compared
    decided = len(comparisons) > 0 and comparisons["verdict"].isin(["better", "worse"]).any()
    return study_page(
        "axes.html",
        summary,
        pictures,
        config_yaml,
        title=f"How {summary['baseline']['name']} pays to grow: width, depth, resolution, and all three"
        if set(names) >= {"width", "depth", "resolution", "compound"}
        else f"How {summary['baseline']['name']} pays to grow: {', '.join(names)}",
        captions=_CAPTIONS,
        sentence=alone,
        compared=as_sentence(compared) if compared and len(comparisons) else "",
        enough=bool(decided or any(fit["identified"] for fit in summary["fits"])),
        lines=lines_table(summary),
        comparisons=comparisons_table(comparisons),
        points=points_table(curves),
        law=law_table(summary),
        fidelity=fidelity_words(summary),
        facts=axes_facts(summary),
        proxy=proxy_words(summary).replace("Each candidate", "Each network"),
    )
