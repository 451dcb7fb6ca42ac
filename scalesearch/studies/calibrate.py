"""How long a training takes on this machine, from a few steps of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from scalesearch.arch.cost import cost_of
from scalesearch.arch.spec import NetSpec
from scalesearch.data.prepared import PreparedData
from scalesearch.train.recipe import Recipe
from scalesearch.train.trainer import train_net

__all__ = ["calibrate"]

_STEPS: Final = 5
# a picture costs a forward pass in validation and about three times that in training (forward and backward)
_VALIDATION_SHARE: Final = 1 / 3


def calibrate(specs: Sequence[NetSpec], recipe: Recipe, data: PreparedData) -> float:
    """Seconds that one training takes on average over `specs`, measured on the cheapest and the dearest of them.

    A few steps of each are timed in this process, after one warm-up training; a guess for the user, never a
    decision: the budget is set by the trainings themselves.
    """
    ordered = sorted(specs, key=lambda spec: cost_of(spec).macs)
    n_train = min(recipe.train_images or data.n_train, data.n_train)
    n_val = min(recipe.val_images or data.n_val, data.n_val)
    few = replace(
        recipe,
        epochs=1,
        train_images=min(n_train, _STEPS * recipe.batch_size),
        val_images=min(n_val, recipe.batch_size),
    )
    train_net(ordered[0], replace(few, train_images=min(n_train, recipe.batch_size)), data, seed=0)
    per_picture = [_seconds_per_picture(spec, few, data) for spec in (ordered[0], ordered[-1])]
    mean = sum(per_picture) / len(per_picture)
    return mean * (recipe.epochs * n_train + _VALIDATION_SHARE * n_val)


def _seconds_per_picture(spec: NetSpec, recipe: Recipe, data: PreparedData) -> float:
    result = train_net(spec, recipe, data, seed=0)
    return result.train_seconds / (result.steps * min(recipe.batch_size, result.n_train))
