"""A module that registers networks with timm, so that `timm.create_model("NAME")` and its train script know them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from scalesearch.arch.catalog import catalog_names
from scalesearch.arch.spec import NetSpec
from scalesearch.emit.heading import Heading
from scalesearch.emit.layout import call, docstring, number
from scalesearch.emit.naming import family_name, function_names
from scalesearch.emit.timm_blocks import TIMM_ACTIVATIONS, block_strings
from scalesearch.errors import SpecError

__all__ = ["timm_module_name", "timm_names", "timm_source"]

_IMPORTS: Final = """
from __future__ import annotations

import math
from functools import partial
from typing import Any

from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.layers import get_act_layer
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models._efficientnet_builder import decode_arch_def, resolve_bn_args
from timm.models.efficientnet import EfficientNet
from torch import nn
"""

_BUILD: Final = '''

def _cfg(resolution: int, num_classes: int, in_channels: int) -> dict[str, Any]:
    colour = in_channels == 3
    return {
        "url": "",
        "num_classes": num_classes,
        "input_size": (in_channels, resolution, resolution),
        "pool_size": None,
        "crop_pct": 0.875,
        "interpolation": "bicubic",
        "mean": IMAGENET_DEFAULT_MEAN if colour else (0.5,) * in_channels,
        "std": IMAGENET_DEFAULT_STD if colour else (0.5,) * in_channels,
        "first_conv": "conv_stem",
        "classifier": "classifier",
    }


def _create(name: str, pretrained: bool, kwargs: dict[str, Any]) -> EfficientNet:
    """timm's EfficientNet from the table; keyword arguments that timm passes go before the table's values."""
    network = NETWORKS[name]
    stem_stride, activation = network["stem_stride"], kwargs.pop("act_layer", network["activation"])
    norm = {"bn_eps": network["norm_eps"], "bn_momentum": network["norm_momentum"], **kwargs}
    kwargs = {key: value for key, value in kwargs.items() if key not in ("bn_eps", "bn_momentum")}
    blocks = decode_arch_def(network["blocks"])
    settings = {
        "block_args": blocks,
        "stem_size": network["stem_width"],
        "stem_kernel_size": network["stem_kernel_size"],
        "fix_stem": True,
        "num_features": network["head_width"],
        # widths are final: nothing is rounded again
        "round_chs_fn": int,
        # timm would dilate instead of striding beyond 32
        "output_stride": max(32, 2 * math.prod(stage[0]["stride"] for stage in blocks)),
        "act_layer": get_act_layer(activation),
        "norm_layer": partial(nn.BatchNorm2d, **resolve_bn_args(norm)),
        "drop_rate": network["dropout"],
        "drop_path_rate": network["drop_path"],
    }
    model = build_model_with_cfg(EfficientNet, name, pretrained, **{**settings, **kwargs})
    if stem_stride != 2:
        # because timm's constructor always strides in the stem
        model.conv_stem.stride = (stem_stride, stem_stride)
    return model
'''


def timm_names(specs: Sequence[NetSpec]) -> tuple[str, ...]:
    """The names that the networks are registered under: catalog names become scaled_NAME, because timm has them."""
    return function_names(specs, taken=catalog_names())


def timm_module_name(specs: Sequence[NetSpec]) -> str:
    """The module that registers `specs`."""
    return f"{family_name(specs)}_timm"


def timm_source(specs: Sequence[NetSpec], *, provenance: Mapping[str, object] | None = None) -> str:
    """A module that, once imported, makes `timm.create_model(NAME)` build each network, named by `timm_names`.

    Raises:
        SpecError: a network that timm's block strings cannot describe, with the reason.
    """
    names, module = timm_names(specs), timm_module_name(specs)
    run = "runpy.run_path('train.py', run_name='__main__')"
    paragraphs = Heading(specs, names, provenance or {}).paragraphs(
        "networks for image classification, registered with timm",
        usage=[
            "import timm",
            f"import {module}",
            "",
            f'net = timm.create_model("{names[-1]}", num_classes=10)',
        ],
        notes=[
            "timm's train script, run where this file is:",
            f'    python -c "import runpy, {module}; {run}" DATA --model NAME',
            "The script's own --drop and --drop-path go before the rates below; its --drop is 0 unless given.",
        ],
    )
    parts = [
        docstring(paragraphs),
        _IMPORTS,
        "\n" + call("__all__ = [", [f'"{name}"' for name in sorted(names)]) + "\n",
        "\n# block strings: ir = MBConv, ds = depthwise-separable, er = fused MBConv, cn = convolution;\n"
        "# r = repeats, k = kernel size, s = stride, e = expansion ratio, c = width, se = squeeze-excite\n"
        "NETWORKS: dict[str, dict[str, Any]] = {\n",
        *(_entry(spec, name) for spec, name in zip(specs, names, strict=True)),
        "}\n",
        _BUILD,
        _default_cfgs(specs, names),
        *(_entrypoint(spec, name) for spec, name in zip(specs, names, strict=True)),
    ]
    return "".join(parts)


def _entry(spec: NetSpec, name: str) -> str:
    if spec.activation not in TIMM_ACTIVATIONS:
        raise SpecError(
            f"{spec.name} cannot be written for timm: it has no activation {spec.activation}",
            way_out="emit it as torch source",
        )
    settings = {
        "stem_width": str(spec.stem_width),
        "stem_kernel_size": str(spec.stem_kernel_size),
        "stem_stride": str(spec.stem_stride),
        "head_width": str(spec.head_width),
        "activation": f'"{TIMM_ACTIVATIONS[spec.activation]}"',
        "norm_eps": number(spec.norm_eps),
        "norm_momentum": number(spec.norm_momentum),
        "dropout": number(spec.dropout),
        "drop_path": number(spec.drop_path),
    }
    lines = [f'        "{key}": {value},\n' for key, value in settings.items()]
    stages = [call("[", [f'"{text}"' for text in row], ",", indent=12) + "\n" for row in block_strings(spec)]
    return f'    "{name}": {{\n{"".join(lines)}        "blocks": [\n{"".join(stages)}        ],\n    }},\n'


def _default_cfgs(specs: Sequence[NetSpec], names: Sequence[str]) -> str:
    rows = [
        f'        "{name}": _cfg({spec.resolution}, {spec.num_classes}, {spec.in_channels}),\n'
        for spec, name in zip(specs, names, strict=True)
    ]
    return f"\n\ndefault_cfgs = generate_default_cfgs(\n    {{\n{''.join(rows)}    }}\n)\n"


def _entrypoint(spec: NetSpec, name: str) -> str:
    return (
        f"\n\n@register_model\ndef {name}(pretrained: bool = False, **kwargs: Any) -> EfficientNet:\n"
        f'    """{Heading.summary(spec)}"""\n    return _create("{name}", pretrained, kwargs)\n'
    )
