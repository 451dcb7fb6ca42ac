"""What a grid will train: the baseline at its budget, the candidates around it, and their proxies. Counts only."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scalesearch.arch.catalog import load_spec
from scalesearch.arch.cost import cost_of
from scalesearch.arch.iso_cost import Candidate, Plan, fold, plan_candidates
from scalesearch.arch.proxy import colliding
from scalesearch.arch.rules import rule
from scalesearch.arch.scaling import Rounding
from scalesearch.arch.solve import rescale_to
from scalesearch.arch.spec import NetSpec
from scalesearch.errors import SpecError
from scalesearch.store.run_folder import RunFolder
from scalesearch.studies.grid_settings import GridSettings
from scalesearch.studies.proxy_warnings import proxy_warnings
from scalesearch.studies.trainings import check_pictures, stand_in, trial_recipe
from scalesearch.units import format_count

if TYPE_CHECKING:
    from scalesearch.data.prepare import SourceInfo

__all__ = [
    "GridPlan",
    "Proxies",
    "candidate_rows",
    "baseline_at",
    "plan_grid",
    "plan_proxies",
    "rows_to_csv",
    "write_plan",
]

# a baseline this close to the target is taken as it is: B0 costs 386M of the paper's "400M"
_BASELINE_TOLERANCE = 0.10
_RESCALING_RULE = "efficientnet"


@dataclass(frozen=True, slots=True)
class GridPlan:
    """Baseline and candidates at full size. `rescaled_from` is the named network where it was brought to the target."""

    plan: Plan
    rescaled_from: NetSpec | None

    @property
    def baseline(self) -> NetSpec:
        """The network that candidates scale."""
        return self.plan.baseline

    def sentence(self) -> str:
        """What was taken as the baseline, in words."""
        macs = format_count(self.plan.baseline_cost.macs)
        if self.rescaled_from is None:
            return f"baseline {self.baseline.name}: {macs} multiply-adds, within 10 % of the target"
        was = format_count(cost_of(self.rescaled_from).macs)
        return (
            f"baseline {self.rescaled_from.name} rescaled from {was} to {macs} multiply-adds "
            f"(depth {self.baseline.depth}, widths {self.baseline.widths[0]}-{self.baseline.widths[-1]}, "
            f"{self.baseline.resolution} px)"
        )


@dataclass(frozen=True, slots=True)
class Proxies:
    """The trained stand-ins of the kept candidates, by the candidate's fingerprint."""

    baseline_macs: int
    of: Mapping[str, NetSpec]
    warnings: tuple[str, ...] = ()

    @property
    def largest_side(self) -> int:
        """The highest resolution any of them is trained at, in px."""
        return max(proxy.resolution for proxy in self.of.values())

    def ratio(self, fingerprint: str) -> float:
        """MACs of a proxy over those of the baseline's proxy."""
        return cost_of(self.of[fingerprint]).macs / self.baseline_macs


def baseline_at(named: NetSpec, target_macs: int, rounding: Rounding) -> NetSpec:
    """The network itself where it costs about the target, else rescaled to it.

    Raises:
        BudgetError: no multiplier reaches the target.
    """
    if abs(cost_of(named).macs / target_macs - 1) <= _BASELINE_TOLERANCE:
        return named
    return rescale_to(named, target_macs, rule(_RESCALING_RULE), rounding)


def plan_grid(settings: GridSettings) -> GridPlan:
    """The baseline at its budget and every candidate around it.

    Raises:
        InputError: an unknown baseline, a target out of reach, an impossible constraint.
    """
    named = load_spec(settings.baseline)
    base = baseline_at(named, settings.target_macs, settings.iso_cost.rounding)
    return GridPlan(plan_candidates(base, settings.iso_cost), None if base == named else named)


def plan_proxies(grid: GridPlan, settings: GridSettings, info: SourceInfo) -> tuple[GridPlan, Proxies]:
    """Shrink every kept candidate for the data; those whose proxies would be one network become one candidate.

    Raises:
        SpecError: no candidate has a proxy of at least its total stride.
        DataError: the pictures of one training, or those it is judged on, cannot hold every class.
    """
    check_pictures(settings.proxy, settings.recipe, info)

    def shrink(spec: NetSpec) -> NetSpec:
        return stand_in(spec, settings.proxy, info, grid.baseline.resolution)

    shrunk, possible = _shrunk(grid.plan, shrink)
    folded = fold(possible, colliding([shrunk[candidate.fingerprint] for candidate in possible.kept]))
    proxies = Proxies(
        cost_of(shrink(grid.baseline)).macs,
        {candidate.fingerprint: shrunk[candidate.fingerprint] for candidate in folded.kept},
    )
    warnings = proxy_warnings(folded, proxies, trial_recipe(settings.proxy, settings.recipe, info.n_train), info)
    return replace(grid, plan=folded), replace(proxies, warnings=warnings)


def _shrunk(plan: Plan, shrink: Callable[[NetSpec], NetSpec]) -> tuple[dict[str, NetSpec], Plan]:
    """Every kept candidate's proxy by fingerprint, and the plan without those whose proxy cannot exist.

    Raises:
        SpecError: the first candidate's, where no proxy can exist.
    """
    proxies: dict[str, NetSpec] = {}
    errors: dict[str, SpecError] = {}
    for candidate in plan.kept:
        try:
            proxies[candidate.fingerprint] = shrink(candidate.spec)
        except SpecError as error:
            errors[candidate.fingerprint] = error
    if not proxies:
        raise next(iter(errors.values()))
    candidates = tuple(
        replace(c, kept=False, reason=f"cannot be trained: {errors[c.fingerprint].rule}")
        if c.fingerprint in errors
        else c
        for c in plan.candidates
    )
    return proxies, replace(plan, candidates=candidates)


def candidate_rows(
    grid: GridPlan, proxies: Proxies | None = None, fvcore: Mapping[str, int] | None = None
) -> list[dict[str, Any]]:
    """One row per realised network, kept ones first: the table candidates.csv."""
    ordered = sorted(grid.plan.candidates, key=lambda candidate: not candidate.kept)
    return [_row(candidate, proxies, fvcore or {}) for candidate in ordered]


def _row(candidate: Candidate, proxies: Proxies | None, fvcore: Mapping[str, int]) -> dict[str, Any]:
    c, spec = candidate.coefficients, candidate.spec
    proxy = proxies.of.get(candidate.fingerprint) if proxies else None
    return {
        "alpha": round(c.alpha, 6),
        "beta": round(c.beta, 6),
        "gamma": round(c.gamma, 6),
        "nominal_product": round(c.nominal_product, 6),
        "realised_ratio": round(candidate.realised_ratio, 6),
        "macs": candidate.cost.macs,
        "params": candidate.cost.params,
        "activations": candidate.cost.activations,
        "resolution": spec.resolution,
        "fingerprint": candidate.fingerprint,
        "rule": "+".join(candidate.rules),
        "kept": "true" if candidate.kept else "false",
        "reason": candidate.reason,
        "region": "; ".join(f"{r.alpha:g} {r.beta:g} {r.gamma:.4g}" for r in candidate.region),
        "name": spec.name,
        "depths": " ".join(map(str, spec.depths)),
        "widths": " ".join(map(str, spec.widths)),
        "fvcore_macs": fvcore.get(candidate.fingerprint),
        "proxy_resolution": proxy.resolution if proxy else None,
        "proxy_macs": cost_of(proxy).macs if proxy else None,
        "proxy_ratio": round(proxies.ratio(candidate.fingerprint), 6) if proxies and proxy else None,
    }


def rows_to_csv(rows: list[dict[str, Any]]) -> str:
    """Rows with equal keys as CSV text; None is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_plan(settings: GridSettings, folder: RunFolder, config_yaml: str) -> tuple[str, list[dict[str, Any]]]:
    """Count the candidates and write candidates.csv; the run can be continued with training.

    A run that has trained already keeps its own table, which knows more.

    Returns:
        What was taken as the baseline, in words, and the rows of candidates.csv.
    """
    grid = plan_grid(settings)
    rows = candidate_rows(grid)
    with folder.open(settings.identity(), config_yaml) as run:
        if not run.ledger.done_keys():
            run.write_text("candidates.csv", rows_to_csv(rows))
    return grid.sentence(), rows
