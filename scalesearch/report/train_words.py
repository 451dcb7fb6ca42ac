"""What a longer training gave, in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scalesearch.units import format_count, format_seconds

__all__ = ["train_words"]


def train_words(summary: Mapping[str, Any], path: Path) -> str:
    """The end of `scalesearch train`."""
    test, best, exported = summary["test"], summary["best"], summary["exported"]
    lines = [
        f"{summary['network']}: {summary['epochs']} epochs in {format_seconds(summary['seconds'])}, "
        f"{summary['images_per_second']:,.0f} images/s, {format_count(summary['macs'])} multiply-adds",
        f"{test['part']} accuracy {test['accuracy']:.4f} on {test['pictures']:,} pictures ({test['note']})",
        f"exported: epoch {exported['epoch']}, validation accuracy {exported['val_accuracy']:.4f}; "
        f"best: epoch {best['epoch']}, {best['val_accuracy']:.4f}",
    ]
    if summary.get("weights_sha256"):
        lines.append(f"weights: {path / 'weights.safetensors'} (sha256 {summary['weights_sha256'][:12]}...)")
    return "\n".join([*lines, f"everything: {path}"])
