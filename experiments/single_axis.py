"""One axis alone: how accuracy grows with width, depth or resolution, and where it stops to pay.

    python experiments/single_axis.py -m axis=width,depth,resolution seed=0,1,2

Hardware: 2 cores, no GPU. Runtime: about 25 minutes (9 jobs of 15 trainings; not measured, estimated from trainings of
20 s on two slots).
Expected: points of accuracy per doubling like those that `scalesearch axes` measured with five seeds (docs/axes.md):
resolution +2.4 (+0.6 to +4.2), depth +0.2 (-0.2 to +0.6), width +0.2 (-0.1 to +0.6), all three fits refused.
Repeating the command continues every run from its ledger instead of starting again.
"""

from __future__ import annotations

from typing import Any

import hydra

from scalesearch.config.experiment import run_experiment


@hydra.main(version_base="1.3", config_path="../conf", config_name="experiment/single_axis")
def main(config: Any) -> float | None:
    """One job; returns what a sweeper would maximise."""
    summary = run_experiment("axes", config, own=("axis",))
    fits = summary["fits"]
    return float(fits[0]["r2"]) if fits and fits[0].get("r2") is not None else None


if __name__ == "__main__":
    main()
