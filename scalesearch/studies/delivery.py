"""From names, spec files, families and runs to the networks that `emit` writes, and where they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from scalesearch.arch.catalog import load_spec
from scalesearch.arch.spec import NetSpec
from scalesearch.emit.emit import Emitted, emit
from scalesearch.errors import InputError, RunFolderError
from scalesearch.studies.training_facts import training_facts

__all__ = ["Delivery", "deliver", "gather"]

_TRAINED: Final = "weights.safetensors"
_PROVENANCE: Final = ("sentence", "direction", "coefficients", "baseline", "solve", "settings")


@dataclass(frozen=True, slots=True)
class Delivery:
    """Networks to emit, what the model card says of their origin, and weights of those that `train` trained."""

    specs: tuple[NetSpec, ...]
    provenance: Mapping[str, Any]
    weights: Mapping[str, Path] = field(default_factory=dict)


def gather(names: Sequence[str], runs_dir: str | Path) -> Delivery:
    """The networks of catalog names, spec files, and folders of `scale` (its family), `search` (its best) or `train`.

    Raises:
        InputError: a name that is none of these, or a folder without a network.
    """
    specs: list[NetSpec] = []
    provenance: dict[str, Any] = {}
    weights: dict[str, Path] = {}
    for name in names:
        folder = next((path for path in (Path(name), Path(runs_dir) / name) if path.is_dir()), None)
        if folder is None:
            specs.append(load_spec(name))
            continue
        found = sorted((folder / "specs").glob("*.json")) or [*folder.glob("best.json"), *folder.glob("spec.json")]
        if not found:
            raise RunFolderError(
                "a folder to emit holds specs/ (of scale), best.json (of search) or spec.json (of train)",
                value=str(folder),
                way_out="run `scalesearch scale` first, finish the training, or name spec files",
            )
        specs += [load_spec(path) for path in found]
        if (folder / _TRAINED).is_file():
            weights[specs[-1].name] = folder / _TRAINED
        else:
            provenance |= _origin(folder)
    return Delivery(tuple(specs), provenance, weights)


def deliver(
    delivery: Delivery,
    out: Path,
    formats: Sequence[str],
    *,
    weights: Sequence[str] = (),
    verify: bool = True,
    calibration: Any = None,
) -> list[Emitted]:
    """Write the networks.

    Args:
        weights: "FILE.safetensors" for a single network, or "NAME=FILE.safetensors"; what a folder of `train` says of
            data, recipe and accuracy goes to the model card.
        calibration: normalised pictures for 8-bit ONNX files (`train.calibration`).

    Raises:
        InputError: weights of no network, of another one, or everything that `emit` refuses.
    """
    paths = dict(delivery.weights)
    for text in weights:
        name, path = _named(text, delivery.specs)
        if name not in [spec.name for spec in delivery.specs]:
            raise InputError("--weights names a network that is emitted", value=name, way_out="NAME=FILE.safetensors")
        paths[name] = path
    states: dict[str, Mapping[str, Any]] = {}
    trained: dict[str, dict[str, Any]] = {}
    for spec in delivery.specs:
        if spec.name in paths:
            from scalesearch.emit.weights import load_weights

            states[spec.name] = load_weights(paths[spec.name], spec)
            for key, values in training_facts(paths[spec.name].parent).items():
                trained.setdefault(key, {})[spec.name] = values
    return emit(
        delivery.specs,
        out,
        formats,
        weights=states,
        provenance={**trained, **delivery.provenance},
        verify=verify,
        calibration=calibration,
    )


def _named(text: str, specs: Sequence[NetSpec]) -> tuple[str, Path]:
    name, separator, path = text.partition("=")
    if separator:
        return name, Path(path)
    if len(specs) != 1:
        raise InputError("of several networks --weights names one", value=text, way_out="NAME=FILE.safetensors")
    return specs[0].name, Path(text)


def _origin(folder: Path) -> dict[str, Any]:
    """What the summary of a run says of its networks, without the machine's paths."""
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(summary, dict):
        return {}
    known = {key: summary[key] for key in _PROVENANCE if key in summary}
    known.get("settings", {}).pop("runs_dir", None) if isinstance(known.get("settings"), dict) else None
    return {"run": f"{folder.parent.name}/{folder.name}", **known}
