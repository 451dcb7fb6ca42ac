"""What `scalesearch train` is asked to do: one frozen value."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from scalesearch.arch.catalog import load_spec
from scalesearch.data.settings import DataSettings
from scalesearch.errors import ConfigError, InputError, UnknownNameError
from scalesearch.train.long_recipe import LongRecipe

__all__ = ["DEVICES", "EXPORTS", "TrainSettings"]

EXPORTS: Final = ("last", "best")
DEVICES: Final = ("auto", "cpu", "cuda")


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Settings of `scalesearch train`; conf/train.yaml says what each means.

    Raises:
        ConfigError, UnknownNameError: a value out of range.
    """

    spec: str
    data: DataSettings
    recipe: LongRecipe = field(default_factory=LongRecipe)
    resolution: int | None = None
    stem_stride: int | None = None
    num_classes: int | None = None
    init: str | None = None
    stream: str | None = None
    workers: int = 1
    device: str = "auto"
    max_failures: int = 3
    export: str = "last"
    keep: int = 1
    mirror: str | None = None
    tensorboard: bool = False
    seed: int = 0
    runs_dir: str = "runs"

    def __post_init__(self) -> None:
        if self.export not in EXPORTS:
            raise UnknownNameError.of("export", self.export, EXPORTS)
        if self.device not in DEVICES:
            raise UnknownNameError.of("device", self.device, DEVICES)
        for name, value, low, high in (
            ("resolution", self.resolution, 1, 4096),
            ("stem_stride", self.stem_stride, 1, 2),
            ("num_classes", self.num_classes, 1, 100_000),
            ("workers", self.workers, 1, 1024),
            ("max_failures", self.max_failures, 0, 100),
            ("keep", self.keep, 1, 1000),
            ("seed", self.seed, 0, 2**31 - 1),
        ):
            if value is not None and not low <= value <= high:
                raise ConfigError(f"{name} must lie in {low}..{high}", value=value)
        if self.stream is not None and (self.recipe.train_images or self.recipe.val_images):
            raise ConfigError("shards are streamed as a whole", way_out="leave recipe.train_images and val_images out")
        if self.recipe.freeze_epochs and self.init is None:
            raise ConfigError(
                "recipe.freeze_epochs is for weights that were trained before",
                value=self.recipe.freeze_epochs,
                way_out="give --init, or set it to 0",
            )
        if self.recipe.batch_size % self.workers:
            raise ConfigError(
                f"recipe.batch_size is divided equally between {self.workers} workers",
                value=self.recipe.batch_size,
                way_out=f"choose a multiple of {self.workers}",
            )

    @property
    def pictures(self) -> str:
        """What the pictures are called."""
        return self.data.name if self.stream is None else Path(self.stream).name

    def identity(self) -> dict[str, Any]:
        """What a resumed training must share with its first start: everything that changes its weights.

        Raises:
            InputError: the weights to start from cannot be read.
        """
        values = asdict(self)
        for key in ("device", "max_failures", "keep", "mirror", "tensorboard", "runs_dir"):
            del values[key]
        if self.stream is not None:
            # which pictures they are is guarded by their fingerprint
            values["stream"], values["data"] = "shards", {"path": None, "root": None, "cache_dir": None}
        for key in ("path", "root", "cache_dir"):
            del values["data"][key]
        # files are known by what they hold, not by where they lie
        values["spec"] = load_spec(self.spec).fingerprint
        values["init"] = None if self.init is None else _sha256(Path(self.init))
        return values


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError("--init must be a readable file", value=str(path), way_out=str(error.strerror)) from error
