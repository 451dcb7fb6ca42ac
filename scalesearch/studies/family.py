"""`scalesearch scale`: from coefficients to a family of networks. Counts only, unless a measurement is asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

import scalesearch
from scalesearch.arch.cost import cost_of
from scalesearch.arch.family import REALISED_ROUNDING, Member, family_at_budgets, family_at_phis
from scalesearch.arch.scaling import RELEASED, Rounding
from scalesearch.errors import ConfigError
from scalesearch.store.result_folder import ResultFolder
from scalesearch.store.run import Run
from scalesearch.store.run_folder import CONFIG_FILE, SUMMARY_FILE, plain_json
from scalesearch.studies.family_origin import Origin, origin_of
from scalesearch.studies.family_settings import FamilySettings
from scalesearch.studies.grid_plan import rows_to_csv
from scalesearch.studies.grid_settings import GridSettings
from scalesearch.units import format_count

__all__ = ["Family", "family_rows", "plan_family", "run_family"]

# fvcore and the stopwatch run the network: EfficientNet-L2, the largest of the catalog, has 0.48T
_MOST_MEASURED: Final = 10**12
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Family:
    """Members and where they come from; `rounding` is the one that was used."""

    origin: Origin
    rounding: Rounding
    members: tuple[Member, ...]


def plan_family(settings: FamilySettings, run: Run | None = None, grid: GridSettings | None = None) -> Family:
    """Solve for every member; nothing is written.

    Args:
        run: the run of `settings.from_run`, see `run_to_scale`.
        grid: that run's settings, where it is a grid.

    Raises:
        InputError: a phi or budget that cannot be reached, or an origin that cannot be used.
    """
    origin = origin_of(settings, run, grid)
    if settings.solve == "nominal":
        rounding = settings.rounding or RELEASED
    else:
        rounding = settings.rounding or origin.rounding or REALISED_ROUNDING
    # with another rounding than the grid's its winner would be a stranger among the members
    winner = origin.winner if rounding == origin.rounding else None
    grown = partial(
        family_at_budgets if settings.budgets else family_at_phis,
        origin.baseline,
        origin.coefficients,
        solve=settings.solve,
        rounding=rounding,
        ratio=origin.ratio,
        tolerance=settings.tolerance,
        winner=winner,
    )
    members: tuple[Member, ...] = grown(settings.budgets or settings.phis)
    return Family(origin, rounding, members)


def run_family(
    settings: FamilySettings,
    family: Family,
    folder: ResultFolder,
    *,
    identity: Mapping[str, Any],
    config_yaml: str,
    say: Say,
) -> dict[str, Any]:
    """Measure what was asked for and write family.csv, specs, config.yaml and summary.json.

    Args:
        identity: the settings that change the family.
        say: told before every slow step.

    Returns:
        What summary.json holds.

    Raises:
        RunFolderError: the folder holds the family of other settings, or cannot be written.
        ConfigError: a member that is too large to be measured.
        VerificationError: fvcore counts something else than the closed form.
    """
    folder.check_settings(identity)
    rows = family_rows(family, _measured(settings, family, say))
    specs = {row["spec"]: member.spec.to_json() for row, member in zip(rows, family.members, strict=True)}
    files = {"family.csv": rows_to_csv([_flat(row) for row in rows]), **specs, CONFIG_FILE: config_yaml}
    summary: dict[str, Any] = plain_json(
        _summary(settings, family) | {"members": rows, "settings": identity, "files": [*files, SUMMARY_FILE]}
    )
    files[SUMMARY_FILE] = _as_json(summary)
    folder.write({name: text.encode() for name, text in files.items()})
    return summary


def family_rows(family: Family, measured: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row per member: what it is, what it costs, and what was measured on it."""
    return [_row(member) | dict(measured[member.name]) for member in family.members]


def _row(member: Member) -> dict[str, Any]:
    spec = member.spec
    return {
        "name": member.name,
        "phi": member.phi,
        "phi_used": member.phi_used,
        "depth": member.multipliers.depth,
        "width": member.multipliers.width,
        "resolution_multiplier": member.multipliers.resolution,
        "depths": list(spec.depths),
        "stem_width": spec.stem_width,
        "widths": list(spec.widths),
        "head_width": spec.head_width,
        "resolution": spec.resolution,
        "resolution_trim": member.resolution_trim,
        "macs": member.cost.macs,
        "realised_ratio": member.realised_ratio,
        "target_ratio": member.target_ratio,
        "miss": member.miss,
        "nominal_ratio": member.nominal_ratio,
        "params": member.cost.params,
        "activations": member.cost.activations,
        "drop_path": member.drop_path,
        "dropout": member.dropout,
        "fingerprint": spec.fingerprint,
        "note": member.note,
        "spec": f"specs/{_file_name(member.name)}.json",
    }


def _measured(settings: FamilySettings, family: Family, say: Say) -> dict[str, dict[str, Any]]:
    """fvcore's count and the latency of every member; None where they were not asked for."""
    found: dict[str, dict[str, Any]] = {
        member.name: {"fvcore_macs": None, "latency_ms": None, "latency_p25_ms": None, "latency_p75_ms": None}
        for member in family.members
    }
    if not (settings.fvcore or settings.latency):
        return found
    largest = max(family.members, key=lambda member: member.cost.macs)
    if largest.cost.macs > _MOST_MEASURED:
        raise ConfigError(
            f"only networks of at most {format_count(_MOST_MEASURED)} MACs are run to be measured",
            value=f"{largest.name}: {format_count(largest.cost.macs)}",
            way_out="leave --fvcore and --latency out, or the largest members",
        )
    for member in family.members:
        row = found[member.name]
        if settings.fvcore:
            from scalesearch.measure.verify import verify

            say(f"fvcore counts {member.name} ({format_count(member.cost.macs)} MACs)")
            row["fvcore_macs"] = verify(member.spec).macs
        if settings.latency:
            from scalesearch.measure.latency import latency

            say(f"timing {member.name}")
            took = latency(member.spec, **asdict(settings.latency))
            row |= {"latency_ms": took.median_ms, "latency_p25_ms": took.p25_ms, "latency_p75_ms": took.p75_ms}
    return found


def _summary(settings: FamilySettings, family: Family) -> dict[str, Any]:
    origin, cost = family.origin, cost_of(family.origin.baseline)
    c = origin.coefficients
    return {
        "verb": "scale",
        "version": scalesearch.__version__,
        "sentence": _sentence(settings, family),
        "notes": list(origin.notes),
        "baseline": {
            "name": origin.baseline.name,
            "macs": cost.macs,
            "params": cost.params,
            "resolution": origin.baseline.resolution,
            "fingerprint": origin.baseline.fingerprint,
        },
        "coefficients": {"alpha": c.alpha, "beta": c.beta, "gamma": c.gamma, "nominal_product": c.nominal_product},
        "direction": origin.direction,
        "from_run": settings.from_run,
        "solve": settings.solve,
        "ratio": origin.ratio,
        "tolerance": settings.tolerance,
        "rounding": asdict(family.rounding),
        "asked": "budgets" if settings.budgets else "phis",
        "latency_measured": asdict(settings.latency) if settings.latency else None,
    }


def _sentence(settings: FamilySettings, family: Family) -> str:
    origin, c = family.origin, family.origin.coefficients
    how = (
        f"multipliers rounded as they come ({family.rounding.depth} depths)"
        if settings.solve == "nominal"
        else f"solved for {'the budgets' if settings.budgets else f'{origin.ratio:g}^phi times its MACs'} "
        f"within {settings.tolerance:.0%} ({family.rounding.depth} depths)"
    )
    return (
        f"{origin.baseline.name} ({format_count(cost_of(origin.baseline).macs)} MACs) along alpha {c.alpha:.3g}, "
        f"beta {c.beta:.3g}, gamma {c.gamma:.3g} ({origin.direction}), {how}"
    )


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: " ".join(map(str, value)) if isinstance(value, list) else value for key, value in row.items()}


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "network"


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=2, allow_nan=False) + "\n"
