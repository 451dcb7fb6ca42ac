"""The one shape in which every benchmark writes its figures, and the command that prints such files as a table.

    python benchmarks/rows.py FILE.json ...       # lines for the table of benchmarks/README.md

A row is one figure: `name, ours, peer, ratio, unit, repetitions, machine`. `ratio` says how many times better ours is
than the peer's, so above 1 is a win whatever the unit; `peer` and `ratio` are null where nothing is compared.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Final

from scalesearch.cores import usable_cores
from scalesearch.store.atomic import write_atomic

__all__ = ["Row", "add_json", "figure", "machine", "table", "write_rows"]

_CPU_INFO: Final = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure.

    Args:
        name: what was measured.
        ours: in `unit`; None where it could not be measured.
        peer: the same by what a user would write instead; None where there is none.
        ratio: how many times better ours is; None without a peer.
        unit: of `ours` and `peer`.
        repetitions: rounds that the figure is the median (or the share, or the mean) of.
        machine: what it ran on.
    """

    name: str
    ours: float | None
    peer: float | None
    ratio: float | None
    unit: str
    repetitions: int
    machine: str


def figure(
    name: str,
    ours: float | None,
    peer: float | None = None,
    *,
    unit: str,
    repetitions: int = 1,
    more_is_better: bool = False,
    device: str = "CPU",
) -> Row:
    """A row with its ratio and its machine filled in; there is no ratio without a peer, or to nothing at all."""
    ratio = None
    if ours and peer:
        ratio = ours / peer if more_is_better else peer / ours
    return Row(name, ours, peer, ratio, unit, repetitions, machine(device))


@cache
def machine(device: str = "CPU") -> str:
    """For example "2 cores of an AMD EPYC, CPU": the cores this process may use, their name, what computes."""
    lines = _CPU_INFO.read_text(encoding="utf-8").splitlines() if _CPU_INFO.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cores = usable_cores()
    return f"{cores} core{'s' if cores > 1 else ''} of an {names[0] if names else 'unnamed CPU'}, {device}"


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option that every benchmark takes."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file, one row each")


def write_rows(path: Path | None, rows: Sequence[Row]) -> None:
    """Write the rows as a JSON list, in one step; nothing where no file was asked for."""
    if path is not None:
        write_atomic(path, (json.dumps([asdict(row) for row in rows], indent=1) + "\n").encode())


def table(rows: Iterable[Row]) -> str:
    """The rows as lines of a Markdown table."""
    lines = ["| figure | ours | peer | ratio | unit | repetitions | machine |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        numbers = ["" if value is None else f"{value:,.4g}" for value in (row.ours, row.peer)]
        ratio = "" if row.ratio is None else f"{row.ratio:,.3g}x"
        lines.append(
            f"| {row.name} | {' | '.join(numbers)} | {ratio} | {row.unit} | {row.repetitions} | {row.machine} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="what benchmarks wrote with --json")
    args = parser.parse_args()
    print(table(Row(**row) for path in args.files for row in json.loads(path.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
