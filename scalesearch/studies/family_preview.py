"""The first members of the family that a winner implies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scalesearch.arch.cost import cost_of
from scalesearch.arch.iso_cost import Candidate
from scalesearch.arch.scaling import CompoundCoefficients
from scalesearch.arch.solve import best_resolution, scaled_by
from scalesearch.errors import SpecError
from scalesearch.studies.grid_plan import GridPlan
from scalesearch.studies.grid_settings import GridSettings

__all__ = ["phi_preview"]


def phi_preview(
    grid: GridPlan, winner: Candidate, settings: GridSettings, phis: Iterable[int] = range(4)
) -> list[dict[str, Any]]:
    """The first members of the winner's family: rounded nominally, and brought to ratio^phi on counted MACs."""
    base, base_macs = grid.baseline, grid.plan.baseline_cost.macs
    coefficients: CompoundCoefficients = winner.coefficients
    rows = []
    for phi in phis:
        at = coefficients.multipliers_at(phi)
        try:
            nominal = scaled_by(base, at, settings.iso_cost.rounding)
        except SpecError:  # the family ends where a network can no longer be written down
            break
        ideal = settings.iso_cost.ratio**phi
        side = best_resolution(nominal, ideal * base_macs, low=nominal.total_stride)
        rows.append(
            {
                "phi": phi,
                "depth": at.depth,
                "width": at.width,
                "resolution": at.resolution,
                "ideal_ratio": ideal,
                "nominal_resolution": nominal.resolution,
                "nominal_ratio": cost_of(nominal).macs / base_macs,
                "realised_resolution": side,
                "realised_ratio": cost_of(nominal, resolution=side).macs / base_macs,
                "macs": cost_of(nominal, resolution=side).macs,
            }
        )
    return rows
