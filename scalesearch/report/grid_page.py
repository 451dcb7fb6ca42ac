"""A grid as one HTML page that needs nothing else: no network, pictures inside, one script for sorting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from scalesearch.report.grid_tables import (
    candidates_table,
    facts,
    family_table,
    folded_words,
    leaders_table,
    proxy_words,
    region_words,
)
from scalesearch.report.opinion_words import likely_words, second_opinion_words, standings_words
from scalesearch.report.page_parts import as_sentence, study_page
from scalesearch.units import format_count

__all__ = ["grid_page"]

_CAPTIONS: Final[Mapping[str, str]] = {
    "landscape": "What differs between candidates is how the growth of cost is shared. A point's "
    "shares are log α, 2 log β and 2 log γ over their sum, so the corners grow one axis only. Colour is the objective, "
    "with the effects of the seeds removed.",
    "ranking": "The same objective, candidate by candidate, with 95 % intervals. Candidates are compared on the seeds "
    "they share, which tells more than the overlap of two intervals.",
    "accuracy_macs": "Accuracy of the trained proxies against what the full-size networks cost. Points differ in cost "
    "because widths, depths and resolutions are whole numbers; the objective prices the difference.",
}

_RANKED_BY_LAW: Final = (
    "The objective as one law over all trainings predicts it, candidate by candidate, with 95 % intervals. A "
    "difference between two predictions is known better than each of them, which tells more than the overlap of two "
    "intervals."
)


def grid_page(
    summary: Mapping[str, Any], standings: pd.DataFrame, pictures: Mapping[str, bytes], config_yaml: str
) -> str:
    """The page of a grid.

    Args:
        summary: what summary.json holds.
        standings: one row per trained candidate, best first.
        pictures: PNG bytes by name, shown in this order.
        config_yaml: the settings that repeat the run; the page shows only the last part of each path in them.
    """
    return study_page(
        "grid.html",
        summary,
        pictures,
        config_yaml,
        title=f"Scaling grid: {summary['baseline']['name']} at {format_count(summary['target_macs'])}",
        enough=summary["enough_evidence"],
        captions=_captions(summary, standings),
        leaders=leaders_table(summary),
        region=region_words(summary["winner"]),
        folded=folded_words(summary["winner"]),
        opinions=[as_sentence(line) for line in (second_opinion_words(summary), likely_words(summary)) if line],
        standings=standings_words(summary),
        candidates=candidates_table(standings),
        family=family_table(summary["phi_preview"]),
        ratio=f"{summary['ratio']:g}",
        facts=facts(summary),
        proxy=proxy_words(summary),
    )


def _captions(summary: Mapping[str, Any], standings: pd.DataFrame) -> dict[str, str]:
    low, high = standings["realised_ratio"].min(), standings["realised_ratio"].max()
    cost = f"{low:.2f} to {high:.2f} times the baseline"
    costs = f"The constraint is nominal, so that candidates really cost {cost}."
    if summary["constraint"] == "realised":
        costs = f"Every candidate costs about the same, {cost}."
    ranked = {"ranking": _RANKED_BY_LAW} if summary.get("evidence") == "surface" else {}
    return {**_CAPTIONS, "landscape": f"{costs} {_CAPTIONS['landscape']}", **ranked}
