"""timm's EfficientNet with the blocks of a spec; our own network where timm does not import.

A torchvision built for another torch does not find its compiled operators; nothing here needs them, but its import
wants two to exist, so they are declared first.
"""

from __future__ import annotations

import importlib.util
import sys
from functools import cache, partial
from pathlib import Path
from typing import Any, Final
from unittest import mock

import torch
from torch import nn

from scalesearch.arch.spec import NetSpec
from scalesearch.nets.build import build_net, zero_init_residual

__all__ = ["declare_operators", "peer_net", "timm_imports"]

_OPERATORS: Final = ("nms", "qnms")


@cache
def declare_operators() -> torch.library.Library | None:
    """Make torchvision importable; the result is kept, because a library takes its operators along."""
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None or "torchvision" in sys.modules:
        return None
    try:
        torch.ops.load_library(Path(found.origin).with_name("_C.so"))
    except OSError:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in _OPERATORS:
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return library
    return None


def timm_imports() -> bool:
    """Whether timm can be used here."""
    declare_operators()
    try:
        import timm  # noqa: F401
    except (ImportError, RuntimeError):
        return False
    return True


def peer_net(spec: NetSpec, *, norm_momentum: float | None, zero_start: bool) -> nn.Module:
    """The network to train, freshly initialised; without dropout and drop-path, as the quick recipe has it."""
    momentum = spec.norm_momentum if norm_momentum is None else norm_momentum
    if not timm_imports():
        own = build_net(spec.with_(norm_momentum=momentum), drop_path=0.0, dropout=0.0)
        if zero_start:
            zero_init_residual(own)
        return own
    net = _timm_net(spec, momentum)
    for stage in net.blocks if zero_start else ():
        for block in stage:
            if block.has_skip:
                nn.init.zeros_((block.bn3 if hasattr(block, "bn3") else block.bn2).weight)
    return net


def _timm_net(spec: NetSpec, momentum: float) -> Any:
    from timm.models import _efficientnet_blocks as timm_blocks
    from timm.models.efficientnet import EfficientNet

    # timm rounds hidden widths to multiples of 8, which those of a small network need not be
    with mock.patch.object(timm_blocks, "make_divisible", round):
        net = EfficientNet(
            [[_block_args(block) for block in stage] for stage in spec.blocks()],
            num_classes=spec.num_classes,
            num_features=spec.head_width,
            in_chans=spec.in_channels,
            stem_size=spec.stem_width,
            stem_kernel_size=spec.stem_kernel_size,
            fix_stem=True,
            round_chs_fn=int,
            act_layer=nn.SiLU,
            norm_layer=partial(nn.BatchNorm2d, eps=spec.norm_eps, momentum=momentum),
        )
    net.conv_stem.stride = (spec.stem_stride, spec.stem_stride)
    return net


def _block_args(block: Any) -> dict[str, Any]:
    assert block.kind in ("mbconv", "depthwise_separable"), block.kind
    assert block.activation == "silu", block.activation
    expanded = block.kind == "mbconv"
    ratio = block.mid_width / block.in_width
    arguments = {
        "block_type": "ir" if expanded else "ds",
        "out_chs": block.width,
        "stride": block.stride,
        "act_layer": None,
        "dw_kernel_size": block.kernel_size,
        "pw_kernel_size": 1,
        # timm divides it by the expansion and multiplies by the hidden width
        "se_ratio": block.se_width * (ratio if expanded else 1) / block.mid_width,
        "noskip": not block.residual,
        "s2d": False,
    }
    return {**arguments, "exp_ratio": ratio, "exp_kernel_size": 1} if expanded else {**arguments, "pw_act": False}
