"""Whether the short trainings of a study rank its networks as longer ones do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from scalesearch.analysis.fidelity import rank_agreement, width_bias
from scalesearch.errors import DataError
from scalesearch.studies.axes_plan import sizes_of
from scalesearch.studies.axes_rounds import AxesRecords
from scalesearch.studies.axes_work import AxesWork
from scalesearch.studies.racing import Unit
from scalesearch.trial import TrialRecord

__all__ = ["fidelity_of", "fidelity_scores"]


def fidelity_scores(work: AxesWork, records: AxesRecords) -> pd.DataFrame:
    """One row per network that was trained longer: fingerprint, name, ratio, width, proxy and full.

    proxy is the mean accuracy of the short trainings over all seeds, full that of the longer ones; NaN where none
    succeeded.
    """
    rows = []
    for fingerprint in dict.fromkeys(name for name, _ in records.check):
        spec = work.plan.networks[fingerprint]
        rows.append(
            {
                "fingerprint": fingerprint,
                "name": spec.name,
                "ratio": work.plan.ratio(spec),
                "width": sizes_of(spec, work.plan.baseline).width,
                "proxy": _mean(records.curves, fingerprint),
                "full": _mean(records.check, fingerprint),
            }
        )
    return pd.DataFrame(rows, columns=["fingerprint", "name", "ratio", "width", "proxy", "full"])


def fidelity_of(work: AxesWork, records: AxesRecords) -> dict[str, Any] | None:
    """What summary.json says under fidelity; None where no check was asked for."""
    if not records.check:
        return None
    check, scores = work.settings.check, fidelity_scores(work, records)
    found: dict[str, Any] = {
        "epochs": check.epochs,
        "proxy_epochs": work.recipe.epochs,
        "seeds": check.seeds,
        "n_networks": len(scores),
        "ratio_low": float(scores["ratio"].min()),
        "ratio_high": float(scores["ratio"].max()),
        "kendall": None,
        "spearman": None,
        "enough": False,
        "width_bias": None,
        "biased": False,
        "warnings": [],
    }
    try:
        agreement = rank_agreement(scores, confidence=work.settings.confidence)
        bias = width_bias(scores, confidence=work.settings.confidence)
    except DataError as error:
        return found | {"sentence": f"no check of the proxy: {error}", "width_bias_sentence": ""}
    return found | {
        "kendall": asdict(agreement.kendall) if agreement.kendall else None,
        "spearman": asdict(agreement.spearman) if agreement.spearman else None,
        "enough": agreement.enough,
        "sentence": agreement.sentence,
        "width_bias": asdict(bias.correlation) if bias.correlation else None,
        "biased": bias.biased,
        "width_bias_sentence": bias.sentence,
        "warnings": [] if not bias.biased else [bias.sentence],
    }


def _mean(records: Mapping[Unit, TrialRecord], fingerprint: str) -> float | None:
    """Mean accuracy of a network's successful trainings."""
    found = [r.accuracy for (name, _), r in records.items() if name == fingerprint and r.accuracy is not None]
    return sum(found) / len(found) if found else None
