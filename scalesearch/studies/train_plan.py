"""The network of a longer training: its spec fitted to the pictures, and the weights it starts from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scalesearch.arch.catalog import catalog_names, load_spec
from scalesearch.arch.cost import cost_of
from scalesearch.arch.spec import NetSpec
from scalesearch.errors import SpecError
from scalesearch.studies.train_settings import TrainSettings
from scalesearch.units import format_count

__all__ = ["StartingWeights", "sentence_of", "starting_weights", "trained_spec"]

_IMAGENET_CLASSES: Final = 1000  # what published networks give: no statement about the user's pictures
_HEADER_LIMIT: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class StartingWeights:
    """Weights to start from (tensors by name), and the classes of the classifier they bring."""

    state: Mapping[str, Any]
    num_classes: int


def trained_spec(settings: TrainSettings, *, num_classes: int, channels: int) -> NetSpec:
    """The network to train: SPEC with the pictures' classes and channels, and what settings override.

    Raises:
        SpecError: classes that do not match, or a resolution below the total stride.
        UnknownNameError: no such network.
    """
    spec = load_spec(settings.spec)
    named = settings.spec in catalog_names()
    stated = settings.num_classes
    if stated is None and not named and settings.init is None and spec.num_classes != _IMAGENET_CLASSES:
        stated = spec.num_classes
    if stated is not None and stated != num_classes:
        raise SpecError(
            f"the network must have the {num_classes} classes of {settings.pictures}",
            value=stated,
            way_out=f"set num_classes={num_classes}",
        )
    changes: dict[str, int] = {"num_classes": num_classes, "in_channels": channels}
    if settings.stem_stride is not None:
        changes["stem_stride"] = settings.stem_stride
    if settings.resolution is not None:
        changes["resolution"] = settings.resolution
    return spec.with_(**changes)


def starting_weights(path: str | None, spec: NetSpec) -> StartingWeights | None:
    """Read `--init`, checked against the network, its classes aside; None without it.

    Raises:
        InputError: not readable, corrupt, or the weights of another network: names the first tensor that differs.
        MissingPackageError: safetensors is not installed.
    """
    if path is None:
        return None
    from scalesearch.emit.weights import load_weights

    classes = _classes_in(Path(path)) or spec.num_classes
    return StartingWeights(load_weights(Path(path), spec.with_(num_classes=classes)), classes)


def sentence_of(spec: NetSpec, settings: TrainSettings, start: StartingWeights | None, pictures: str) -> str:
    """What is about to be trained."""
    cost = cost_of(spec)
    parts = [
        f"{spec.name} at {spec.resolution} px, {spec.num_classes} classes: {format_count(cost.macs)} multiply-adds, "
        f"{format_count(cost.params)} parameters; {settings.recipe.epochs} epochs on {pictures}"
    ]
    if start is not None:
        replaced = start.num_classes != spec.num_classes
        parts.append(
            f"starts from {settings.init}"
            + (f", its classifier of {start.num_classes} classes replaced" if replaced else "")
        )
    if settings.workers > 1:
        parts.append(f"{settings.workers} workers")
    return "; ".join(parts)


def _classes_in(path: Path) -> int | None:
    """Classes of the classifier in a safetensors file: its first 8 bytes give the length of a JSON header.

    None where that cannot be read; reading the weights then says why.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= _HEADER_LIMIT else {}
        return int(header["classifier.weight"]["shape"][0])
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
