"""Trials, finalists and a summary of a search, made up from a fixed seed."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pandas as pd

TARGET = 400_000_000
B0_MACS = 385_814_752
CHOICES: dict[str, list[str]] = {
    "op": ["conv", "depthwise_separable", "mbconv3", "mbconv6", "fused_mbconv"],
    "kernel_size": ["3", "5", "7"],
    "se_ratio": ["0", "0.25"],
    "skip": ["false", "true"],
    "filters": ["0.75", "1", "1.25"],
    "repeats": ["-1", "0", "+1"],
}


def objective(accuracy: float, macs: float) -> float:
    return float(accuracy * (macs / TARGET) ** -0.07)


def trial(number: int, accuracy: float, macs: float, *, epochs: int = 1, **more: Any) -> dict[str, Any]:
    """One training; accuracy NaN is a failed one."""
    return {
        "number": number,
        "fingerprint": f"f{number:04d}",
        "name": f"net_{number}",
        "rung": 0,
        "epochs": epochs,
        "accuracy": accuracy,
        "objective": objective(accuracy, macs),
        "macs": round(macs),
        "cost": macs,
        "phase": "search",
        "label": "",
        **more,
    }


def few() -> pd.DataFrame:
    """Five trainings by hand: two on the front, one failed, one of a reference."""
    return pd.DataFrame(
        [
            trial(1, 0.80, 400e6, **{"gene.stage1.op": "conv"}),
            trial(2, math.nan, 380e6, **{"gene.stage1.op": "conv"}),
            trial(3, 0.84, 410e6, **{"gene.stage1.op": "mbconv"}),
            trial(4, 0.81, 390e6, **{"gene.stage1.op": "mbconv"}),
            trial(5, 0.79, B0_MACS, label="efficientnet_b0", name="efficientnet_b0"),
        ]
    )


def many(n: int = 120, *, stages: int = 7, rungs: int = 1, dimensions: int = 6, seed: int = 0) -> pd.DataFrame:
    """`n` networks that get better as the search goes on, the better ones trained longer where there are rungs."""
    rng = Random(seed)
    rows = []
    for i in range(n):
        learned = i / n
        genes = {}
        quality = 0.0
        for stage in range(1, stages + 1):
            for dimension in list(CHOICES)[:dimensions]:
                options = CHOICES[dimension]
                good = options[(stage * 2 + len(dimension)) % len(options)]
                choice = good if rng.random() < 0.15 + 0.35 * learned else rng.choice(options)
                genes[f"gene.stage{stage}.{dimension}" if dimensions > 1 else f"gene.layer{stage}.op"] = choice
                quality += (choice == good) / (stages * dimensions)
        macs = TARGET * rng.uniform(0.82, 1.08)
        accuracy = 0.80 + 0.06 * quality + 0.03 * math.log2(macs / TARGET) + rng.gauss(0, 0.006)
        accuracy = 0.1 if rng.random() < 0.02 else math.nan if rng.random() < 0.03 else accuracy
        rows.append(trial(0, accuracy, macs, fingerprint=f"f{i}", name=f"s{i:03d}", **genes))
        for rung in range(1, rungs):
            if accuracy > 0.81 + 0.005 * rung:
                more = min(0.99, accuracy + 0.03 * rung + rng.gauss(0, 0.004))
                rows.append({**rows[-1], **trial(0, more, macs, epochs=3**rung, rung=rung), "fingerprint": f"f{i}"})
                rows[-1]["name"] = f"s{i:03d}"
    return pd.DataFrame(rows).assign(number=range(1, len(rows) + 1))


def finalist(name: str, macs: int, accuracy: float | None, outcome: str, **more: Any) -> dict[str, Any]:
    """One finalist as summary.json holds it; its interval is 0.006 to both sides."""
    return {
        "name": name,
        "fingerprint": f"f{name}",
        "macs": macs,
        "fvcore_macs": macs,
        "params": 5_290_000,
        "activations": 6_750_000,
        "cost": float(macs),
        "objective": None if accuracy is None else objective(accuracy, macs),
        "objective_ci95": [None, None] if accuracy is None else [accuracy - 0.006, accuracy + 0.006],
        "accuracy_mean": accuracy,
        "accuracy_ci95": [None, None] if accuracy is None else [accuracy - 0.006, accuracy + 0.006],
        "p_best": None if accuracy is None else 0.4,
        "seeds": 0 if accuracy is None else 4,
        "outcome": outcome,
        "is_baseline": False,
        "stages": ["depthwise_separable k3 se0.25 s1 16x1", "mbconv e6 k5 se0.25 s2 40x2"],
        **more,
    }


def entries() -> list[dict[str, Any]]:
    """A best network, a tie, the base network, and one without a result."""
    return [
        finalist("s093", 402_000_000, 0.846, "best"),
        finalist("s077", 391_000_000, 0.841, "tied"),
        finalist("efficientnet_b0", B0_MACS, 0.826, "told apart", is_baseline=True),
        finalist("s055", 371_000_000, None, "failed"),
    ]


def finalists() -> pd.DataFrame:
    """The same as the table that figures and pages take."""
    rows = []
    for entry in entries():
        low, high = entry.pop("accuracy_ci95")
        objective_low, objective_high = entry.pop("objective_ci95")
        more = {"accuracy_low": low, "accuracy_high": high}
        rows.append({**entry, **more, "objective_low": objective_low, "objective_high": objective_high})
    return pd.DataFrame(rows)


def summary(**changed: Any) -> dict[str, Any]:
    """The summary that belongs to them."""
    best, _, baseline, _ = entries()
    return {
        "verb": "search",
        "sentence": "s093 leads with objective 0.8457; efficientnet_b0 is told apart from it",
        "warnings": ["the proxy is too coarse"],
        "cost": "macs",
        "target": float(TARGET),
        "target_macs": TARGET,
        "window_low": 320_000_000.0,
        "window_high": 440_000_000.0,
        "objective": {"below": -0.07, "above": -0.07},
        "strategy": "surrogate",
        "n_asked": 124,
        "n_trained": 120,
        "n_failed": 3,
        "n_skipped_over_budget": 17,
        "n_duplicates": 4,
        "best": best,
        "finalists": entries(),
        "baseline": baseline,
        "front": [
            {"name": "s093", "macs": 402_000_000, "cost": 402e6, "accuracy": 0.851, "objective": 0.8507, "epochs": 1}
        ],
        "wall_seconds": 1130.0,
        "slot_utilisation": 0.94,
        **changed,
    }
