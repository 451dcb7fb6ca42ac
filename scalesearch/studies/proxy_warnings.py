"""What a proxy distorts, said before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from scalesearch.arch.iso_cost import Plan
from scalesearch.studies.trainings import enlarged, few_steps

if TYPE_CHECKING:
    from scalesearch.data.prepare import SourceInfo
    from scalesearch.studies.grid_plan import Proxies
    from scalesearch.train.recipe import Recipe

__all__ = ["proxy_warnings"]

_SPREAD = 1.1  # proxies' cost per cost of their candidates, dearest over cheapest


def proxy_warnings(plan: Plan, proxies: Proxies, recipe: Recipe, info: SourceInfo) -> tuple[str, ...]:
    """One line for everything that makes the trained networks differ from the counted ones."""
    return tuple(
        line
        for lines in (
            _folded(plan),
            _uneven(plan, proxies),
            enlarged(proxies.largest_side, info),
            few_steps(recipe, info),
        )
        for line in lines
    )


def _folded(plan: Plan) -> Iterator[str]:
    count = sum(len(candidate.folded) for candidate in plan.kept)
    if count:
        yield f"candidates that share a proxy with another and were folded into it: {count}; the proxy is too coarse"


def _uneven(plan: Plan, proxies: Proxies) -> Iterator[str]:
    shares = [proxies.ratio(candidate.fingerprint) / candidate.realised_ratio for candidate in plan.kept]
    spread = max(shares) / min(shares)
    if spread > _SPREAD:
        yield (
            f"proxies get {min(shares):.2f} to {max(shares):.2f} times the compute their candidates' cost would give "
            "them, because feature maps of a few px round up (a larger proxy.resolution may narrow this)"
        )
