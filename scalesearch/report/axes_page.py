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
from scalesearch.report.page_parts import as_sentence, data_uri, render_page, script, settings_text
from scalesearch.report.page_tables import proxy_words

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
    text, digest = script("sort.js")
    names = [str(fit["curve"]) for fit in summary["fits"]]
    compared = str(summary.get("comparison_sentence") or "")
    alone = str(summary["sentence"]).removesuffix(compared).rstrip("; ") or compared
    decided = len(comparisons) > 0 and comparisons["verdict"].isin(["better", "worse"]).any()
    return render_page(
        "axes.html",
        title=f"How {summary['baseline']['name']} pays to grow: width, depth, resolution, and all three"
        if set(names) >= {"width", "depth", "resolution", "compound"}
        else f"How {summary['baseline']['name']} pays to grow: {', '.join(names)}",
        sentence=as_sentence(alone, names),
        compared=as_sentence(compared) if compared and len(comparisons) else "",
        enough=bool(decided or any(fit["identified"] for fit in summary["fits"])),
        lines=lines_table(summary),
        comparisons=comparisons_table(comparisons),
        points=points_table(curves),
        law=law_table(summary),
        fidelity=fidelity_words(summary),
        figures=[(name, data_uri(png), _CAPTIONS.get(name, "")) for name, png in pictures.items()],
        facts=axes_facts(summary),
        proxy=proxy_words(summary).replace("Each candidate", "Each network"),
        warnings=[as_sentence(str(warning), names) for warning in summary["warnings"]],
        config=settings_text(config_yaml),
        script=text,
        script_hash=digest,
    )
