"""Networks as one readable Python file that imports only torch and whose state dicts equal ours key for key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain

from scalesearch.arch.blocks import SUM_KINDS, BlockSpec, StageSpec
from scalesearch.arch.spec import NetSpec
from scalesearch.emit.heading import Heading
from scalesearch.emit.layout import call, docstring, number
from scalesearch.emit.naming import family_name, function_names
from scalesearch.emit.torch_blocks import BLOCK_CLASSES
from scalesearch.emit.torch_layers import ACTIVATION_CLASSES, layers_source
from scalesearch.errors import SpecError

__all__ = ["torch_source"]


def torch_source(specs: Sequence[NetSpec], *, provenance: Mapping[str, object] | None = None) -> str:
    """A module with one function per network, named by `function_names(specs)`.

    The text is formatted (120 columns), imports nothing but torch and the standard library, and holds only the
    layers that its networks use. `FUNCTION().state_dict()` has the keys and shapes of `build_net(spec).state_dict()`.

    Raises:
        SpecError: a kind of block without a template.
    """
    names = function_names(specs)
    rows = [_rows(spec) for spec in specs]
    se_ratio = _most_common([stage.se_ratio for spec in specs for stage in spec.stages])
    features = _features(specs)
    by_kind: dict[str, list[StageSpec]] = {}
    for block, stage in chain.from_iterable(rows):
        by_kind.setdefault(block.kind, []).append(stage)
    side = specs[-1].resolution
    heading = Heading(specs, names, provenance or {})
    parts = [
        docstring(
            heading.paragraphs(
                "networks for image classification, in plain PyTorch",
                usage=[
                    "import torch",
                    f"from {family_name(specs)} import {names[-1]}",
                    "",
                    f"net = {names[-1]}(num_classes=10)",
                    f"logits = net(torch.zeros(1, {specs[-1].in_channels}, {side}, {side}))",
                ],
            )
        ),
        "\nfrom __future__ import annotations\n\nimport math\nfrom typing import NamedTuple\n\n"
        "import torch\nfrom torch import Tensor, nn\n",
        "\n" + call("__all__ = [", [f'"{name}"' for name in sorted(names)]) + "\n",
        _stage_class(features, se_ratio),
        _network_class(specs[0], features),
        layers_source({kind: _squeezes(stages) for kind, stages in by_kind.items()}, features),
    ]
    parts += ["\n", *(_table(*item, specs[0], se_ratio) for item in zip(specs, names, rows, strict=True))]
    parts += [_function(spec, name) for spec, name in zip(specs, names, strict=True)]
    return "".join(parts)


_Row = tuple[BlockSpec, StageSpec]


def _rows(spec: NetSpec) -> list[_Row]:
    """The first block of every stage, in canonical form, and the stage."""
    rows = [(blocks[0], stage) for blocks, stage in zip(spec.blocks(), spec.stages, strict=True)]
    for block, _ in rows:
        if block.kind not in BLOCK_CLASSES:
            raise SpecError(
                f"torch source can be emitted for blocks of kind {', '.join(BLOCK_CLASSES)}",
                value=f"{block.kind} in {spec.name}",
                way_out="choose another format",
            )
    return rows


def _features(specs: Sequence[NetSpec]) -> frozenset[str]:
    """What the family as a whole needs, of `torch_template.FEATURES`."""
    stages = [stage for spec in specs for stage in spec.stages]
    needed = {
        "expansion": any(stage.expansion_ratio != 1 for stage in stages),
        "sum": any(stage.kind in SUM_KINDS for stage in stages),
        "pool": any(spec.stem_pool for spec in specs),
        "skip": not all(stage.skip for stage in stages),
        "activation": any(stage.activation for stage in stages),
        "headless": not all(spec.head_width for spec in specs),
    }
    return frozenset(name for name, holds in needed.items() if holds) | _squeezes(stages)


def _squeezes(stages: Sequence[StageSpec]) -> frozenset[str]:
    """Whether all or some of these stages have squeeze-excite."""
    have = {stage.se_ratio > 0 for stage in stages}
    return frozenset() if True not in have else frozenset({"se"} if have == {True} else {"se", "se_somewhere"})


def _stage_class(features: frozenset[str], se_ratio: float) -> str:
    fields = ["block: type[nn.Module]", "kernel_size: int", "stride: int", "width: int", "depth: int"]
    if "expansion" in features:
        of_sums = ", over output channels where a sum is activated" if "sum" in features else ""
        fields.append(f"expansion_ratio: float = 1  # hidden over input channels{of_sums}")
    if "se" in features:
        fields.append(f"se_ratio: float = {number(se_ratio)}  # squeeze-excite width over input channels")
    if "skip" in features:
        fields.append("skip: bool = True")
    if "activation" in features:
        fields.append("activation: type[nn.Module] | None = None  # instead of the network's")
    return _named_tuple("Stage", "Equal blocks in a row; only the first one strides and changes the width.", fields)


def _network_class(first: NetSpec, features: frozenset[str]) -> str:
    fields = ["resolution: int", "stem_width: int", "head_width: int", "stages: tuple[Stage, ...]"]
    fields += [f"{name}: {kind} = {value}" for name, kind, value in _shared(first)]
    fields += ["stem_pool: bool = False"] if "pool" in features else []
    return _named_tuple("Network", "A network as data; widths are channels, the resolution is in pixels.", fields)


def _named_tuple(name: str, doc: str, fields: Sequence[str]) -> str:
    return f'\n\nclass {name}(NamedTuple):\n    """{doc}"""\n\n' + "".join(f"    {field}\n" for field in fields)


def _shared(spec: NetSpec) -> list[tuple[str, str, str]]:
    """What a family's networks usually agree on: name, type, literal."""
    return [
        ("stem_kernel_size", "int", number(spec.stem_kernel_size)),
        ("stem_stride", "int", number(spec.stem_stride)),
        ("activation", "type[nn.Module]", ACTIVATION_CLASSES[spec.activation]),
        ("norm_eps", "float", number(spec.norm_eps)),
        ("norm_momentum", "float", number(spec.norm_momentum)),
    ]


def _table(spec: NetSpec, name: str, rows: Sequence[_Row], first: NetSpec, se_ratio: float) -> str:
    """The constant that holds a network."""
    stages = [_stage_call(block, stage, se_ratio) for block, stage in rows]
    comment = "        # block, kernel size, stride, width, depth\n"
    table = "    stages=(\n" + comment + "".join(f"{stage},\n" for stage in stages) + "    )"
    lines = [f"resolution={spec.resolution}", f"stem_width={spec.stem_width}", f"head_width={spec.head_width}"]
    lines += [f"{n}={value}" for (n, _, value), default in zip(_shared(spec), _shared(first), strict=True)
              if value != default[2]]  # fmt: skip
    lines += ["stem_pool=True"] if spec.stem_pool else []
    body = "".join(f"    {line},\n" for line in lines) + f"{table},\n"
    return f"\n{name.upper()} = Network(\n{body})\n"


def _stage_call(block: BlockSpec, stage: StageSpec, se_ratio: float) -> str:
    arguments = [BLOCK_CLASSES[block.kind][0]]
    arguments += [str(value) for value in (stage.kernel_size, stage.stride, stage.width, stage.depth)]
    if stage.expansion_ratio != 1:
        arguments.append(f"expansion_ratio={number(stage.expansion_ratio)}")
    if stage.se_ratio != se_ratio:
        arguments.append(f"se_ratio={number(stage.se_ratio)}")
    if not stage.skip:
        arguments.append("skip=False")
    if stage.activation:
        arguments.append(f"activation={ACTIVATION_CLASSES[stage.activation]}")
    return call("Stage(", arguments, indent=8)


def _function(spec: NetSpec, name: str) -> str:
    arguments = [
        f"num_classes: int = {spec.num_classes}",
        f"in_channels: int = {spec.in_channels}",
        f"drop_path: float = {number(spec.drop_path)}",
        f"dropout: float = {number(spec.dropout)}",
    ]
    head = call(f"def {name}(", arguments, " -> ImageClassifier:")
    body = call("return ImageClassifier(", [name.upper(), "num_classes", "in_channels", "drop_path", "dropout"],
                indent=4)  # fmt: skip
    return f'\n\n{head}\n    """{Heading.summary(spec)}"""\n{body}\n'


def _most_common(values: Sequence[float]) -> float:
    return Counter(values).most_common(1)[0][0]
