"""How many trials of a study share one GPU."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from scalesearch.arch.spec import NetSpec
from scalesearch.engine.packing import free_gpu_memory, packed
from scalesearch.engine.settings import EngineSettings
from scalesearch.train.memory import estimate_memory
from scalesearch.train.recipe import Recipe

if TYPE_CHECKING:
    from scalesearch.data.prepare import SourceInfo

__all__ = ["sharing_gpus"]


def sharing_gpus(engine: EngineSettings, specs: Iterable[NetSpec], recipe: Recipe, info: SourceInfo) -> EngineSettings:
    """The engine's settings with the share of a GPU that fits the largest of the trials to come; see `packed`."""
    if not engine.pack:
        return engine
    pictures = (recipe.train_images or info.n_train) + min(recipe.val_images or info.n_val, info.n_val)
    # in float32, whatever the precision: an estimate that is too large costs less than one that is too small
    estimates = [estimate_memory(spec, recipe, pictures=pictures) for spec in specs]
    return packed(engine, estimates, free_gpu_memory())
