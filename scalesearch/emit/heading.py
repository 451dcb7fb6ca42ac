"""What emitted modules say about themselves: a table of the networks, how counts are meant, where they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scalesearch.arch.cost import cost_of
from scalesearch.arch.spec import NetSpec
from scalesearch.emit.layout import one_line, table
from scalesearch.units import format_count

__all__ = ["Heading", "flat_provenance"]

CONVENTION = (
    "MACs are the multiply-adds of convolutions and linear layers for one picture at that resolution; "
    "depth counts blocks, width is the last stage's channels."
)


@dataclass(frozen=True, slots=True)
class Heading:
    """The docstring of an emitted module.

    specs, names: the networks and the names of their functions.
    provenance: where they come from; values may be nested mappings.
    """

    specs: Sequence[NetSpec]
    names: Sequence[str]
    provenance: Mapping[str, object]

    def paragraphs(self, what: str, *, usage: Sequence[str], notes: Sequence[str] = ()) -> list[str]:
        """Title, usage, cost table, convention, notes, provenance: for `layout.docstring`."""
        count = len(self.specs)
        title = f"{count} {what}." if count > 1 else f"{self.names[0]}: {what.replace('networks', 'a network')}."
        code = "\n".join(f"    {line}" if line else "" for line in usage)
        paragraphs = [title[0].upper() + title[1:] if count > 1 else title, code, self.cost_table(), CONVENTION, *notes]
        origin = "; ".join(f"{one_line(key)}: {one_line(value)}" for key, value in flat_provenance(self.provenance))
        return [*paragraphs, "Written by scalesearch." + (f" {origin}." if origin else "")]

    def cost_table(self) -> str:
        """One Markdown row per network."""
        header = ("network", "resolution", "params", "MACs", "depth", "width")
        rows = []
        for spec, name in zip(self.specs, self.names, strict=True):
            cost = cost_of(spec)
            side = f"{spec.resolution}"
            rows.append((name, side, f"{cost.params:,}", f"{cost.macs:,}", str(spec.depth), str(spec.widths[-1])))
        return table(header, rows)

    @staticmethod
    def summary(spec: NetSpec) -> str:
        """One line for a function's docstring."""
        cost = cost_of(spec)
        return f"{spec.resolution} px, {format_count(cost.params)} params, {format_count(cost.macs)} MACs."


def flat_provenance(values: Mapping[str, object], prefix: str = "") -> list[tuple[str, object]]:
    """Nested mappings as dotted keys, in their order; missing values (None) are left out."""
    flat: list[tuple[str, object]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat += flat_provenance(value, f"{prefix}{key}.")
        elif value is not None:
            flat.append((f"{prefix}{key}", value))
    return flat
