"""Whether short trainings rank networks as longer ones do.

    python experiments/proxy_fidelity.py -m check.epochs=2,4

Hardware: 2 cores, no GPU. Runtime: about 35 minutes (38 trainings of one epoch shared by both jobs, 10 more of two
and of four epochs each; not measured, estimated from trainings of 20 s on two slots).
Expected: a rank correlation with a wide interval, because ten networks are few (not measured).
Repeating the command continues every run from its ledger instead of starting again.
"""

from __future__ import annotations

from typing import Any

import hydra

from scalesearch.config.experiment import run_experiment


@hydra.main(version_base="1.3", config_path="../conf", config_name="experiment/proxy_fidelity")
def main(config: Any) -> float | None:
    """One job; returns what a sweeper would maximise."""
    summary = run_experiment("axes", config)
    fidelity = summary.get("fidelity") or {}
    return fidelity.get("kendall")


if __name__ == "__main__":
    main()
