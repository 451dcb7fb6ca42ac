"""Standings and a summary of a grid, made by hand."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

BASELINE_MACS = 100_000_000


def row(alpha: float, beta: float, gamma: float, objective: float | None, outcome: str, **more: Any) -> dict[str, Any]:
    """One candidate; its interval is 0.01 to both sides."""
    value = math.nan if objective is None else objective
    ratio = alpha * beta**2 * gamma**2
    return {
        "name": f"net_{alpha:g}_{beta:g}_{gamma:g}",
        "alpha": alpha,
        "beta": beta,
        "gamma": gamma,
        "nominal_product": ratio,
        "macs": round(ratio * BASELINE_MACS),
        "fvcore_macs": round(ratio * BASELINE_MACS) + 3_000_000,
        "realised_ratio": ratio,
        "params": 5_290_000,
        "resolution": round(224 * gamma),
        "fingerprint": f"fp{alpha:g}{beta:g}{gamma:g}".replace(".", ""),
        "objective": value + 0.5,
        "objective_adjusted": value,
        "objective_low": value - 0.01,
        "objective_high": value + 0.01,
        "accuracy_mean": value,
        "accuracy_low": value - 0.01,
        "accuracy_high": value + 0.01,
        "p_best": math.nan if objective is None else 0.25,
        "seeds": 0 if objective is None else 3,
        "rule": "",
        "proxy_resolution": 24,
        "proxy_ratio": ratio,
        "outcome": outcome,
        "why": "",
        **more,
    }


def standings() -> pd.DataFrame:
    """A winner, two ties, one told apart, one without a result."""
    root = math.sqrt(2)
    rows = [
        row(1.2, 1.1, 1.15, 0.812, "best", rule="efficientnet"),
        row(2.0, 1.0, 1.0, 0.808, "tied", rule="depth_only", why="0.0040 behind fp1211115"),
        row(2**0.5, 1.0, 2**0.25, 0.806, "tied"),
        row(1.0, root, 1.0, 0.770, "told apart", rule="width_only+uniform"),
        row(1.0, 1.0, root, None, "failed", rule="resolution_only", fvcore_macs=None),
    ]
    return pd.DataFrame(rows)


def many(n: int) -> pd.DataFrame:
    """`n` candidates spread over the triangle, the first best, a third of the others tied."""
    rows = []
    for i in range(n):
        depth = (i * 0.37) % 1
        width = (1 - depth) * ((i * 0.61) % 1)
        at = (2**depth, 2 ** (width / 2), 2 ** ((1 - depth - width) / 2))
        outcome = "best" if i == 0 else "tied" if i <= n // 3 else "told apart"
        rows.append(row(*at, 0.8 - 0.001 * i, outcome, rule=f"a rule of number {i}" if i % 8 == 0 else ""))
    return pd.DataFrame(rows)


def entry(candidate: dict[str, Any]) -> dict[str, Any]:
    """A row as summary.json holds it."""
    entry = {name: value for name, value in candidate.items() if name not in ("outcome", "why", "rule")}
    low, high = entry.pop("accuracy_low"), entry.pop("accuracy_high")
    rules = [name for name in candidate["rule"].split("+") if name]
    return {**entry, "rules": rules, "region": [[1.2, 1.1, 1.15], [1.25, 1.1, 1.15]], "accuracy_ci95": [low, high]}


def summary() -> dict[str, Any]:
    """The summary that belongs to `standings`."""
    winner, *ties = [entry(candidate) for candidate in standings().iloc[:3].to_dict("records")]
    return {
        "verb": "grid",
        "sentence": "a tie between 3 of 4 candidates: efficientnet (1.20, 1.10, 1.15) leads",
        "target_macs": BASELINE_MACS,
        "baseline": {
            "name": "mini",
            "rescaled_from": "efficientnet_b0",
            "macs": BASELINE_MACS,
            "params": 5_000_000,
            "resolution": 224,
            "fingerprint": "abc",
        },
        "ratio": 2.0,
        "tolerance": 0.05,
        "constraint": "realised",
        "depth_rounding": "largest_remainder",
        "n_lattice": 40,
        "n_candidates": 5,
        "n_trials": 14,
        "n_failed": 2,
        "winner": winner,
        "ties": ties,
        "enough_evidence": True,
        "seed_sd": 0.0042,
        "objective": {"below": -0.07, "above": -0.07},
        "proxy": {
            "width": 0.25,
            "resolution": 24,
            "data_fraction": 0.1,
            "epochs": 1,
            "baseline_macs": 2_340_000,
            "ratio_low": 1.8,
            "ratio_high": 2.2,
        },
        "warnings": ["the proxy is too coarse"],
        "data": {"name": "synthetic", "fingerprint": "d", "classes": 10, "n_train": 55_000, "n_val": 5_000},
        "phi_preview": [
            {
                "phi": 1,
                "depth": 1.2,
                "width": 1.1,
                "resolution": 1.15,
                "ideal_ratio": 2.0,
                "nominal_resolution": 258,
                "nominal_ratio": 1.92,
                "realised_resolution": 264,
                "realised_ratio": 2.01,
                "macs": 201_000_000,
            }
        ],
        "slots": 2,
        "wall_seconds": 431.0,
        "slot_utilisation": 0.913,
        "train_seconds": 760.0,
    }
