"""alpha, beta and gamma for several budgets.

    python experiments/grid.py -m target_flops=200M,400M seed=0,1

Hardware: 2 cores, no GPU. Runtime: about 35 minutes (4 jobs; one of 36 trainings was measured: 8 minutes).
Expected: ties: with 36 trainings the README's grid told 3 of 10 candidates from the leader.
Repeating the command continues every run from its ledger instead of starting again.
"""

from __future__ import annotations

from typing import Any

import hydra

from scalesearch.config.experiment import run_experiment


@hydra.main(version_base="1.3", config_path="../conf", config_name="experiment/grid")
def main(config: Any) -> float | None:
    """One job; returns what a sweeper would maximise."""
    summary = run_experiment("grid", config)
    return float(summary["winner"]["objective"])


if __name__ == "__main__":
    main()
