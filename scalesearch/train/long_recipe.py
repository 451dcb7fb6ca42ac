"""How a network is trained for a longer run: what a short recipe says, and schedule, augmentation and growth."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field, fields
from typing import Final

from scalesearch.errors import ConfigError, UnknownNameError
from scalesearch.train.recipe import Recipe

__all__ = ["SCHEDULES", "AugmentSettings", "GrowthSettings", "LongRecipe"]

SCHEDULES: Final = ("cosine", "exponential")


@dataclass(frozen=True, slots=True)
class AugmentSettings:
    """What is done to the pictures of a batch, on top of the recipe's crop and flip.

    Args:
        operations: RandAugment's N, operations in a row on every picture; 0 is off (arXiv 1909.13719).
        magnitude: RandAugment's M, strength of every operation, 0..10.
        mixup: alpha of the Beta distribution that mixes pairs of pictures; 0 is off (arXiv 1710.09412).
        erasing: probability that a random rectangle of a picture is erased (arXiv 1708.04896).

    Raises:
        ConfigError: a value outside these rules.
    """

    operations: int = 0
    magnitude: float = 9.0
    mixup: float = 0.0
    erasing: float = 0.0

    def __post_init__(self) -> None:
        _check_range("augment.operations", self.operations, 0, 10)
        _check_range("augment.magnitude", self.magnitude, 0, 10)
        _check_range("augment.mixup", self.mixup, 0, 10)
        _check_range("augment.erasing", self.erasing, 0, 1)


@dataclass(frozen=True, slots=True)
class GrowthSettings:
    """Progressive learning: picture size and regularisation grow in stages (EfficientNetV2, arXiv 2104.00298, 4.2).

    Args:
        stages: equal parts of the epochs; 1 is off.
        resolution: side of the first stage, as a part of the last one's.
        dropout: of the first stage; the last one's is the recipe's.
        magnitude: the same for augment.magnitude.
        mixup: the same for augment.mixup.

    Raises:
        ConfigError: a value outside these rules.
    """

    stages: int = 1
    resolution: float = 0.5
    dropout: float = 0.1
    magnitude: float = 5.0
    mixup: float = 0.0

    def __post_init__(self) -> None:
        _check_range("growth.stages", self.stages, 1, 100)
        _check_range("growth.resolution", self.resolution, 0.1, 1)
        _check_range("growth.dropout", self.dropout, 0, 0.9)
        _check_range("growth.magnitude", self.magnitude, 0, 10)
        _check_range("growth.mixup", self.mixup, 0, 10)


@dataclass(frozen=True, slots=True)
class LongRecipe:
    """Settings of one longer training; those not described here are those of `Recipe`.

    Args:
        epochs: passes over the training part; a cosine always completes within them.
        batch_size: pictures per step, of all workers together.
        schedule: after the warm-up, "cosine" to 0, or "exponential": `decay` every `decay_epochs`, in steps.
        warmup_epochs: in which the rate grows linearly from 0.
        freeze_epochs: at the start only the classifier learns; for weights that were trained before.
        threads: CPU threads of each worker.

    Raises:
        ConfigError, UnknownNameError: a value outside these rules.
    """

    epochs: int = 30
    batch_size: int = 128
    train_images: int | None = None
    val_images: int | None = None
    optimizer: str = "adamw"
    learning_rate: float = 0.004
    momentum: float = 0.9
    weight_decay: float = 0.05
    schedule: str = "cosine"
    warmup_epochs: float = 1.0
    decay: float = 0.97
    decay_epochs: float = 2.4
    label_smoothing: float = 0.1
    ema_decay: float = 0.999
    drop_path: float | None = None
    dropout: float | None = None
    zero_init_residual: bool = True
    norm_momentum: float | None = 0.1
    crop_padding: float = 0.0
    flip: bool = False
    freeze_epochs: int = 0
    precision: str = "auto"
    threads: int = 1
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    growth: GrowthSettings = field(default_factory=GrowthSettings)

    def __post_init__(self) -> None:
        self.short  # noqa: B018 - which checks what both recipes have
        if self.schedule not in SCHEDULES:
            raise UnknownNameError.of("schedule", self.schedule, SCHEDULES)
        _check_range("warmup_epochs", self.warmup_epochs, 0, 1000)
        _check_range("decay", self.decay, 0.01, 1)
        _check_range("decay_epochs", self.decay_epochs, 0.01, 10_000)
        _check_range("freeze_epochs", self.freeze_epochs, 0, 100_000)
        if self.warmup_epochs > self.epochs:
            raise ConfigError(
                f"recipe.warmup_epochs must be at most the {self.epochs} epochs",
                value=self.warmup_epochs,
                way_out=f"try {self.epochs / 10:g}",
            )
        if self.freeze_epochs >= self.epochs:
            raise ConfigError(
                f"recipe.freeze_epochs must leave some of the {self.epochs} epochs to the whole network",
                value=self.freeze_epochs,
                way_out="lower it or raise --epochs",
            )
        if self.growth.stages > self.epochs:
            raise ConfigError(
                f"recipe.growth.stages must be at most the {self.epochs} epochs",
                value=self.growth.stages,
                way_out="lower it or raise --epochs",
            )

    @property
    def short(self) -> Recipe:
        """What optimiser, precision and initial weights are made of."""
        return Recipe(warmup=0.0, **{name: getattr(self, name) for name in _SHARED})

    @property
    def fingerprint(self) -> str:
        """16 hex digits over every setting; numbers that compare equal (1 and 1.0) give the same."""
        return hashlib.sha256(json.dumps(_floats(asdict(self)), sort_keys=True).encode()).hexdigest()[:16]


_SHARED: Final = tuple(each.name for each in fields(Recipe) if each.name != "warmup")


def _floats(value: object) -> object:
    if isinstance(value, dict):
        return {key: _floats(part) for key, part in value.items()}
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"recipe.{name} must be a number", value=value)
    if not low <= value <= high:
        raise ConfigError(f"recipe.{name} must lie in {low:g}..{high:g}", value=value)
