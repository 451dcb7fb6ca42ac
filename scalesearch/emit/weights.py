"""Trained weights as safetensors beside their sha256, and read back only where they fit the network they are for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from scalesearch.arch.spec import NetSpec
from scalesearch.errors import InputError, MissingPackageError
from scalesearch.nets.build import ImageClassifier, build_net
from scalesearch.store.atomic import write_atomic

__all__ = ["check_state_dict", "load_weights", "save_weights", "sha256_path"]

_CLASSIFIER: Final = ("classifier.weight", "classifier.bias")


def sha256_path(path: Path) -> Path:
    """Where the checksum of `path` stands, in the format of `sha256sum --check`."""
    return path.with_name(f"{path.name}.sha256")


def save_weights(net_or_state_dict: nn.Module | Mapping[str, Tensor], path: Path) -> str:
    """Write a state dict as safetensors, and its sha256 beside it; equal weights give equal bytes.

    A network of ours also leaves its spec in the file's metadata, under "spec".

    Returns:
        the sha256 in hexadecimal.

    Raises:
        MissingPackageError: safetensors cannot be imported.
        OSError: the folder cannot be written; an old file is untouched.
    """
    safetensors = _safetensors_torch()
    state = net_or_state_dict.state_dict() if isinstance(net_or_state_dict, nn.Module) else net_or_state_dict
    metadata = None
    if isinstance(net_or_state_dict, ImageClassifier):
        # one key only, because safetensors writes several in no fixed order
        metadata = {"spec": json.dumps(net_or_state_dict.spec.to_dict(), sort_keys=True)}
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    content: bytes = safetensors.save(tensors, metadata)
    digest = hashlib.sha256(content).hexdigest()
    # the old checksum goes first, because it would call the new weights corrupt if we were stopped in between
    sha256_path(path).unlink(missing_ok=True)
    write_atomic(path, content)
    write_atomic(sha256_path(path), f"{digest}  {path.name}\n".encode())
    return digest


def load_weights(path: Path, spec: NetSpec) -> dict[str, Tensor]:
    """Read a state dict for `build_net(spec)`; compared with its sha256 where that file exists.

    Raises:
        InputError: no such file, a checksum that differs, not safetensors, or the weights of another network (the
            first tensor that does not fit is named).
        MissingPackageError: safetensors cannot be imported.
    """
    safetensors = _safetensors_torch()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError("weights must be a readable file", value=str(path), way_out=str(error.strerror)) from error
    _check_digest(path, content)
    try:
        state: dict[str, Tensor] = safetensors.load(content)
    # safetensors raises its own error for most faults, and struct or json errors for some
    except Exception as error:
        raise InputError(
            "weights must be a whole safetensors file", value=f"{path}: {error}", way_out="emit or train it again"
        ) from error
    check_state_dict(state, spec, source=path.name)
    return state


def check_state_dict(state: Mapping[str, Tensor], spec: NetSpec, *, source: str = "the state dict") -> None:
    """Check that `state` has exactly the keys and shapes of `build_net(spec)`.

    Raises:
        InputError: the first key that is missing, superfluous or of another shape, in the network's order.
    """
    with torch.device("meta"):
        expected = build_net(spec).state_dict()
    rule = f"{source} must hold the weights of {spec.name}"
    other = "choose the spec they were trained for"
    for name, tensor in expected.items():
        if name not in state:
            raise InputError(rule, value=f"no tensor {name}", way_out=other)
        if not isinstance(state[name], Tensor):
            raise InputError(rule, value=f"{name} of type {type(state[name]).__name__}", way_out=other)
        if state[name].shape != tensor.shape:
            found, wanted = tuple(state[name].shape), tuple(tensor.shape)
            if name in _CLASSIFIER and found[1:] == wanted[1:]:
                raise InputError(rule, value=f"{found[0]} classes instead of {wanted[0]}",
                                 way_out=f"set num_classes={found[0]}")  # fmt: skip
            raise InputError(rule, value=f"{name} of shape {found} instead of {wanted}", way_out=other)
    for name in sorted(state):
        if name not in expected:
            raise InputError(rule, value=f"a tensor {name} that it does not have", way_out=other)


def _check_digest(path: Path, content: bytes) -> None:
    try:
        recorded = sha256_path(path).read_text(encoding="ascii").split()
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("a sha256 file must be readable text", value=str(sha256_path(path))) from error
    digest = hashlib.sha256(content).hexdigest()
    if not recorded or recorded[0].lower() != digest:
        raise InputError(
            f"the sha256 of {path.name} must be the one in {sha256_path(path).name}",
            value=digest,
            way_out="fetch the file again; it is corrupt or was changed",
        )


def _safetensors_torch() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise MissingPackageError(
            "weights are kept with the package safetensors", value=str(error), way_out="pip install safetensors"
        ) from error
    return safetensors.torch
