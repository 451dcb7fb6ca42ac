"""How the proxies of a study are trained: the recipe of one training, and whether the pictures suffice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from scalesearch.arch.proxy import ProxySettings, proxy_of
from scalesearch.arch.spec import NetSpec
from scalesearch.data.prepared import PreparedData
from scalesearch.errors import DataError
from scalesearch.train.recipe import Recipe

if TYPE_CHECKING:
    from scalesearch.data.prepare import SourceInfo

__all__ = ["check_pictures", "enlarged", "few_steps", "stand_in", "trial_recipe"]

_STEPS: Final = 100  # fewer optimiser steps than this teach a fresh network next to nothing (docs/recipe.md)


def trial_recipe(proxy: ProxySettings, recipe: Recipe, n_train: int) -> Recipe:
    """The recipe of one training: the chosen one, on the proxy's part of the data, for the proxy's epochs."""
    pictures = round(proxy.data_fraction * n_train)
    at_most = recipe.train_images or pictures
    return replace(recipe, epochs=proxy.epochs, train_images=max(1, min(pictures, at_most)))


def stand_in(
    spec: NetSpec, proxy: ProxySettings, pictures: SourceInfo | PreparedData, baseline_resolution: int
) -> NetSpec:
    """The proxy of a network for these pictures; `baseline_resolution` (px, full size) becomes the proxy's.

    Raises:
        SpecError: it would be smaller than its total stride.
    """
    return proxy_of(
        spec,
        baseline_resolution=baseline_resolution,
        settings=proxy,
        num_classes=len(pictures.class_names),
        in_channels=pictures.channels,
    )


def check_pictures(proxy: ProxySettings, recipe: Recipe, info: SourceInfo) -> None:
    """Refuse a training, or a validation, that cannot see every class.

    Raises:
        DataError: fewer pictures than classes.
    """
    one, classes = trial_recipe(proxy, recipe, info.n_train), len(info.class_names)
    judged_on = min(recipe.val_images or info.n_val, info.n_val)
    for what, pictures, key in (
        ("a training", one.train_images or info.n_train, "proxy.data_fraction and recipe.train_images"),
        ("its validation", judged_on, "recipe.val_images or data.val_fraction"),
    ):
        if pictures < classes:
            raise DataError(
                f"{what} needs a picture of each of the {classes} classes", value=pictures, way_out=f"raise {key}"
            )


def enlarged(largest_side: int, info: SourceInfo) -> Iterator[str]:
    """A warning where proxies are larger than the pictures."""
    if largest_side > info.native_side:
        yield (
            f"pictures of {info.native_side} px are enlarged for proxies of up to {largest_side} px: "
            "resolution adds computation there but no detail"
        )


def few_steps(recipe: Recipe, info: SourceInfo) -> Iterator[str]:
    """A warning where a training is too short to mean anything."""
    pictures = min(recipe.train_images or info.n_train, info.n_train)
    steps = recipe.epochs * (pictures // min(recipe.batch_size, pictures))
    if steps < _STEPS:
        epochs = -(-_STEPS * recipe.batch_size // info.n_train)
        yield (
            f"a training has {steps} steps, too few to learn much: "
            f"proxy.data_fraction=1 proxy.epochs={max(epochs, recipe.epochs)} gives {_STEPS} or more"
        )
