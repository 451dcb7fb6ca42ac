"""Runs every test marked `fault`, counts, and writes docs/faults.json and the table of docs/reliability.md.

python tests/faults/count_faults.py            # all of it, 35 minutes on 2 cores
python tests/faults/count_faults.py --table    # only the table, from docs/faults.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fault_rows import ENGINES, ROWS

REPOSITORY = Path(__file__).parents[2]
JSON, PAGE = REPOSITORY / "docs" / "faults.json", REPOSITORY / "docs" / "reliability.md"
BEGIN, END = "<!-- table: make faults -->", "<!-- end of table -->"
MARK = "pytest.mark.fault("
AT_LEAST, KILLS, DRIVER_MS = 5, 50, 20


def main() -> int:
    """0 where every row was tried often enough and passed."""
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given.add_argument("--table", action="store_true", help="count nothing, write the table from docs/faults.json")
    given.add_argument("--only", help="pytest's -k: tests to run again; what other tests counted stays")
    options = given.parse_args()
    rows = json.loads(JSON.read_text()) if JSON.exists() else []
    said = None
    if not options.table:
        began = time.strftime("%Y-%m-%d"), time.monotonic()
        fresh = counted(options.only)
        again = {(row["fault"], row["engine"], row["test"]) for row in fresh}
        kept = [row for row in rows if (row["fault"], row["engine"], row["test"]) not in again]
        rows = sorted(kept + fresh, key=lambda row: (row["fault"], row["engine"], row["test"]))
        JSON.write_text(json.dumps(rows, indent=1) + "\n")
        said = said_of(*began)
    write(rows, said)
    wrong = complaints(rows)
    print(*wrong, sep="\n")
    return 1 if wrong else 0


def counted(only: str | None) -> list[dict[str, Any]]:
    """Run the tests; one row for each test, fault and engine."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.jsonl"
        command = [sys.executable, "-m", "pytest", "-m", "fault and (slow or not slow)", "-p", "no:cacheprovider"]
        command += ["--basetemp", f"{folder}/pytest"]  # of its own, because pytest clears those of others
        command += ["-k", only] if only else []
        command += sorted(str(path) for path in (REPOSITORY / "tests").rglob("test_*.py") if MARK in path.read_text())
        subprocess.run(command, cwd=REPOSITORY, env=os.environ | {"FAULT_RESULTS": str(results)}, check=False)
        return summed(
            map(json.loads, results.read_text().splitlines() if results.exists() else []), "fault", "engine", "test"
        )


def summed(results: Iterable[dict[str, Any]], *by: str) -> list[dict[str, Any]]:
    """One row for each value of `by`: tries and costs added, measurements at their greatest."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for result in results:
        key = tuple(result[name] for name in by)
        if key not in rows:
            rows[key] = result | {"measured": dict(result.get("measured", {}))}
            continue
        row = rows[key]
        row["tries"] += result["tries"]
        row["passed"] &= result["passed"]
        for name in ("results_lost", "results_repeated"):
            if result[name] is not None:
                row[name] = (row[name] or 0) + result[name]
        if result["test"] not in row["test"]:
            row["test"] += f", {result['test'].rpartition('::')[2]}"
        for name, value in result.get("measured", {}).items():
            row["measured"][name] = max(value, row["measured"].get(name, value))
    return [rows[key] for key in sorted(rows)]


def complaints(rows: list[dict[str, Any]]) -> list[str]:
    """What is missing or failed."""
    rows, found = summed(rows, "fault", "engine"), []
    for number in ROWS:
        of_row = [row for row in rows if row["fault"] == number]
        for engine in set(ENGINES.get(number, ("any",) if not of_row else ())) - {row["engine"] for row in of_row}:
            found.append(f"row {number} was not tried" + (f" with engine={engine}" if engine != "any" else ""))
        for row in of_row:
            if not row["passed"] or row["results_lost"] or row["results_repeated"]:
                found.append(f"row {number} failed with engine={row['engine']}")
            if number == 40 and row["engine"] == "ray" and row.get("measured", {}).get("driver_cpu_ms", 0) >= DRIVER_MS:
                found.append(f"row 40 cost the driver {row['measured']['driver_cpu_ms']:g} ms for each trial")
            if row["tries"] < (KILLS if number == 1 else AT_LEAST):
                found.append(f"row {number} was tried {row['tries']} times with engine={row['engine']}")
    return sorted(found, key=lambda line: (int(line.split()[1]), line))


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: a line for each fault and engine."""
    lines = [
        "| | fault | what the tool does | engine | tried | lost | repeated | test |",
        "|---|---|---|---|---|---|---|---|",
    ]
    last = None
    for row in summed(rows, "fault", "engine"):
        fault, does = ROWS[row["fault"]] if row["fault"] != last else ("", "")
        number = row["fault"] if row["fault"] != last else ""
        last = row["fault"]
        lost, repeated = ("" if row[name] is None else row[name] for name in ("results_lost", "results_repeated"))
        tests = row["test"].rpartition("::")[2]
        tried = f"{row['tries']}" if row["passed"] else f"{row['tries']}, FAILED"
        engine = "" if row["engine"] == "any" else row["engine"]
        lines.append(f"| {number} | {fault} | {does} | {engine} | {tried} | {lost} | {repeated} | {tests} |")
    return "\n".join(lines)


def shown(rows: list[dict[str, Any]]) -> str:
    """The table, and below it what is missing or failed."""
    missing = "".join(f"\n- {line}" for line in complaints(rows))
    return f"{table(rows)}\n" + (f"\nWhat is missing or failed:\n{missing}\n" if missing else "")


def said_of(date: str, began: float) -> str:
    """Where and when it was counted."""
    minutes, cores, load = (time.monotonic() - began) / 60, len(os.sched_getaffinity(0)), os.getloadavg()[2]
    return (
        f"Counted on {date}, {cores} cores ({_processor()}); the last part took {minutes:.0f} minutes, with a load "
        f"average of {load:.0f} in its last quarter of an hour."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2].strip()
    return platform.machine()


def write(rows: list[dict[str, Any]], said: str | None) -> None:
    """Put the table between its two marks; `said` None keeps the line above it."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    old, _, after = rest.partition(END)
    said = said or next(iter(old.strip().splitlines()), "")
    PAGE.write_text(f"{before}{BEGIN}\n{said}\n\n{shown(rows)}{END}{after}")


if __name__ == "__main__":
    sys.exit(main())
