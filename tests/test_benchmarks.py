"""Benchmarks run, and write their figures in the one shape; what they measure is not asserted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.mark.parametrize(
    ("command", "figures"),
    [
        ("plan.py --points 1000 --sample 20 --repeats 1", 3),
        ("driver.py --engines serial --work list,evolution --trials 20", 10),
        ("coverage_simulation.py --curves 2 --only ranks", 18),
    ],
)
def test_figures_have_one_shape(tmp_path: Path, command: str, figures: int) -> None:
    script, *options = command.split()
    written = tmp_path / "rows.json"
    done = subprocess.run(
        [sys.executable, str(FOLDER / script), *options, "--json", str(written)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(written.read_text())
    assert len(rows) == figures
    for row in rows:
        assert list(row) == ["name", "ours", "peer", "ratio", "unit", "repetitions", "machine"]
        assert row["repetitions"] >= 1
        assert (row["ratio"] is None) == (not row["ours"] or not row["peer"])
    printed = subprocess.run(
        [sys.executable, str(FOLDER / "rows.py"), str(written)], capture_output=True, text=True, check=True
    )
    assert printed.stdout.count("\n") == 2 + figures
