"""Compound scaling against every single axis and the published rules, at the same realised cost.

    python experiments/iso_cost.py -m ratio=1.45,2.0

Hardware: 2 cores, no GPU. Runtime: about 20 minutes (2 jobs of 42 trainings; not measured, estimated from trainings of
20 s on two slots).
Expected: little. `scalesearch axes` with five seeds told 3 of 14 comparisons apart: compound 3.1 points before
resolution at half the cost, 1.3 before depth at 1.45 times, and 2.1 behind resolution at twice the cost (docs/axes.md).
Repeating the command continues every run from its ledger instead of starting again.
"""

from __future__ import annotations

from typing import Any

import hydra

from scalesearch.config.experiment import run_experiment


@hydra.main(version_base="1.3", config_path="../conf", config_name="experiment/iso_cost")
def main(config: Any) -> float | None:
    """One job; returns what a sweeper would maximise."""
    summary = run_experiment("axes", config, own=("ratio",))
    gaps = [row["difference"] for row in summary["comparisons"] if row.get("difference") is not None]
    return float(min(gaps)) if gaps else None


if __name__ == "__main__":
    main()
