"""Search strategies on the same space, budget and seeds.

    python experiments/baseline_search.py -m strategy=surrogate,evolution,random seed=0,1

Hardware: 2 cores, no GPU. Runtime: about 60 minutes (6 jobs of about 53 trainings; not measured, estimated from
trainings of 20 s on two slots).
Expected: the surrogate at or above 0.86 (measured with 20 trainings: 0.861; B0 itself has 0.825).
Repeating the command continues every run from its ledger instead of starting again.
"""

from __future__ import annotations

from typing import Any

import hydra

from scalesearch.config.experiment import run_experiment


@hydra.main(version_base="1.3", config_path="../conf", config_name="experiment/baseline_search")
def main(config: Any) -> float | None:
    """One job; returns what a sweeper would maximise."""
    summary = run_experiment("search", config)
    return float(summary["best"]["objective"])


if __name__ == "__main__":
    main()
