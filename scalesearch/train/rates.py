"""The learning rate of a longer training, as a pure function of the step: nothing to save, nothing to restore."""

from __future__ import annotations

import math

from scalesearch.train.long_recipe import LongRecipe

__all__ = ["long_rate_factor"]


def long_rate_factor(recipe: LongRecipe, step: int, steps_per_epoch: int) -> float:
    """Share of the peak rate in `step`, counted from 0 over the whole training.

    Warm-up: (step + 1) / warm-up steps. Cosine: (1 + cos(pi * t)) / 2 with t from the end of the warm-up to that of
    the training (arXiv 1608.03983). Exponential: decay^floor(epoch / decay_epochs), epochs counted from the start of
    the training as in EfficientNet's released code (arXiv 1905.11946, section 5.2: 0.97 every 2.4 epochs).
    """
    warmup_steps = round(recipe.warmup_epochs * steps_per_epoch)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if recipe.schedule == "exponential":
        return recipe.decay ** math.floor(step / (recipe.decay_epochs * steps_per_epoch))
    t = (step - warmup_steps) / max(1, recipe.epochs * steps_per_epoch - warmup_steps)
    return (1 + math.cos(math.pi * min(1.0, t))) / 2
