"""State dicts to and from the names of timm and torchvision; the tensors themselves are passed on, not copied."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from scalesearch.arch.spec import NetSpec
from scalesearch.emit.layer_names import layer_names
from scalesearch.errors import SpecError
from scalesearch.nets.build import ImageClassifier

__all__ = ["from_timm", "from_torchvision", "to_timm", "to_torchvision"]

# how many batches a norm has seen; torch itself does without it where a state dict is older
_OPTIONAL = "num_batches_tracked"


def to_timm(state_dict: Mapping[str, Tensor], spec: NetSpec) -> dict[str, Tensor]:
    """Our state dict under timm's names (its EfficientNet class, or ResNet for residual blocks).

    Raises:
        SpecError: a key or shape that is not the spec's (the first one), or blocks that timm does not have.
    """
    return _renamed(state_dict, spec, "timm", to_ours=False)


def from_timm(state_dict: Mapping[str, Tensor], spec: NetSpec) -> dict[str, Tensor]:
    """timm's state dict of the network `spec` under our names; raises as `to_timm` does."""
    return _renamed(state_dict, spec, "timm", to_ours=True)


def to_torchvision(state_dict: Mapping[str, Tensor], spec: NetSpec) -> dict[str, Tensor]:
    """Our state dict under torchvision's names (its EfficientNet, MobileNetV2 or ResNet class, as the blocks ask).

    Raises:
        SpecError: a key or shape that is not the spec's (the first one), or blocks that torchvision does not have.
    """
    return _renamed(state_dict, spec, "torchvision", to_ours=False)


def from_torchvision(state_dict: Mapping[str, Tensor], spec: NetSpec) -> dict[str, Tensor]:
    """torchvision's state dict of the network `spec` under our names; raises as `to_torchvision` does."""
    return _renamed(state_dict, spec, "torchvision", to_ours=True)


def _renamed(state_dict: Mapping[str, Tensor], spec: NetSpec, layout: str, *, to_ours: bool) -> dict[str, Tensor]:
    if not isinstance(state_dict, Mapping):
        raise SpecError("a state dict maps names to tensors", value=type(state_dict).__name__)
    theirs_of = dict(layer_names(spec, layout))
    renamed: dict[str, Tensor] = {}
    expected = set()
    for ours, shape in _shapes(spec).items():
        module, _, tensor = ours.rpartition(".")
        theirs = f"{theirs_of[module]}.{tensor}"
        source, target = (theirs, ours) if to_ours else (ours, theirs)
        expected.add(source)
        renamed[target] = _checked(state_dict, source, shape, spec)
    for name in state_dict:
        if name not in expected:
            raise _another(f"the state dict of {spec.name} must hold its own keys and no others", name)
    return renamed


def _checked(state_dict: Mapping[str, Tensor], name: str, shape: torch.Size, spec: NetSpec) -> Tensor:
    """The tensor of a name, which must be there and have the shape."""
    if name not in state_dict:
        if name.endswith(_OPTIONAL):
            return torch.tensor(0)
        raise _another(f"the state dict of {spec.name} must hold {name}")
    tensor = state_dict[name]
    if not isinstance(tensor, Tensor):
        raise _another(f"{name} of {spec.name} must be a tensor", type(tensor).__name__)
    if tensor.shape != shape:
        raise _another(f"{name} of {spec.name} must have the shape {tuple(shape)}", tuple(tensor.shape))
    return tensor


def _shapes(spec: NetSpec) -> dict[str, torch.Size]:
    """Shape of every tensor of our state dict, without any memory for the values."""
    with torch.device("meta"):
        net = ImageClassifier(spec, drop_path=0.0, dropout=0.0)
    return {name: tensor.shape for name, tensor in net.state_dict().items()}


def _another(rule: str, value: object = None) -> SpecError:
    return SpecError(rule, value=value, way_out="give the spec of the network that the state dict belongs to")
