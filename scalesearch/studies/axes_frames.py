"""The tables of a study of axes: trainings, and the observations that curves are fitted to."""

from __future__ import annotations

from typing import Any

import pandas as pd

from scalesearch.arch.cost import cost_of
from scalesearch.studies.axes_plan import sizes_of
from scalesearch.studies.axes_rounds import AxesRecords
from scalesearch.studies.axes_work import AxesWork
from scalesearch.studies.racing import Unit
from scalesearch.studies.trial_rows import record_columns
from scalesearch.trial import TrialRecord

__all__ = ["curve_names", "observations", "trials"]


def curve_names(work: AxesWork) -> dict[str, list[str]]:
    """The curves that each trained network stands for, by the fingerprint under which it is trained."""
    names: dict[str, list[str]] = {}
    for point in work.plan.points:
        if point.kept and point.spec is not None:
            names.setdefault(work.proxies.stands_for[point.spec.fingerprint], []).append(point.curve)
    return {fingerprint: list(dict.fromkeys(curves)) for fingerprint, curves in names.items()}


def trials(work: AxesWork, records: AxesRecords) -> pd.DataFrame:
    """One row per training: those of the curves network by network, then those of the check."""
    names, order = curve_names(work), {name: index for index, name in enumerate(work.proxies.trained)}
    rows = [
        _trial(work, unit, record, phase, names[unit[0]], records.adopted.get(record.key))
        for phase, found in (("curves", records.curves), ("check", records.check))
        for unit, record in sorted(found.items(), key=lambda item: (order[item[0][0]], item[0][1]))
    ]
    return pd.DataFrame(rows)


def _trial(
    work: AxesWork, unit: Unit, record: TrialRecord, phase: str, curves: list[str], source: str | None
) -> dict[str, Any]:
    fingerprint, seed = unit
    spec = work.plan.networks[fingerprint]
    cost = cost_of(spec)
    return {
        "fingerprint": fingerprint,
        "name": spec.name,
        "phase": phase,
        "curves": "+".join(curves),
        "seed": seed,
        "ratio": work.plan.ratio(spec),
        "macs": cost.macs,
        "params": cost.params,
        "activations": cost.activations,
        "resolution": spec.resolution,
        "shared_from": source,
        **record_columns(record),
    }


def observations(work: AxesWork, records: AxesRecords) -> pd.DataFrame:
    """One row per trained point of a curve and seed, as `axes_fits` describes them."""
    rows = []
    for point in work.plan.points:
        if not point.kept or point.spec is None:
            continue
        sizes, trained = sizes_of(point.spec, work.plan.baseline), work.proxies.stands_for[point.spec.fingerprint]
        for seed in range(records.seeds):
            record = records.curves[(trained, seed)]
            rows.append(
                {
                    "curve": point.curve,
                    "budget": work.plan.budget(point),
                    "fingerprint": point.spec.fingerprint,
                    "network": trained,
                    "macs": cost_of(point.spec).macs,
                    "proxy_macs": record.macs,
                    "width": sizes.width,
                    "depth": sizes.depth,
                    "resolution": sizes.resolution,
                    "seed": seed,
                    "accuracy": record.accuracy,
                    "data": record.data,
                    "recipe": record.recipe,
                }
            )
    return pd.DataFrame(rows).astype({"accuracy": float, "budget": float})
