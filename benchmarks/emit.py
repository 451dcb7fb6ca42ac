"""How long families take as a user waits for them: `scale --phi 0:7` and `emit` of eight networks as torch source.

    python benchmarks/emit.py [--json FILE] [--repeats N] [--baseline NAME]

Each round runs the commands as new processes, start and imports included; medians of wall clock and of the processor
time of all their processes, which other work on the same cores hardly changes. Nothing is compared: there is no
other tool that writes such a family. "without checks" leaves out the clean process that imports and counts the module.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rows import Row, add_json, figure, write_rows

import scalesearch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baseline", default="efficientnet_b0")
    parser.add_argument("--repeats", type=int, default=3)
    add_json(parser)
    args = parser.parse_args()
    took: dict[str, list[float]] = {}
    for number in range(args.repeats):
        with tempfile.TemporaryDirectory() as folder:
            for name, (wall, processor) in one_round(args.baseline, Path(folder)).items():
                took.setdefault(name, []).append(wall)
                took.setdefault(f"{name}, processor time", []).append(processor)
                print(f"round {number + 1}: {name} {wall:.2f} s, processor {processor:.2f} s", flush=True)
    rows = [row_of(name, seconds) for name, seconds in took.items()]
    for row in rows:
        print(f"{row.name:<64} {row.ours:.2f} s")
    write_rows(args.json, rows)


def one_round(baseline: str, folder: Path) -> dict[str, tuple[float, float]]:
    """Seconds of each command, wall clock and processor, by what it does."""
    family = ["scale", "--phi", "0:7", "--baseline", baseline, "--name", "f"]
    emit = ["emit", "scale/f", "--format", "torch", "--out"]
    return {
        f"scale --phi 0:7, {baseline}": run(family, folder),
        "emit of eight as torch source": run([*emit, "checked"], folder),
        "emit of eight as torch source, without checks": run([*emit, "unchecked", "--no-verify"], folder),
    }


def run(arguments: list[str], folder: Path) -> tuple[float, float]:
    """Wall clock and processor seconds of one command, which must succeed."""
    # of this checkout, wherever the command runs
    home = str(Path(scalesearch.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    before, started = processor_seconds(), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "scalesearch", *arguments],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
    )
    return time.perf_counter() - started, processor_seconds() - before


def processor_seconds() -> float:
    """Of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def row_of(name: str, seconds: list[float]) -> Row:
    return figure(name, statistics.median(seconds), unit="s", repetitions=len(seconds))


if __name__ == "__main__":
    main()
