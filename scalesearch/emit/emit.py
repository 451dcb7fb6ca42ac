"""`emit`: networks in forms that other tools load, in one folder with weights, a model card and a manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import scalesearch
from scalesearch.arch.cost import cost_of
from scalesearch.arch.spec import NetSpec
from scalesearch.emit.folder import Order, check_folder, sha256_of, staged
from scalesearch.emit.formats import FORMATS, Family, Written, write_format, write_weights
from scalesearch.emit.model_card import model_card
from scalesearch.emit.naming import family_name, function_names
from scalesearch.emit.weights import check_state_dict
from scalesearch.errors import InputError, UnknownNameError

__all__ = ["FORMATS", "Emitted", "emit"]

_CARD = "README.md"


@dataclass(frozen=True, slots=True)
class Emitted:
    """A file for a network; a module that holds several networks stands there once for each.

    path: in the output folder. format: one of `FORMATS`, "weights", "spec" or "card".
    name: what the network is called in that file. sha256: of the file, in hexadecimal.
    params, macs: of the network (MACs of convolutions and linear layers for one picture); None for the card.
    """

    path: Path
    format: str
    name: str
    sha256: str
    params: int | None
    macs: int | None


def emit(
    specs: Sequence[NetSpec],
    out: Path,
    formats: Sequence[str],
    *,
    weights: Mapping[str, Mapping[str, Tensor]] | None = None,
    provenance: Mapping[str, object] | None = None,
    verify: bool = True,
    calibration: Tensor | None = None,
) -> list[Emitted]:
    """Write `specs` to `out` in every one of `formats`, with their specs, weights, a model card and a manifest.

    All files appear together at the end; where anything fails, `out` stays as it was. A folder that the same order
    (networks, formats, weights) wrote before is replaced file by file.

    Args:
        formats: of `FORMATS`.
        weights: state dicts of `build_net(spec)` by spec name; networks without are emitted untrained.
        provenance: for docstrings and the card: run, settings, data, recipe, coefficients, ...; may be nested.
        verify: import every emitted module in a clean process and compare its networks with the specs.
        calibration: normalised pictures (n, in_channels, side, side); adds 8-bit ONNX files to format onnx.

    Raises:
        UnknownNameError: no such format, or weights for a network that is not emitted.
        InputError: no network, the same network twice, or weights that do not fit.
        RunFolderError: the folder holds other files, or cannot be written.
        SpecError: a network that a format cannot express.
        MissingPackageError: a package that a format needs.
        VerificationError: an emitted network is not the spec's; a bug in scalesearch.
    """
    family = _family(specs, formats, weights or {}, provenance or {}, verify, calibration)
    order = Order(tuple(spec.name for spec in specs), tuple(formats), tuple(sorted(family.weights)))
    check_folder(out, order)
    with staged(out, order) as stage:
        written = list(_specs(family, stage))
        for format in formats:
            written += write_format(format, family, stage)
        written += write_weights(family, formats, stage)
        emitted = [_emitted(row, stage, out) for row in written]
        (stage / _CARD).write_text(_card(family, written), encoding="utf-8")
        title = family_name(family.specs)
        emitted.append(Emitted(out / _CARD, "card", title, sha256_of(stage / _CARD), None, None))
    return emitted


def _family(
    specs: Sequence[NetSpec],
    formats: Sequence[str],
    weights: Mapping[str, Mapping[str, Tensor]],
    provenance: Mapping[str, object],
    verify: bool,
    calibration: Tensor | None,
) -> Family:
    """Everything that can be refused before a file is written."""
    if not specs or not formats:
        raise InputError("emit needs at least one network and one format", way_out=f"formats: {', '.join(FORMATS)}")
    for format in formats:
        if format not in FORMATS:
            raise UnknownNameError.of("format", format, FORMATS)
    if len(set(formats)) != len(formats):
        raise InputError("a format is named once", value=", ".join(formats))
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise InputError("networks that are emitted together have different names", value=name)
    for name in weights:
        if name not in names:
            raise UnknownNameError.of("network with weights", name, names)
    for spec in specs:
        if spec.name in weights:
            check_state_dict(weights[spec.name], spec)
    versions = {"scalesearch": scalesearch.__version__, "torch": torch.__version__}
    return Family(tuple(specs), dict(weights), {**provenance, **({} if "versions" in provenance else
                  {"versions": versions})}, verify, calibration)  # fmt: skip


def _specs(family: Family, folder: Path) -> list[Written]:
    """Every network as a spec file, from which scalesearch builds it again."""
    rows = []
    for spec, name in zip(family.specs, function_names(family.specs), strict=True):
        (folder / f"{name}.json").write_text(spec.to_json(), encoding="utf-8")
        rows.append(Written(f"{name}.json", "spec", name, spec, f"spec of {spec.name}, for scalesearch"))
    return rows


def _card(family: Family, written: Sequence[Written]) -> str:
    return model_card(
        family.specs,
        function_names(family.specs),
        title=family_name(family.specs),
        provenance=family.provenance,
        trained=tuple(family.weights),
        files={row.path: row.what for row in written},
    )


def _emitted(row: Written, stage: Path, out: Path) -> Emitted:
    cost = cost_of(row.spec)
    return Emitted(out / row.path, row.format, row.name, sha256_of(stage / row.path), cost.params, cost.macs)
