"""What a proxy distorts, said before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from scalesearch.arch.iso_cost import Plan

if TYPE_CHECKING:
    from scalesearch.data.prepare import SourceInfo
    from scalesearch.studies.grid_plan import Proxies
    from scalesearch.train.recipe import Recipe

__all__ = ["proxy_warnings"]

_SPREAD = 1.1  # proxies' cost per cost of their candidates, dearest over cheapest
_STEPS = 100  # fewer optimiser steps than this teach a fresh network next to nothing (docs/recipe.md)


def proxy_warnings(plan: Plan, proxies: Proxies, recipe: Recipe, info: SourceInfo) -> tuple[str, ...]:
    """One line for everything that makes the trained networks differ from the counted ones."""
    return tuple(
        line
        for lines in (_folded(plan), _uneven(plan, proxies), _enlarged(proxies, info), _few_steps(recipe, info))
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


def _enlarged(proxies: Proxies, info: SourceInfo) -> Iterator[str]:
    if proxies.largest_side > info.native_side:
        yield (
            f"pictures of {info.native_side} px are enlarged for proxies of up to {proxies.largest_side} px: "
            "resolution adds computation there but no detail"
        )


def _few_steps(recipe: Recipe, info: SourceInfo) -> Iterator[str]:
    pictures = min(recipe.train_images or info.n_train, info.n_train)
    steps = recipe.epochs * (pictures // min(recipe.batch_size, pictures))
    if steps < _STEPS:
        epochs = -(-_STEPS * recipe.batch_size // info.n_train)
        yield (
            f"a training has {steps} steps, too few to learn much: "
            f"proxy.data_fraction=1 proxy.epochs={max(epochs, recipe.epochs)} gives {_STEPS} or more"
        )
