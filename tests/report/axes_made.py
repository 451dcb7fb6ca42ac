"""Curves, fits, comparisons and a summary of a study of axes, from known laws; fitted by the study's own code."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from scalesearch.studies.axes_comparisons import compare_curves
from scalesearch.studies.axes_fits import fit_lines, fits_frame

BASELINE_MACS = 386_000_000
# accuracy = 1 - a - b * ratio^-c
LAWS = {
    "width": (0.145, 0.050, 0.55),
    "depth": (0.150, 0.045, 0.8),
    "resolution": (0.155, 0.041, 0.95),
    "compound": (0.112, 0.079, 0.48),
}
RATIOS = (0.35, 0.5, 0.71, 1.0, 1.45, 2.0, 4.0)


def observations(
    laws: dict[str, tuple[float, float, float]] = LAWS,
    ratios: tuple[float, ...] = RATIOS,
    seeds: int = 5,
    noise: float = 0.003,
    rules: tuple[str, ...] = ("fast", "uniform"),
) -> pd.DataFrame:
    """One row per point and seed."""
    rng = np.random.default_rng(0)
    rows = []
    shifts = rng.normal(0, noise, seeds)
    points = [(curve, ratio, law) for curve, law in laws.items() for ratio in ratios]
    points += [(name, 2.0, LAWS["compound"]) for name in rules if 2.0 in ratios]
    at_one = [0.81 + shift + rng.normal(0, noise) for shift in shifts]
    for curve, ratio, (a, b, c) in points:
        macs = round(BASELINE_MACS * ratio * (1 if ratio == 1 else 1 + 0.01 * math.sin(ratio * len(curve))))
        for seed in range(seeds):
            accuracy = 1 - a - b * ratio**-c + shifts[seed] + rng.normal(0, noise)
            network = "baseline" if ratio == 1 else f"{curve} {ratio:g}"
            rows.append(
                {
                    "curve": curve,
                    "budget": ratio,
                    "fingerprint": network,
                    "network": network,
                    "macs": macs,
                    "proxy_macs": macs // 160,
                    "seed": seed,
                    "accuracy": at_one[seed] if ratio == 1 else accuracy,
                    "data": "d",
                    "recipe": "r",
                }
            )
    return pd.DataFrame(rows)


def curves_of(rows: pd.DataFrame, noise: float = 0.003) -> pd.DataFrame:
    """The table curves.csv of observations."""
    points = []
    for (curve, macs), part in rows.groupby(["curve", "macs"], sort=False):
        mean, n = part["accuracy"].mean(), int(part["accuracy"].notna().sum())
        ratio = macs / BASELINE_MACS
        half = 2.2 * noise / math.sqrt(n) if n > 1 else math.nan
        axes = {axis: ratio**0.5 if axis == curve else 1.0 for axis in ("width", "depth", "resolution")}
        points.append(
            {
                "curve": curve,
                "ratio": ratio,
                "name": f"efficientnet_b0_{curve}_{ratio:.2g}x",
                "fingerprint": part["fingerprint"].iloc[0],
                "macs": macs,
                "params": 5_300_000,
                "activations": 6_700_000,
                "resolution": round(224 * axes["resolution"]),
                **{f"{axis}_multiplier": value for axis, value in axes.items()},
                "proxy_resolution": 24,
                "proxy_macs": macs // 160,
                "proxy_ratio": ratio,
                "accuracy_mean": mean,
                "accuracy_low": mean - half,
                "accuracy_high": mean + half,
                "error_mean": 1 - mean,
                "seeds": n,
                "gain": math.nan,
                "gain_low": math.nan,
                "gain_high": math.nan,
                "gain_measured": False,
                "asked_ratio": part["budget"].iloc[0],
                "kept": True,
                "reason": "",
            }
        )
    return pd.DataFrame(points)


def study(**made: Any) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """curves, fits, comparisons and summary."""
    rows = observations(**made)
    lines = list(made.get("laws", LAWS))
    curves, found = curves_of(rows), fit_lines(rows, lines, points_per_doubling=1.0, confidence=0.95)
    for line in found:
        own = curves["curve"] == line.curve
        gains = line.gains(curves.loc[own, "macs"].tolist())
        for column in ("gain", "low", "high", "measured"):
            name = column if column == "gain" else f"gain_{column}"
            curves.loc[own, name] = gains[column].to_numpy()
    compared = compare_curves(rows, 0.95)
    summary: dict[str, Any] = {
        "verb": "axes",
        "sentence": f"points of accuracy per doubling of cost are known; {compared.sentence}",
        "warnings": ["the proxy is too coarse", *compared.warnings],
        "baseline": {
            "name": "efficientnet_b0",
            "rescaled_from": None,
            "macs": BASELINE_MACS,
            "params": 5_288_548,
            "resolution": 224,
            "fingerprint": "baseline",
        },
        "reference": "compound",
        "fits": [line.row() | {"band": line.band()} for line in found],
        "comparison_sentence": compared.sentence,
        "joint_law": {
            "identified": True,
            "why": "",
            "terms": {
                "1": {"value": -1.6, "low": -1.7, "high": -1.5},
                "width": {"value": -0.21, "low": -0.25, "high": -0.17},
                "depth": {"value": -0.11, "low": None, "high": None},
            },
            "r2": 0.97,
            "residual_sd": 0.01,
            "lack_of_fit": 0.3,
            "n_networks": 20,
            "n_seeds": 5,
            "n_dropped": 0,
        },
        "fidelity": None,
        "points_per_doubling": 1.0,
        "confidence": 0.95,
        "depth_rounding": "largest_remainder",
        "tolerance": 0.1,
        "proxy": {
            "width": 0.25,
            "resolution": 24,
            "data_fraction": 0.2,
            "epochs": 1,
            "baseline_macs": 2_340_000,
            "ratio_low": 0.5,
            "ratio_high": 4.1,
        },
        "data": {"name": "fashion_mnist", "fingerprint": "d", "classes": 10, "n_train": 54_000, "n_val": 6_000},
        "seeds": 5,
        "minutes": 12.0,
        "n_networks": 24,
        "n_trials": 120,
        "n_check": 0,
        "n_shared": 4,
        "shared_from": ["grid/first"],
        "n_failed": 0,
        "seed_sd": 0.003,
        "slots": 2,
        "wall_seconds": 700.0,
        "slot_utilisation": 0.95,
        "train_seconds": 1300.0,
    }
    return curves, fits_frame(found), compared.frame, summary


@cache
def usual() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """A study with every curve identified, or nearly; do not change what it returns."""
    return study()
