"""What the death of a node costs a study: four nodes of which one is killed early, against three from the start.

    python benchmarks/cluster.py --json f.json

Nodes are raylets of one core each on this machine, and trials sleep, so that two real cores carry four nodes. The
kill is SIGKILL to everything on the node, after an eighth of the trials. Both sides alternate.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "cluster"))

from cluster_study import Study
from rows import add_json, figure, write_rows
from small_cluster import SmallCluster


def seconds_of_study(nodes: int, *, trials: int, length: float, kill_one: bool) -> tuple[float, int, int, int]:
    """Seconds, results lost, results repeated, and the most attempts of a trial."""
    with SmallCluster(nodes) as cluster, tempfile.TemporaryDirectory() as folder:
        study = Study(Path(folder), cluster.address, seconds=length, trials=trials)

        def on_record(study: Study) -> None:
            if kill_one and len(study.records) == trials // 8:
                cluster.kill(cluster.nodes[0])

        taken = study.run(on_record)
        done = [record for record in study.committed() if record.status == "done"]
        repeated = sum(times - 1 for times in study.times_run().values())
        return taken, trials - len(done), repeated, max(record.attempt for record in done)


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add_json(parser)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=96)
    parser.add_argument("--length", type=float, default=1.0, help="seconds a trial sleeps")
    options = parser.parse_args()
    sides: dict[str, Callable[[], tuple[float, int, int, int]]] = {
        "four nodes, one killed": lambda: seconds_of_study(
            4, trials=options.trials, length=options.length, kill_one=True
        ),
        "three nodes": lambda: seconds_of_study(3, trials=options.trials, length=options.length, kill_one=False),
    }
    taken: dict[str, list[tuple[float, int, int, int]]] = {name: [] for name in sides}
    for _ in range(options.rounds):
        for name, side in sides.items():
            taken[name].append(side())
            print(f"{name}: %.1f s, %d lost, %d repeated, at most %d attempts" % taken[name][-1], flush=True)
    ours, peer = (statistics.median(row[0] for row in taken[name]) for name in sides)
    killed = taken["four nodes, one killed"]
    print(f"four nodes with one killed took {ours / peer:.2f} times as long as three nodes")
    rounds, name = options.rounds, "4 nodes, one killed"
    rows = [
        figure(f"study on {name}, against 3 nodes", ours, peer, unit="s", repetitions=rounds),
        figure(f"{name}: committed results lost", sum(row[1] for row in killed), unit="results", repetitions=rounds),
        figure(f"{name}: results run twice", sum(row[2] for row in killed), unit="results", repetitions=rounds),
    ]
    write_rows(options.json, rows)


if __name__ == "__main__":
    main()
