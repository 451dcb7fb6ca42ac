"""Families as text for the terminal: one that was scaled, and the published ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scalesearch.arch.published import PublishedMember
from scalesearch.report.tables import aligned
from scalesearch.units import format_count

__all__ = ["family_words", "published_rows", "published_words"]


def family_words(summary: Mapping[str, Any], path: Path) -> str:
    """What `scale` found.

    Args:
        summary: what summary.json holds.
        path: of the result's folder.
    """
    rows = summary["members"]
    has_fvcore = any(row["fvcore_macs"] is not None for row in rows)
    has_latency = any(row["latency_ms"] is not None for row in rows)
    header: tuple[str, ...] = ("phi", "depth x", "width x", "res x", "depths", "widths", "px", "MACs", "ratio", "asked")
    header += ("params", "activations")
    header += (("fvcore MACs",) if has_fvcore else ()) + (("ms",) if has_latency else ())
    header += ("drop-path", "dropout", "network", "")
    body = [_cells(row, has_fvcore, has_latency) for row in rows]
    return "\n".join(
        [
            summary["sentence"],
            *(f"note: {note}" for note in summary["notes"]),
            aligned([header, *body]),
            *_below(summary, has_latency),
            f"specs: {path / 'specs'}",
        ]
    )


def published_words(name: str, members: Sequence[PublishedMember]) -> str:
    """A published family from its table, each member with a line on how it differs from alpha^phi."""
    header: tuple[str, ...] = (
        "network",
        "depth x",
        "width x",
        "px",
        "depths",
        "widths",
        "MACs",
        "ratio",
        "params",
        "activations",
    )
    header += ("drop-path", "dropout", "phi that its multipliers imply under (1.2, 1.1, 1.15)")
    body = [
        (
            member.spec.name,
            f"{member.multipliers.depth:g}",
            f"{member.multipliers.width:g}",
            str(member.spec.resolution),
            _dashed(member.spec.depths),
            _dashed(member.spec.widths),
            format_count(member.cost.macs),
            f"{_plain(member.realised_ratio)}x",
            format_count(member.cost.params),
            format_count(member.cost.activations),
            f"{member.spec.drop_path:g}",
            f"{member.spec.dropout:g}",
            member.why,
        )
        for member in members
    ]
    return "\n".join([f"the published family {name}, from its table", aligned([header, *body], left=1)])


def published_rows(members: Sequence[PublishedMember]) -> list[dict[str, Any]]:
    """The same as plain JSON types."""
    return [
        {
            "name": member.spec.name,
            "depth": member.multipliers.depth,
            "width": member.multipliers.width,
            "resolution": member.spec.resolution,
            "depths": list(member.spec.depths),
            "widths": list(member.spec.widths),
            "macs": member.cost.macs,
            "realised_ratio": member.realised_ratio,
            "params": member.cost.params,
            "activations": member.cost.activations,
            "drop_path": member.spec.drop_path,
            "dropout": member.spec.dropout,
            "phi_depth": member.phi_depth,
            "phi_width": member.phi_width,
            "phi_resolution": member.phi_resolution,
            "fingerprint": member.spec.fingerprint,
            "why": member.why,
        }
        for member in members
    ]


def _cells(row: Mapping[str, Any], has_fvcore: bool, has_latency: bool) -> tuple[str, ...]:
    return (
        f"{row['phi']:.3g}",
        f"{row['depth']:.3f}",
        f"{row['width']:.3f}",
        f"{row['resolution_multiplier']:.3f}",
        _dashed(row["depths"]),
        _dashed(row["widths"]),
        str(row["resolution"]),
        format_count(row["macs"]),
        f"{_plain(row['realised_ratio'])}x",
        f"{_plain(row['target_ratio'])}x",
        format_count(row["params"]),
        format_count(row["activations"]),
        *((f"{row['fvcore_macs']:,}",) if has_fvcore else ()),
        *((f"{row['latency_ms']:.1f}",) if has_latency else ()),
        f"{row['drop_path']:g}",
        f"{row['dropout']:g}",
        row["name"],
        row["note"],
    )


def _below(summary: Mapping[str, Any], has_latency: bool) -> list[str]:
    lines = []
    if summary["solve"] == "realised":
        lines.append("depth x, width x, res x: multipliers before rounding, solved along the coefficients")
    if has_latency:
        how = summary["latency_measured"]
        lines.append(
            f"ms: median of {how['repeats']} forward passes, batch {how['batch']}, {how['threads']} thread(s), "
            f"{how['device']}"
        )
    if summary["baseline"]["name"] == "efficientnet_b0":
        lines.append("the released B1 to B7 are another table: scalesearch scale --family efficientnet")
    return lines


def _dashed(numbers: Sequence[int]) -> str:
    return "-".join(map(str, numbers))


def _plain(ratio: float) -> str:
    """Four significant digits without an exponent."""
    return f"{ratio:,.0f}" if ratio >= 1000 else f"{ratio:.4g}"
