"""Published result tables that travel with the package, each with its source in the first lines of the file."""

from __future__ import annotations

from importlib import resources

import pandas as pd

__all__ = ["mobilenet_width_resolution"]


def mobilenet_width_resolution() -> pd.DataFrame:
    """38 published MobileNetV1 and V2 accuracies on ImageNet over width multiplier and resolution.

    Source: tensorflow/models, research/slim/nets (Apache-2.0). log(error) is linear in log width and log resolution
    with R2 .994 (V1) and .993 (V2), so the table is an outside check of `joint_law.fit_joint_law`.

    Returns:
        Columns family ("v1" or "v2"), width (multiplier), depth (1 throughout), resolution (px), macs, params,
        accuracy (top-1, 0..1), top5 (0..1), pixel1_ms (NaN for V1).
    """
    path = resources.files("scalesearch.analysis") / "reference" / "mobilenet_width_resolution.csv"
    with path.open(encoding="utf-8") as file:
        table = pd.read_csv(file, comment="#")
    return pd.DataFrame(
        {
            "family": table["family"],
            "width": table["width"],
            "depth": 1.0,
            "resolution": table["resolution"],
            "macs": (table["mmacs"] * 1e6).round().astype("int64"),
            "params": (table["params_m"] * 1e6).round().astype("int64"),
            "accuracy": table["top1"] / 100,
            "top5": table["top5"] / 100,
            "pixel1_ms": table["pixel1_ms"],
        }
    )
