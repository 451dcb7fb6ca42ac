"""A search as one HTML page that needs nothing else: no network, pictures inside, one script for sorting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from scalesearch.report.metrics import metric_of
from scalesearch.report.page_parts import study_page
from scalesearch.report.search_tables import (
    best_facts,
    finalists_table,
    front_table,
    proxy_words,
    search_facts,
    stages_table,
)

__all__ = ["search_page"]

_CAPTIONS: Final[Mapping[str, str]] = {
    "progress": "Was the search still getting better? Every training of the search in the order in which it ended, the "
    "best objective so far, and the hypervolume: the area that the trained networks dominate in the plane of accuracy "
    "and log2 cost.",
    "front": "Accuracy of the trained proxies against what the full-size networks cost. A point is one training; the "
    "finalists are means over several seeds. Networks of the catalog are marked by their cost alone: their published "
    "accuracies were reached on other data.",
    "genes": "What the best quarter of the networks have in common, stage by stage, against all that were trained. A "
    "strategy prefers what did well, so that a share that is equal in both may still be far from an even one.",
}


def search_page(
    summary: Mapping[str, Any],
    finalists: pd.DataFrame,
    trials: pd.DataFrame,
    pictures: Mapping[str, bytes],
    config_yaml: str,
) -> str:
    """The page of a search.

    Args:
        summary: what summary.json holds.
        finalists: one row per finalist, best first; may be empty.
        trials: one row per training.
        pictures: PNG bytes by name, shown in this order.
        config_yaml: the settings that repeat the run; the page shows only the last part of each path in them.
    """
    metric = metric_of(summary["cost"])
    return study_page(
        "search.html",
        summary,
        pictures,
        config_yaml,
        title=f"Search for a baseline at {metric.format(summary['target'])}{'' if metric.unit else f' {metric.words}'}",
        captions=_CAPTIONS,
        enough=summary.get("enough_evidence", True),
        finalists=finalists_table(finalists, summary),
        best=best_facts(summary),
        stages=stages_table(summary["best"]),
        front=front_table(summary),
        trained=_trained_words(trials),
        facts=search_facts(summary),
        proxy=proxy_words(summary),
    )


def _trained_words(trials: pd.DataFrame) -> str:
    """How many trainings stand behind the page, and where they are listed."""
    n, failed = len(trials), int(trials["accuracy"].isna().sum())
    without = f", {failed} of them without a result" if failed else ""
    return f"{n} training{'' if n == 1 else 's'}{without}: trials.csv beside this page lists them."
