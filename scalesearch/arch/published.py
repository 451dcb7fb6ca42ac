"""Published families from their tables, and why their members are not alpha^phi, beta^phi, gamma^phi."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from scalesearch.arch.catalog import FAMILIES, catalog_spec
from scalesearch.arch.catalog_family import Family
from scalesearch.arch.cost import Cost, cost_of
from scalesearch.arch.family import PAPER, family_at_phis
from scalesearch.arch.scaling import Multipliers
from scalesearch.arch.spec import NetSpec
from scalesearch.errors import SpecError, UnknownNameError

__all__ = ["PublishedMember", "published_family", "why_released_differs"]


@dataclass(frozen=True, slots=True)
class PublishedMember:
    """One network of a published family.

    Attributes:
        spec: exactly as in the catalog.
        multipliers: of the published table, on the family's base; resolution is the table's side over the base's.
        cost: counted.
        realised_ratio: counted MACs over those of the family's base.
        phi_depth, phi_width, phi_resolution: the phi at which the paper's bases (1.2, 1.1, 1.15) give each multiplier.
        why: one line on how the member differs from the formula.
    """

    spec: NetSpec
    multipliers: Multipliers
    cost: Cost
    realised_ratio: float
    phi_depth: float
    phi_width: float
    phi_resolution: float
    why: str


def published_family(name: str) -> tuple[PublishedMember, ...]:
    """The members of a published family in the order of its table.

    Args:
        name: "efficientnet", "lite", "v2", "tinynet", or the catalog's longer name ("efficientnet_lite").

    Raises:
        UnknownNameError: no such family.
    """
    family = FAMILIES.get(name) or FAMILIES.get(f"efficientnet_{name}")
    if family is None:
        raise UnknownNameError.of("published family", name, FAMILIES)
    base_macs = cost_of(family.base).macs
    return tuple(_member(family, member, base_macs) for member in family.members)


def why_released_differs(name: str = "efficientnet") -> dict[str, str]:
    """One line per network of a family: the phi that its width, depth and resolution imply, and what it costs.

    The released B1 to B7 are a table that was set by hand; no one phi gives any of them.

    Raises:
        UnknownNameError: no such family.
    """
    return {member.spec.name: member.why for member in published_family(name)}


def _member(family: Family, name: str, base_macs: int) -> PublishedMember:
    row, spec = family.members[name], catalog_spec(name)
    at = Multipliers(row.depth, row.width, row.resolution / family.base.resolution)
    cost = cost_of(spec)
    ratio = cost.macs / base_macs
    # implied phi: log of the multiplier to the paper's base
    depth, width, resolution = (
        math.log(value) / math.log(base) + 0.0
        for value, base in ((at.depth, PAPER.alpha), (at.width, PAPER.beta), (at.resolution, PAPER.gamma))
    )
    why = (
        "the base"
        if at == Multipliers()
        else f"width x{row.width:g} is phi {width:.2f}, depth x{row.depth:g} is phi {depth:.2f}, {row.resolution} px "
        f"is phi {resolution:.2f}: no one phi; {_by_formula(family.base, name, ratio, (width, depth, resolution))}"
    )
    return PublishedMember(spec, at, cost, ratio, depth, width, resolution, why)


def _by_formula(base: NetSpec, name: str, ratio: float, phis: tuple[float, float, float]) -> str:
    """What the formula gives at the phi that the name promises (b3: 3), else at the whole phi next to the mean."""
    numbered = re.search(r"(?:_b|_lite)(\d+)$", name)
    phi = int(numbered[1]) if numbered else round(sum(phis) / 3)
    try:
        (member,) = family_at_phis(base, PAPER, [phi], solve="nominal")
    except SpecError:
        return f"it costs {_times(ratio)} the base"
    return f"it costs {_times(ratio)} the base, the formula at phi {phi} {_times(member.realised_ratio)}"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}x" if ratio >= 1000 else f"{ratio:.3g}x"
