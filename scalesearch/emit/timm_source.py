"""A module that registers networks with timm, so that `timm.create_model("NAME")` and its train script know them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scalesearch.arch.catalog import catalog_names
from scalesearch.arch.spec import NetSpec
from scalesearch.emit.heading import Heading
from scalesearch.emit.layout import call, docstring, number
from scalesearch.emit.naming import family_name, function_names
from scalesearch.emit.resnet_shape import is_resnet, resnet_shape
from scalesearch.emit.timm_blocks import TIMM_ACTIVATIONS, block_strings, conv_squeezes
from scalesearch.emit.timm_parts import CFG, EFFICIENTNET, RESNET, SQUEEZED_CONV, imports
from scalesearch.errors import SpecError

__all__ = ["timm_module_name", "timm_names", "timm_source"]


def timm_names(specs: Sequence[NetSpec]) -> tuple[str, ...]:
    """The names that the networks are registered under: catalog names become scaled_NAME, because timm has them."""
    return function_names(specs, taken=catalog_names())


def timm_module_name(specs: Sequence[NetSpec]) -> str:
    """The module that registers `specs`."""
    return f"{family_name(specs)}_timm"


def timm_source(specs: Sequence[NetSpec], *, provenance: Mapping[str, object] | None = None) -> str:
    """A module that, once imported, makes `timm.create_model(NAME)` build each network, named by `timm_names`.

    Raises:
        SpecError: a network that neither timm's block strings nor its ResNet can be, with the reason.
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
    resnets = [spec for spec in specs if is_resnet(spec)]
    squeezed = any(conv_squeezes(spec) for spec in specs)
    has = {"efficientnet": len(resnets) < len(specs), "resnet": bool(resnets), "squeezed": squeezed}
    entries = [_entry(spec, name) for spec, name in zip(specs, names, strict=True)]
    return "".join(
        [
            docstring(paragraphs),
            imports(**has),
            "\n" + call("__all__ = [", [f'"{name}"' for name in sorted(names)]) + "\n",
            *_legend(**has),
            "NETWORKS: dict[str, dict[str, Any]] = {\n",
            *entries,
            "}\n",
            CFG,
            SQUEEZED_CONV if squeezed else "",
            _efficientnet(squeezed) if has["efficientnet"] else "",
            RESNET if resnets else "",
            _default_cfgs(specs, names),
            *(_entrypoint(spec, name) for spec, name in zip(specs, names, strict=True)),
        ]
    )


def _legend(*, efficientnet: bool, resnet: bool, squeezed: bool) -> list[str]:
    """Comments on the table."""
    lines = ["\n"]
    if efficientnet:
        lines += ["# block strings: ir = MBConv, ds = depthwise-separable, er = fused MBConv, cn = convolution;\n"]
        lines += ["# r = repeats, k = kernel size, s = stride, e = expansion ratio, c = width, se = squeeze-excite\n"]
    if squeezed:
        lines += [
            "# conv_squeeze: squeeze width of convolution blocks by stage and block, which no block string says\n"
        ]
    if resnet:
        lines += ["# planes: output channels per stage, of a Bottleneck a quarter of them\n"]
    return lines


def _efficientnet(squeezed: bool) -> str:
    """The builder, with the call that adds squeeze-excite to convolutions where a network needs it."""
    last = "    return model\n"
    assert EFFICIENTNET.endswith(last)
    return EFFICIENTNET.removesuffix(last) + '    _squeeze(model, network.get("conv_squeeze", {}))\n' * squeezed + last


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
        **({"stem_pool": str(spec.stem_pool)} if is_resnet(spec) else {"head_width": str(spec.head_width)}),
        "activation": f'"{TIMM_ACTIVATIONS[spec.activation]}"',
        "norm_eps": number(spec.norm_eps),
        "norm_momentum": number(spec.norm_momentum),
        "dropout": number(spec.dropout),
        "drop_path": number(spec.drop_path),
        **(_resnet_settings(spec) if is_resnet(spec) else _squeezes(spec)),
    }
    lines = "".join(f'        "{key}": {value},\n' for key, value in settings.items())
    if is_resnet(spec):
        return f'    "{name}": {{\n{lines}    }},\n'
    stages = [call("[", [f'"{text}"' for text in row], ",", indent=12) + "\n" for row in block_strings(spec)]
    return f'    "{name}": {{\n{lines}        "blocks": [\n{"".join(stages)}        ],\n    }},\n'


def _resnet_settings(spec: NetSpec) -> dict[str, str]:
    shape = resnet_shape(spec, "timm")
    return {
        "block": f'"{shape.block}"',
        "depths": str(list(shape.depths)),
        "planes": str(list(shape.planes)),
        "base_width": str(shape.base_width),
    }


def _squeezes(spec: NetSpec) -> dict[str, str]:
    widths = conv_squeezes(spec)
    if not widths:
        return {}
    rows = [f'"{place}": {width}' for place, width in widths.items()]
    laid_out = call('"conv_squeeze": {', rows, ",", indent=8).strip()
    return {"conv_squeeze": laid_out.removeprefix('"conv_squeeze": ').removesuffix(",")}


def _default_cfgs(specs: Sequence[NetSpec], names: Sequence[str]) -> str:
    rows = []
    for spec, name in zip(specs, names, strict=True):
        ends = ("conv1", "fc") if is_resnet(spec) else ("conv_stem", "classifier")
        values = [str(spec.resolution), str(spec.num_classes), str(spec.in_channels), *(f'"{end}"' for end in ends)]
        rows.append(call(f'"{name}": _cfg(', values, ",", indent=8) + "\n")
    return f"\n\ndefault_cfgs = generate_default_cfgs(\n    {{\n{''.join(rows)}    }}\n)\n"


def _entrypoint(spec: NetSpec, name: str) -> str:
    kind, create = ("ResNet", "_create_resnet") if is_resnet(spec) else ("EfficientNet", "_create")
    return (
        f"\n\n@register_model\ndef {name}(pretrained: bool = False, **kwargs: Any) -> {kind}:\n"
        f'    """{Heading.summary(spec)}"""\n    return {create}("{name}", pretrained, kwargs)\n'
    )
