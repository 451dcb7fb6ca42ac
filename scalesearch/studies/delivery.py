"""From names, spec files, families and runs to the networks that `emit` writes, and where they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scalesearch.arch.catalog import load_spec
from scalesearch.arch.spec import NetSpec
from scalesearch.emit.emit import Emitted, emit
from scalesearch.errors import InputError, RunFolderError

__all__ = ["Delivery", "deliver", "gather"]

_PROVENANCE: Final = ("sentence", "direction", "coefficients", "baseline", "solve", "settings")


@dataclass(frozen=True, slots=True)
class Delivery:
    """Networks to emit, and what the model card says of their origin."""

    specs: tuple[NetSpec, ...]
    provenance: Mapping[str, Any]


def gather(names: Sequence[str], runs_dir: str | Path) -> Delivery:
    """The networks of catalog names, spec files, and folders of `scale` (its family) or `search` (its best).

    Raises:
        InputError: a name that is none of these, or a folder without a network.
    """
    specs: list[NetSpec] = []
    provenance: dict[str, Any] = {}
    for name in names:
        folder = next((path for path in (Path(name), Path(runs_dir) / name) if path.is_dir()), None)
        if folder is None:
            specs.append(load_spec(name))
            continue
        found = sorted((folder / "specs").glob("*.json")) or list(folder.glob("best.json"))
        if not found:
            raise RunFolderError(
                "a folder to emit holds specs/ (of scale) or best.json (of search)",
                value=str(folder),
                way_out="run `scalesearch scale` first, or name spec files",
            )
        specs += [load_spec(path) for path in found]
        provenance |= _origin(folder)
    return Delivery(tuple(specs), provenance)


def deliver(
    delivery: Delivery, out: Path, formats: Sequence[str], *, weights: Sequence[str] = (), verify: bool = True
) -> list[Emitted]:
    """Write the networks.

    Args:
        weights: "FILE.safetensors" for a single network, or "NAME=FILE.safetensors".

    Raises:
        InputError: weights of no network, of another one, or everything that `emit` refuses.
    """
    states: dict[str, Mapping[str, Any]] = {}
    for text in weights:
        name, path = _named(text, delivery.specs)
        spec = next((spec for spec in delivery.specs if spec.name == name), None)
        if spec is None:
            raise InputError("--weights names a network that is emitted", value=name, way_out="NAME=FILE.safetensors")
        from scalesearch.emit.weights import load_weights

        states[name] = load_weights(path, spec)
    return emit(delivery.specs, out, formats, weights=states, provenance=delivery.provenance, verify=verify)


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
    except (OSError, ValueError):
        return {}
    known = {key: summary[key] for key in _PROVENANCE if key in summary}
    known.get("settings", {}).pop("runs_dir", None) if isinstance(known.get("settings"), dict) else None
    return {"run": f"{folder.parent.name}/{folder.name}", **known}
