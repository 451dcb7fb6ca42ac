"""How a network is trained for a short run: one frozen value, part of what identifies a trial."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Final

from scalesearch.errors import ConfigError, UnknownNameError

__all__ = ["OPTIMIZERS", "PRECISIONS", "Recipe"]

OPTIMIZERS: Final = ("adamw", "sgd", "rmsprop")
PRECISIONS: Final = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of one training.

    Args:
        epochs: passes over the training subset; the schedule always completes within them.
        batch_size: pictures per step.
        train_images: pictures drawn (stratified, seeded) from the training part; None takes all.
        val_images: pictures drawn from the validation part; None takes all.
        optimizer: one of `OPTIMIZERS`.
        learning_rate: peak rate for `batch_size` (not rescaled with it).
        momentum: of SGD and RMSProp; beta1 of AdamW.
        weight_decay: on weights of convolutions and linear layers, never on norms and biases.
        warmup: part of all steps in which the rate grows linearly from 0; then cosine to 0.
        label_smoothing: mass moved from the true class to all classes.
        ema_decay: exponential moving average of the weights, judged instead of the raw ones; 0 is off.
        drop_path: overrides the network's stochastic depth rate; None keeps the network's own.
        dropout: overrides the network's dropout; None keeps the network's own.
        zero_init_residual: start the last norm of every residual branch at zero.
        norm_momentum: overrides the network's batch-norm momentum, because a short run is over before running
            statistics of momentum 0.01 mean anything; None keeps the network's own.
        crop_padding: pixels of padding for the random crop at the trial's resolution, as a part of the side.
        flip: random horizontal flips.
        precision: "auto" is bfloat16 autocast on a GPU that has it and float32 on a CPU.
        threads: CPU threads of one training; part of the identity, because sums depend on it.

    Raises:
        ConfigError: a value outside these rules.
    """

    epochs: int = 1
    batch_size: int = 64
    train_images: int | None = None
    val_images: int | None = 5000
    optimizer: str = "adamw"
    learning_rate: float = 0.012
    momentum: float = 0.8
    weight_decay: float = 0.05
    warmup: float = 0.1
    label_smoothing: float = 0.0
    ema_decay: float = 0.0
    drop_path: float | None = 0.0
    dropout: float | None = 0.0
    zero_init_residual: bool = True
    norm_momentum: float | None = 0.1
    crop_padding: float = 0.0
    flip: bool = False
    precision: str = "auto"
    threads: int = 1

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise UnknownNameError.of("optimizer", self.optimizer, OPTIMIZERS)
        if self.precision not in PRECISIONS:
            raise UnknownNameError.of("precision", self.precision, PRECISIONS)
        for name in ("zero_init_residual", "flip"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"recipe.{name} must be true or false", value=getattr(self, name))
        for name, kind, low, high in _RANGES:
            _check_number(name, getattr(self, name), kind, low, high)

    @property
    def fingerprint(self) -> str:
        """16 hex digits over every setting."""
        return _fingerprint(self)


# remembered, because every trial of a study asks for that of one recipe
@lru_cache(maxsize=256)
def _fingerprint(recipe: Recipe) -> str:
    values = asdict(recipe)
    # numbers that compare equal (1 and 1.0) must give the same text
    values.update({name: float(values[name]) for name, *_ in _RANGES if values[name] is not None})
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


_OPTIONAL: Final = ("train_images", "val_images", "drop_path", "dropout", "norm_momentum")
_RANGES: Final[tuple[tuple[str, type, float, float], ...]] = (
    ("epochs", int, 1, 100_000),
    ("batch_size", int, 2, 65_536),
    ("train_images", int, 1, 10**9),
    ("val_images", int, 1, 10**9),
    ("learning_rate", float, 1e-9, 100),
    ("momentum", float, 0, 0.9999),
    ("weight_decay", float, 0, 10),
    ("warmup", float, 0, 0.9),
    ("label_smoothing", float, 0, 0.9),
    ("ema_decay", float, 0, 0.99999),
    ("drop_path", float, 0, 0.9),
    ("dropout", float, 0, 0.9),
    ("norm_momentum", float, 1e-6, 1),
    ("crop_padding", float, 0, 0.5),
    ("threads", int, 1, 1024),
)


def _check_number(name: str, value: object, kind: type, low: float, high: float) -> None:
    if value is None and name in _OPTIONAL:
        return
    allowed = (int,) if kind is int else (int, float)
    what = "a whole number" if kind is int else "a number"
    if not isinstance(value, allowed) or isinstance(value, bool):
        raise ConfigError(f"recipe.{name} must be {what}", value=value)
    if not low <= value <= high:
        raise ConfigError(f"recipe.{name} must lie in {low:g}..{high:g}", value=value)
