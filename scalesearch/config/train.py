"""The shape of conf/train.yaml, and the settings it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalesearch.config.build import build
from scalesearch.data.settings import DataSettings
from scalesearch.studies.train_settings import TrainSettings
from scalesearch.train.long_recipe import LongRecipe

__all__ = ["TrainConfig", "train_settings"]


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """The shape of conf/train.yaml."""

    spec: str
    resolution: int | None
    stem_stride: int | None
    num_classes: int | None
    epochs: int | None
    init: str | None
    stream: str | None
    workers: int
    device: str
    max_failures: int
    export: str
    keep: int
    mirror: str | None
    tensorboard: bool
    seed: int
    runs_dir: str
    data: DataSettings
    recipe: LongRecipe
    debug: Any = None


def train_settings(values: Mapping[str, Any]) -> TrainSettings:
    """The settings of a longer training from composed values.

    Raises:
        ConfigError and other InputErrors: a value that breaks a rule.
    """
    given = dict(values)
    if given.get("epochs") is not None and isinstance(given.get("recipe"), Mapping):
        # before the recipe is built, because its other settings are checked against its epochs
        given["recipe"] = {**given["recipe"], "epochs": given["epochs"]}
    config = build(TrainConfig, given)
    return TrainSettings(
        spec=config.spec,
        data=config.data,
        recipe=config.recipe,
        resolution=config.resolution,
        stem_stride=config.stem_stride,
        num_classes=config.num_classes,
        init=config.init,
        stream=config.stream,
        workers=config.workers,
        device=config.device,
        max_failures=config.max_failures,
        export=config.export,
        keep=config.keep,
        mirror=config.mirror,
        tensorboard=config.tensorboard,
        seed=config.seed,
        runs_dir=config.runs_dir,
    )
