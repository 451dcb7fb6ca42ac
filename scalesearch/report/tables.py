"""Plain-text tables and summaries for the terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scalesearch.arch.cost import Cost, part_costs
from scalesearch.arch.spec import NetSpec
from scalesearch.report.opinion_words import likely_words, second_opinion_words
from scalesearch.store.run_list import RunInfo
from scalesearch.units import format_count, format_seconds

__all__ = ["aligned", "candidate_table", "cost_report", "cost_table", "grid_words", "run_table"]


def candidate_table(rows: Sequence[Mapping[str, Any]], *, others: int = 8) -> str:
    """Candidates as an aligned text table: all kept ones, then some `others`, then how many more there are."""
    kept = [row for row in rows if row["kept"] == "true"]
    shown = [*kept, *[row for row in rows if row["kept"] != "true"][:others]]
    header = (
        "alpha",
        "beta",
        "gamma",
        "nominal",
        "realised",
        "MACs",
        "params",
        "px",
        "kept",
        "points",
        "rule / reason",
    )
    body = [
        (
            f"{row['alpha']:.3f}",
            f"{row['beta']:.3f}",
            f"{row['gamma']:.3f}",
            f"{row['nominal_product']:.3f}",
            f"{row['realised_ratio']:.3f}",
            format_count(row["macs"]),
            format_count(row["params"]),
            str(row["resolution"]),
            "yes" if row["kept"] == "true" else "no",
            str(len(row["region"].split(";")) if row["region"] else 0),
            "  ".join(filter(None, (row["rule"], row["reason"]))),
        )
        for row in shown
    ]
    lines = [aligned([header, *body])]
    if more := len(rows) - len(shown):
        lines.append(f"... and {more} more that are not kept; all of them are in candidates.csv")
    return "\n".join(lines)


def cost_report(spec: NetSpec) -> dict[str, Any]:
    """The cost of a network as plain JSON types, part by part."""
    parts = part_costs(spec)
    total = sum((part.cost for part in parts), Cost())
    return {
        "name": spec.name,
        "resolution": spec.resolution,
        "macs": total.macs,
        "params": total.params,
        "activations": total.activations,
        "fingerprint": spec.fingerprint,
        "stages": [
            {
                "name": part.name,
                "kind": part.kind,
                "kernel_size": part.kernel_size,
                "stride": part.stride,
                "width": part.width,
                "depth": part.depth,
                "resolution": part.resolution,
                "macs": part.cost.macs,
                "params": part.cost.params,
                "activations": part.cost.activations,
            }
            for part in parts
        ],
    }


def cost_table(report: Mapping[str, Any]) -> str:
    """The rows of `cost_report` for people: one part a line, exact totals below."""
    header = ("part", "kind", "kernel", "stride", "width", "depth", "px out", "MACs", "share", "params", "activations")
    body = [
        (
            row["name"],
            row["kind"],
            str(row["kernel_size"]),
            str(row["stride"]),
            str(row["width"]),
            str(row["depth"]),
            str(row["resolution"]),
            format_count(row["macs"]),
            f"{row['macs'] / report['macs']:.1%}",
            format_count(row["params"]),
            format_count(row["activations"]),
        )
        for row in report["stages"]
    ]
    lines = [
        f"{report['name']} at {report['resolution']} px",
        aligned([header, *body], left=2),
        f"macs         {report['macs']:>18,}  multiply-adds of convolutions and linear layers, one picture",
        f"params       {report['params']:>18,}",
        f"activations  {report['activations']:>18,}  outputs of the same layers",
    ]
    if "fvcore_macs" in report:
        lines.append(f"fvcore macs  {report['fvcore_macs']:>18,}  equal to the closed form")
        lines.append(f"fvcore total {report['fvcore_total']:>18,}  with batch norm and pooling")
    if "latency" in report:
        took = report["latency"]
        lines.append(
            f"latency      {took['median_ms']:>15.2f} ms  median of {took['repeats']}, quartiles "
            f"{took['p25_ms']:.2f} to {took['p75_ms']:.2f}; batch {took['batch']}, {took['threads']} thread, "
            f"{took['device']}"
        )
    return "\n".join(lines)


def grid_words(summary: Mapping[str, Any], path: Path) -> str:
    """What a grid found, for the terminal."""
    rows = [summary["winner"], *summary["ties"]]
    header = ("alpha", "beta", "gamma", "realised", "MACs", "accuracy", "95 % interval", "p best", "seeds", "rule")
    body = [_evidence(row) for row in rows[:12]]
    family = [("phi", "depth", "width", "resolution", "nominal", "realised", "MACs")] + [
        (
            str(row["phi"]),
            f"{row['depth']:.2f}",
            f"{row['width']:.2f}",
            f"{row['nominal_resolution']} -> {row['realised_resolution']} px",
            f"{row['nominal_ratio']:.2f}x",
            f"{row['realised_ratio']:.2f}x",
            format_count(row["macs"]),
        )
        for row in summary["phi_preview"]
    ]
    used = summary["slot_utilisation"]
    return "\n".join(
        [
            summary["sentence"],
            *(line for line in (second_opinion_words(summary), likely_words(summary)) if line),
            *(f"note: {warning}" for warning in summary["warnings"]),
            aligned([header, *body]),
            *([f"... and {len(rows) - 12} more tied"] if len(rows) > 12 else []),
            "",
            "the family it implies (nominal: rounded as it comes; realised: resolution set so that counted MACs reach "
            f"{summary['ratio']:g}^phi times the baseline's):",
            aligned(family),
            "",
            f"{summary['n_trials']} trainings in {format_seconds(summary['wall_seconds'])}"
            + (f", slots busy {used:.0%} of the time" if used is not None else ""),
            f"report: {path / 'report.html'}",
        ]
    )


def _evidence(row: Mapping[str, Any]) -> tuple[str, ...]:
    low, high = row["accuracy_ci95"]
    return (
        f"{row['alpha']:.3f}",
        f"{row['beta']:.3f}",
        f"{row['gamma']:.3f}",
        f"{row['realised_ratio']:.3f}",
        format_count(row["macs"]),
        "-" if row["accuracy_mean"] is None else f"{row['accuracy_mean']:.2%}",
        "-" if low is None else f"{low:.2%} to {high:.2%}",
        "-" if row["p_best"] is None else f"{row['p_best']:.2f}",
        str(row["seeds"]),
        "+".join(row["rules"]),
    )


def run_table(runs: Sequence[RunInfo], runs_dir: str) -> str:
    """One line a run, oldest first."""
    if not runs:
        return f"no runs in {runs_dir}"
    header = ("run", "status", "started", "trainings", "failed", "note")
    body = [
        (
            f"{info.verb}/{info.name}",
            info.status,
            time.strftime("%Y-%m-%d %H:%M", time.localtime(info.started)) if info.started else "-",
            "-" if info.trials_done is None else str(info.trials_done),
            "-" if info.trials_failed is None else str(info.trials_failed),
            info.note,
        )
        for info in runs
    ]
    return aligned([header, *body], left=3)


def aligned(rows: Sequence[Sequence[str]], *, left: int = 0) -> str:
    """Columns of equal width: the first `left` and the last flush left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(widths) - 1
    lines = [
        "  ".join(
            cell.ljust(width) if index < left or index == last else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)
