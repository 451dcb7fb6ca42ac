"""Where a family starts: a baseline and a direction of growth, named or taken from a finished run."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from scalesearch.arch.catalog import load_spec
from scalesearch.arch.family import coefficients_of
from scalesearch.arch.scaling import CompoundCoefficients, Rounding
from scalesearch.arch.solve import scaled_by
from scalesearch.arch.spec import NetSpec
from scalesearch.errors import ConfigError, RunFolderError
from scalesearch.store.finished import finished_run
from scalesearch.store.run import Run, load_run
from scalesearch.studies.family_settings import FamilySettings
from scalesearch.studies.grid_plan import baseline_at
from scalesearch.studies.grid_settings import GridSettings

__all__ = ["Origin", "origin_of", "run_to_scale"]

_DEFAULT_BASELINE: Final = "efficientnet_b0"
_DEFAULT_RULE: Final = "efficientnet"
_VERBS: Final = ("grid", "search")


@dataclass(frozen=True, slots=True)
class Origin:
    """What a family grows from.

    Attributes:
        baseline: the member at phi = 0.
        coefficients: alpha, beta, gamma.
        direction: in words, where the coefficients come from.
        ratio: MACs of one step of phi over those of the step before.
        rounding: of "realised"; None is the solver's own.
        winner: of a grid: the member at phi = 1 under "realised".
        notes: what a reader should know of the run.
    """

    baseline: NetSpec
    coefficients: CompoundCoefficients
    direction: str
    ratio: float = 2.0
    rounding: Rounding | None = None
    winner: NetSpec | None = None
    notes: tuple[str, ...] = ()


def run_to_scale(path: str | os.PathLike[str]) -> Run:
    """A finished grid or search.

    Raises:
        RunFolderError: not a run, a run of another verb, or one that is not finished.
    """
    run = load_run(path)
    if run.verb not in _VERBS:
        raise RunFolderError("--from takes a grid or a search", value=f"{run.verb}: {run.path}")
    return finished_run(path)


def origin_of(settings: FamilySettings, run: Run | None = None, grid: GridSettings | None = None) -> Origin:
    """The baseline and direction that the settings name.

    Args:
        run: the run of `settings.from_run`.
        grid: the settings of that run, where it is a grid.

    Raises:
        InputError: an unknown baseline, coefficients that do not grow, a run whose files no longer fit together,
            or a rule beside a grid, which has coefficients of its own.
    """
    if run is not None and grid is not None:
        return replace(_of_grid(run, grid, settings), ratio=settings.ratio or run.summary["ratio"])
    if run is not None:
        baseline = load_spec(run.path / "best.json")
    else:
        baseline = load_spec(settings.baseline or _DEFAULT_BASELINE)
    name = settings.rule or _DEFAULT_RULE
    growth = settings.coefficients or name
    direction = "as given" if settings.coefficients else f"rule {name}"
    return Origin(baseline, coefficients_of(growth), direction, settings.ratio or 2.0)


def _of_grid(run: Run, grid: GridSettings, settings: FamilySettings) -> Origin:
    """The winner's coefficients around the grid's own baseline; both must be what the run trained."""
    if settings.rule or settings.coefficients:
        raise ConfigError(
            "--from a grid brings its winner's coefficients",
            value=f"--rule {settings.rule}" if settings.rule else "--alpha --beta --gamma",
            way_out="leave one of them out",
        )
    summary = run.summary
    rounding = grid.iso_cost.rounding
    baseline = baseline_at(load_spec(grid.baseline), grid.target_macs, rounding)
    _check_same(run, "baseline", baseline, summary["baseline"])
    won = summary["winner"]
    coefficients = CompoundCoefficients(won["alpha"], won["beta"], won["gamma"])
    winner = scaled_by(baseline, coefficients.multipliers_at(1), rounding)
    _check_same(run, "winner", winner, won)
    return Origin(
        baseline=baseline,
        coefficients=coefficients_of(coefficients),
        direction=f"winner of {run.verb}/{run.name}",
        rounding=rounding,
        winner=winner if settings.ratio in (None, summary["ratio"]) else None,
        notes=_doubts(summary),
    )


def _check_same(run: Run, what: str, spec: NetSpec, noted: dict[str, Any]) -> None:
    if spec.fingerprint != noted["fingerprint"]:
        raise RunFolderError(
            f"the {what} of a run must be the network it trained, but its settings now give another one",
            value=str(run.path),
            way_out=f"restore {Path(run.config['baseline']).name if what == 'baseline' else 'its files'}, "
            "or name --baseline and --alpha --beta --gamma yourself",
        )


def _doubts(summary: dict[str, Any]) -> tuple[str, ...]:
    ties = summary.get("ties") or []
    if summary.get("enough_evidence") and not ties:
        return ()
    others = f"{len(ties)} other candidates are tied with it" if ties else "the evidence is thin"
    return (f"the grid names no single winner: {others}; its leading candidate is used",)
