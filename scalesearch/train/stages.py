"""Progressive learning: picture size and regularisation of every part of a training."""

from __future__ import annotations

from dataclasses import dataclass

from scalesearch.errors import ConfigError
from scalesearch.train.long_recipe import LongRecipe

__all__ = ["TrainStage", "stage_at", "stages_of"]


@dataclass(frozen=True, slots=True)
class TrainStage:
    """Epochs `first` up to but not including `end`, counted from 0, with their side in pixels and regularisation."""

    first: int
    end: int
    resolution: int
    dropout: float
    magnitude: float
    mixup: float


def stages_of(recipe: LongRecipe, *, resolution: int, dropout: float, total_stride: int) -> tuple[TrainStage, ...]:
    """The stages of a training; one where nothing grows.

    Every value is that of EfficientNetV2's algorithm 1: v_i = v_0 + (v_e - v_0) * i / (M - 1) in stage i of M, the
    side rounded to whole pixels.

    Args:
        resolution: of the last stage, in pixels.
        dropout: of the last stage.
        total_stride: of the network: no stage may be smaller.

    Raises:
        ConfigError: the first stage's pictures would be smaller than the network's total stride.
    """
    growth, augment, count = recipe.growth, recipe.augment, recipe.growth.stages
    if count == 1:
        return (TrainStage(0, recipe.epochs, resolution, dropout, augment.magnitude, augment.mixup),)
    smallest = round(growth.resolution * resolution)
    if smallest < total_stride:
        raise ConfigError(
            f"pictures of the first stage need at least the network's total stride, {total_stride} px",
            value=f"{smallest} px",
            way_out="raise recipe.growth.resolution or --resolution",
        )

    def grown(first: float, last: float, stage: int) -> float:
        return first + (last - first) * stage / (count - 1)

    bounds = [round(recipe.epochs * stage / count) for stage in range(count + 1)]
    return tuple(
        TrainStage(
            first=bounds[stage],
            end=bounds[stage + 1],
            resolution=round(grown(smallest, resolution, stage)),
            dropout=grown(min(growth.dropout, dropout), dropout, stage),
            magnitude=grown(min(growth.magnitude, augment.magnitude), augment.magnitude, stage),
            mixup=grown(min(growth.mixup, augment.mixup), augment.mixup, stage),
        )
        for stage in range(count)
    )


def stage_at(stages: tuple[TrainStage, ...], epoch: int) -> TrainStage:
    """The stage that `epoch`, counted from 0, belongs to."""
    return next(stage for stage in stages if stage.first <= epoch < stage.end)
