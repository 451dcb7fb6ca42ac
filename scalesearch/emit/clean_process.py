"""Run as a script by `verify_emitted`: imports an emitted module where scalesearch cannot be, builds and counts.

    python -I clean_process.py FOLDER MODULE LIBRARY < requests.json

LIBRARY is torch, timm or torchvision. A request has name, in_channels, resolution, small_side (px). Prints one JSON
object: {"networks": [{"name", "params", "macs", "classes"}]}, or {"missing": WHY} where LIBRARY cannot be imported.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import math
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn


class RefuseScalesearch:
    """An import hook: emitted code must stand alone."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Refuse scalesearch, leave everything else to the other finders."""
        if name.split(".")[0] == "scalesearch":
            raise ModuleNotFoundError("emitted code must not import scalesearch", name=name)


def declare_torchvision_operators() -> Any:
    """Declare the two operators whose shape rules torchvision registers, where its own binary cannot be loaded.

    That happens beside another build of torch and fails the import of torchvision and of timm, though no
    classification network needs these operators. The library must be kept: its declarations go with it.
    """
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        return None
    try:
        operators: Any = torch.ops
        operators.load_library(Path(found.origin).with_name("_C.so"))
    except OSError:
        make_library: Any = torch.library.Library
        library = make_library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return library
    return None


def count(net: nn.Module, in_channels: int, resolution: int) -> int:
    """Multiply-adds of convolutions and linear layers for one picture, on the meta device: shapes without numbers."""
    macs = 0

    def of_layer(layer: nn.Module, _: Any, out: torch.Tensor) -> None:
        nonlocal macs
        if isinstance(layer, nn.Conv2d):
            macs += out.numel() * layer.in_channels // layer.groups * math.prod(layer.kernel_size)
        elif isinstance(layer, nn.Linear):
            macs += out.numel() * layer.in_features

    hooks = [layer.register_forward_hook(of_layer) for layer in net.modules()]
    net.to("meta")(torch.zeros(1, in_channels, resolution, resolution, device="meta"))
    for hook in hooks:
        hook.remove()
    return macs


def check(make: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Build a network, run it on two small pictures, count it at its resolution."""
    net = make().eval()
    channels, side = request["in_channels"], request["small_side"]
    with torch.no_grad():
        logits = net(torch.randn(2, channels, side, side))
        if not logits.isfinite().all():
            raise RuntimeError(f"{request['name']} gives logits that are not finite")
        macs = count(net, channels, request["resolution"])
    params = sum(parameter.numel() for parameter in net.parameters())
    return {"name": request["name"], "params": params, "macs": macs, "classes": logits.shape[1]}


def main() -> dict[str, Any]:
    """What the script prints."""
    folder, module_name, library = sys.argv[1:]
    requests = json.load(sys.stdin)
    sys.meta_path.insert(0, RefuseScalesearch())
    torch.set_num_threads(1)
    torch.manual_seed(0)
    kept = declare_torchvision_operators() if library != "torch" else None
    try:
        package = importlib.import_module(library)
    except (ImportError, RuntimeError) as error:
        return {"missing": f"{type(error).__name__}: {error}"}
    sys.path.insert(0, folder)
    module = importlib.import_module(module_name)
    networks = []
    for request in requests:
        name = request["name"]
        make = (lambda name=name: package.create_model(name)) if library == "timm" else getattr(module, name)
        networks.append(check(make, request))
    del kept
    return {"networks": networks}


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        answer = main()
    print(json.dumps(answer))
