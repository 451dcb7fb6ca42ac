"""What a study of axes will train and what it found, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scalesearch.report.tables import aligned
from scalesearch.units import format_count, format_seconds

__all__ = ["axes_words", "plan_words"]


def axes_words(summary: Mapping[str, Any], path: Path) -> str:
    """What a study of axes found.

    Args:
        summary: what summary.json holds.
        path: of the run folder.
    """
    lines = [summary["sentence"], *(f"note: {warning}" for warning in summary["warnings"])]
    lines += ["", _points_text(summary["curves"]), "", _fits_text(summary)]
    if summary["comparisons"]:
        lines += ["", _comparisons_text(summary)]
    if law := _law_text(summary["joint_law"]):
        lines += ["", law]
    if fidelity := summary["fidelity"]:
        lines += ["", f"check against {fidelity['epochs']} epochs: {fidelity['sentence']}"]
        lines += [fidelity["width_bias_sentence"]] if fidelity["width_bias_sentence"] else []
    return "\n".join([*lines, "", _counts_text(summary), f"report: {path / 'report.html'}"])


def plan_words(sentence: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The networks that would be trained, and those that would not.

    Args:
        sentence: the plan in a few words.
        rows: of candidates.csv.
    """
    header = ("network", "curves", "ratio", "MACs", "params", "px", "depths", "kept", "")
    body = [
        (
            row["name"],
            row["curves"],
            f"{row['ratio']:.3f}",
            format_count(row["macs"]),
            format_count(row["params"]),
            str(row["resolution"]),
            row["depths"].replace(" ", ","),
            "yes" if row["kept"] == "true" else "no",
            row["reason"],
        )
        for row in rows
    ]
    return f"{sentence}\n{aligned([header, *body], left=2)}"


def _points_text(curves: Sequence[Mapping[str, Any]]) -> str:
    header = ("curve", "ratio", "MACs", "depth", "width", "px", "accuracy", "95 % interval", "seeds", "")
    body = []
    for curve in curves:
        for point in curve["points"]:
            if point["ratio"] is None:
                body.append((curve["curve"], *["-"] * 8, point["reason"]))
                continue
            row = (
                curve["curve"],
                f"{point['ratio']:.2f}",
                format_count(point["macs"]),
                f"{point['depth_multiplier']:.2f}",
                f"{point['width_multiplier']:.2f}",
                str(int(point["resolution"])),
                _percent(point["accuracy_mean"]),
                _interval(point["accuracy_low"], point["accuracy_high"], _percent),
                "-" if point["seeds"] is None else str(int(point["seeds"])),
                point["reason"],
            )
            body.append(row)
    return aligned([header, *body], left=1)


def _fits_text(summary: Mapping[str, Any]) -> str:
    level, points = f"{summary['confidence']:.0%} interval", f"{summary['points_per_doubling']:g}"
    header = ("curve", "points per doubling", level, f"a doubling buys less than {points} beyond", level, "fit")
    body = [
        (
            fit["curve"],
            "-" if fit["trend"] is None else f"{fit['trend']:+.2f}",
            _interval(fit["trend_low"], fit["trend_high"], "{:+.2f}".format),
            format_count(fit["knee"]) if fit["knee"] is not None else str(fit["knee_state"]),
            _knee_range(fit),
            _formula(fit) if fit["identified"] else "refused",
        )
        for fit in summary["fits"]
    ]
    return aligned([header, *body], left=1)


def _knee_range(fit: Mapping[str, Any]) -> str:
    if fit["knee_state"] == "not known":
        return "-"
    low, high = fit["knee_low"], fit["knee_high"]
    start = "before the first" if low is None else format_count(low)
    return f"{start} to {'beyond the last' if high is None else format_count(high)}"


def _formula(fit: Mapping[str, Any]) -> str:
    return f"error = {fit['a']:.3f} + {fit['b']:.3f} (MACs / {format_count(fit['first_cost'])})^-{fit['c']:.2f}"


def _comparisons_text(summary: Mapping[str, Any]) -> str:
    header = ("ratio", f"{summary['reference']} minus", "points", "interval", "effect", "corrected p", "verdict")
    body = [
        (
            f"{row['ratio']:g}",
            row["curve"],
            "-" if row["points"] is None else f"{row['points']:+.2f}",
            _interval(row["low"], row["high"], "{:+.2f}".format),
            "-" if row["effect_size"] is None else f"{row['effect_size']:+.1f}",
            "-" if row["p_corrected"] is None else f"{row['p_corrected']:.3f}",
            row["verdict"],
        )
        for row in summary["comparisons"]
    ]
    return aligned([header, *body])


def _law_text(law: Mapping[str, Any]) -> str:
    if not law["identified"]:
        return str(law["why"])
    terms = [
        f"{name}^{term['value']:.2f} ({_interval(term['low'], term['high'], '{:.2f}'.format)})"
        for name, term in law["terms"].items()
        if name != "1"
    ]
    careful = f"; {law['why']}" if law["why"] else ""
    return f"error ~ {' * '.join(terms)}{careful}"


def _counts_text(summary: Mapping[str, Any]) -> str:
    used = summary["slot_utilisation"]
    parts = [
        f"{summary['n_trials']} trainings of {summary['n_networks']} networks, {summary['seeds']} seeds",
        *([f"{summary['n_shared']} taken from {', '.join(summary['shared_from'])}"] if summary["n_shared"] else []),
        *([f"{summary['n_failed']} without a result"] if summary["n_failed"] else []),
    ]
    busy = f", slots busy {used:.0%} of the time" if used is not None else ""
    return f"{', '.join(parts)}; {format_seconds(summary['wall_seconds'])}{busy}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _interval(low: float | None, high: float | None, text: Any) -> str:
    return "-" if low is None or high is None else f"{text(low)} to {text(high)}"
