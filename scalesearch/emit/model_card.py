"""A model card: what the networks cost, how they came about and were trained, in Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from scalesearch.arch.cost import cost_of
from scalesearch.arch.spec import NetSpec
from scalesearch.emit.heading import flat_provenance

__all__ = ["escape_markdown", "model_card"]

# provenance keys with a section of their own
_SECTIONS: Final = {"data": "Data", "recipe": "Training recipe", "coefficients": "Scaling coefficients"}
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]()#+!|<>~&$])")


def model_card(
    specs: Sequence[NetSpec],
    names: Sequence[str],
    *,
    title: str,
    provenance: Mapping[str, object] | None = None,
    trained: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
) -> str:
    """The card as Markdown text; everything that comes from outside is escaped.

    Args:
        names: what the networks are called in the emitted files, in the order of `specs`.
        title: the family.
        provenance: "data", "recipe" and "coefficients" get sections, the rest (run, settings, versions) a table;
            values may be nested mappings, None is left out.
        trained: names of specs whose weights were trained.
        files: file name -> what it is.
    """
    provenance = dict(provenance or {})
    parts = [f"# {escape_markdown(title)}", _intro(specs, trained), "## Cost", _cost_table(specs, names), _CONVENTION]
    for key, heading in _SECTIONS.items():
        if provenance.get(key) is not None:
            parts += [f"## {heading}", _facts(provenance.pop(key))]
    if files:
        parts += ["## Files", _rows(("file", "what it is"), files.items())]
    parts += ["## Provenance", _facts(provenance) if flat_provenance(provenance) else "Not recorded."]
    return "\n\n".join(parts) + "\n"


_CONVENTION: Final = (
    "MACs are the multiply-adds of convolutions and linear layers for one picture at that resolution (the EfficientNet "
    "paper calls them FLOPs); activations are the output elements of the same layers; depth counts blocks. "
    "Pictures are normalised with the mean and standard deviation of the training data."
)


def escape_markdown(value: object) -> str:
    """`value` on one line, as text that Markdown shows as it is, also inside a table."""
    text = "".join(character if character.isprintable() else " " for character in str(value))
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _intro(specs: Sequence[NetSpec], trained: Sequence[str]) -> str:
    count = f"{len(specs)} convolutional networks" if len(specs) > 1 else "A convolutional network"
    have = [spec.name for spec in specs if spec.name in trained]
    if not have:
        weights = "The weights are untrained: these files hold architectures."
    elif len(have) == len(specs):
        weights = "The weights are trained."
    else:
        weights = f"Trained weights: {', '.join(map(escape_markdown, have))}; the others are untrained."
    return f"{count} for image classification, written by scalesearch. {weights}"


def _cost_table(specs: Sequence[NetSpec], names: Sequence[str]) -> str:
    header = ("network", "resolution", "params", "MACs", "activations", "depth", "classes", "fingerprint")
    lines = [f"| {' | '.join(header)} |", f"|---|{'---:|' * (len(header) - 2)}---|"]
    for spec, name in zip(specs, names, strict=True):
        cost = cost_of(spec)
        shown = escape_markdown(name if name == spec.name else f"{name} ({spec.name})")
        counts = (spec.resolution, cost.params, cost.macs, cost.activations, spec.depth, spec.num_classes)
        lines.append(f"| {shown} | {' | '.join(f'{count:,}' for count in counts)} | {spec.fingerprint} |")
    return "\n".join(lines)


def _facts(value: object) -> str:
    """A mapping as a table, anything else as a sentence."""
    return _rows(("", ""), flat_provenance(value)) if isinstance(value, Mapping) else escape_markdown(value)


def _rows(header: tuple[str, str], rows: object) -> str:
    assert hasattr(rows, "__iter__")
    lines = [f"| {header[0]} | {header[1]} |", "|---|---|"]
    lines += [f"| {escape_markdown(key)} | {escape_markdown(value)} |" for key, value in rows]
    return "\n".join(lines)
