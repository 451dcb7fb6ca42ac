"""One network of a family, with everything that leads to it."""

from __future__ import annotations

from dataclasses import dataclass

from scalesearch.arch.cost import Cost, cost_of
from scalesearch.arch.regularisation import regularisation_at
from scalesearch.arch.scaling import Multipliers
from scalesearch.arch.spec import NetSpec

__all__ = ["Member", "member_of"]


@dataclass(frozen=True, slots=True)
class Member:
    """One network of a family.

    Attributes:
        name: of the network, an identifier where the baseline's name is one.
        phi: as asked for; for a budget, the log of its ratio to the baseline's MACs, to the base of one step.
        phi_used: whose multipliers were rounded; equal to `phi` where nothing was solved.
        multipliers: on depth, width and resolution, before rounding.
        spec: the realised network, with its dropout and drop-path rates.
        cost: its counted cost.
        dropout, drop_path: rates, see `regularisation_at`.
        nominal_ratio: d * w^2 * r^2 of the multipliers.
        realised_ratio: counted MACs over the baseline's.
        target_ratio: what was asked for, over the baseline's MACs.
        resolution_trim: the resolution over that of the multipliers, less 1: how much of the gap it fills.
        note: what a reader should know; empty for most.
    """

    name: str
    phi: float
    phi_used: float
    multipliers: Multipliers
    spec: NetSpec
    cost: Cost
    dropout: float
    drop_path: float
    nominal_ratio: float
    realised_ratio: float
    target_ratio: float
    resolution_trim: float = 0.0
    note: str = ""

    @property
    def miss(self) -> float:
        """Relative distance of counted MACs from what was asked for."""
        return self.realised_ratio / self.target_ratio - 1


def member_of(
    base: NetSpec,
    spec: NetSpec,
    *,
    name: str,
    phi: float,
    phi_used: float,
    multipliers: Multipliers,
    target_ratio: float,
    resolution_trim: float = 0.0,
    note: str = "",
) -> Member:
    """A member from its network: cost, ratios and regularisation follow."""
    dropout, drop_path = regularisation_at(base, phi)
    cost = cost_of(spec)
    return Member(
        name=name,
        phi=phi,
        phi_used=phi_used,
        multipliers=multipliers,
        spec=spec.with_(name=name, dropout=dropout, drop_path=drop_path),
        cost=cost,
        dropout=dropout,
        drop_path=drop_path,
        nominal_ratio=multipliers.nominal_product,
        realised_ratio=cost.macs / cost_of(base).macs,
        target_ratio=target_ratio,
        resolution_trim=resolution_trim,
        note=note,
    )
