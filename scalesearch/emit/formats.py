"""One writer per format: what `emit` puts into its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from scalesearch.arch.spec import NetSpec
from scalesearch.emit.exported import save_exported
from scalesearch.emit.naming import family_name, function_names
from scalesearch.emit.onnx_file import OnnxCheck, save_int8, save_onnx
from scalesearch.emit.state_dicts import to_timm, to_torchvision
from scalesearch.emit.timm_source import timm_module_name, timm_names, timm_source
from scalesearch.emit.torch_source import torch_source
from scalesearch.emit.torchvision_source import torchvision_module_name, torchvision_source
from scalesearch.emit.verify_emitted import verify_emitted
from scalesearch.emit.weights import save_weights
from scalesearch.errors import InputError
from scalesearch.nets.build import ImageClassifier, build_net

__all__ = ["FORMATS", "Family", "Written", "write_format", "write_weights"]

FORMATS: Final = ("torch", "timm", "torchvision", "onnx", "exported")


@dataclass(frozen=True, slots=True)
class Family:
    """The networks that are emitted together.

    weights: state dicts by spec name; the others are emitted untrained.
    calibration: normalised pictures by which 8-bit ONNX files are calibrated; None leaves those out.
    """

    specs: tuple[NetSpec, ...]
    weights: Mapping[str, Mapping[str, Tensor]]
    provenance: Mapping[str, object]
    verify: bool = True
    calibration: Tensor | None = None

    def net(self, spec: NetSpec) -> ImageClassifier:
        """The network with its weights, or with those of seed 0."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = build_net(spec)
        if spec.name in self.weights:
            net.load_state_dict(dict(self.weights[spec.name]))
        return net.eval()


@dataclass(frozen=True, slots=True)
class Written:
    """A file for one network.

    path: relative to the folder. name: what the network is called there. what: for the model card.
    """

    path: str
    format: str
    name: str
    spec: NetSpec
    what: str


def write_format(format: str, family: Family, folder: Path) -> Iterator[Written]:
    """Write one of `FORMATS` for every network into `folder`, and check it unless `family.verify` is off.

    Raises:
        SpecError: a network that the format cannot express.
        MissingPackageError: a package that the format or its check needs.
        VerificationError: what was written is not the network.
    """
    return _WRITERS[format](family, folder)


def write_weights(family: Family, formats: Sequence[str], folder: Path) -> Iterator[Written]:
    """Weights as safetensors with their sha256: under our names, and under timm's and torchvision's where emitted."""
    for spec, name in zip(family.specs, function_names(family.specs), strict=True):
        if spec.name not in family.weights:
            continue
        state = family.weights[spec.name]
        save_weights(state, folder / f"{name}.safetensors")
        yield Written(f"{name}.safetensors", "weights", name, spec, f"weights of {spec.name}")
        for library, rename in (("timm", to_timm), ("torchvision", to_torchvision)):
            if library in formats:
                path = f"{name}.{library}.safetensors"
                save_weights(rename(state, spec), folder / path)
                yield Written(path, "weights", name, spec, f"weights of {spec.name} under {library}'s names")


_Source = Callable[..., str]


def _write_module(family: Family, path: Path, source: _Source, names: Sequence[str], library: str) -> Iterator[Written]:
    path.write_text(source(family.specs, provenance=family.provenance), encoding="utf-8")
    if family.verify:
        verify_emitted(path, family.specs, names, library=library)
    for spec, name in zip(family.specs, names, strict=True):
        yield Written(path.name, library, name, spec, f"Python module that needs {library}")


def _torch(family: Family, folder: Path) -> Iterator[Written]:
    path = folder / f"{family_name(family.specs)}.py"
    return _write_module(family, path, torch_source, function_names(family.specs), "torch")


def _timm(family: Family, folder: Path) -> Iterator[Written]:
    path = folder / f"{timm_module_name(family.specs)}.py"
    return _write_module(family, path, timm_source, timm_names(family.specs), "timm")


def _torchvision(family: Family, folder: Path) -> Iterator[Written]:
    path = folder / f"{torchvision_module_name(family.specs)}.py"
    return _write_module(family, path, torchvision_source, function_names(family.specs), "torchvision")


def _onnx(family: Family, folder: Path) -> Iterator[Written]:
    for spec, name in zip(family.specs, function_names(family.specs), strict=True):
        net, path = family.net(spec), folder / f"{name}.onnx"
        check = save_onnx(net, path, in_channels=spec.in_channels, resolution=spec.resolution)
        yield Written(path.name, "onnx", name, spec, f"ONNX, any batch size; {_told(check)}")
        if path.with_name(f"{path.name}.data").exists():
            yield Written(f"{path.name}.data", "onnx", name, spec, f"weights of {path.name}")
        if family.calibration is not None:
            if family.calibration.shape[1:] != (spec.in_channels, spec.resolution, spec.resolution):
                raise InputError(
                    f"pictures that calibrate {spec.name} must be {spec.in_channels} x {spec.resolution} px",
                    value=tuple(family.calibration.shape[1:]),
                    way_out="emit networks of other resolutions by themselves",
                )
            small = folder / f"{name}.int8.onnx"
            check = save_int8(net, path, small, pictures=family.calibration)
            yield Written(small.name, "onnx", name, spec, f"the same in 8 bits; {_told(check)}")


def _told(check: OnnxCheck) -> str:
    return f"logits within {check.difference:.1e} of torch's largest, same first class for {check.same_top1:.0%}"


def _exported(family: Family, folder: Path) -> Iterator[Written]:
    for spec, name in zip(family.specs, function_names(family.specs), strict=True):
        path = folder / f"{name}.pt2"
        save_exported(family.net(spec), path, in_channels=spec.in_channels, resolution=spec.resolution)
        yield Written(
            path.name, "exported", name, spec, "torch.export program; unpickled when loaded, so load only yours"
        )


_WRITERS: Final[dict[str, Callable[[Family, Path], Iterator[Written]]]] = {
    "torch": _torch,
    "timm": _timm,
    "torchvision": _torchvision,
    "onnx": _onnx,
    "exported": _exported,
}
assert tuple(_WRITERS) == FORMATS
