"""Finished runs on disk, made from the tables of tests/report; nothing was trained for them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from scalesearch.store.run_folder import RunFolder

# the made-up tables serve the tests of figures first
sys.path.insert(0, str(Path(__file__).parent / "report"))

import axes_made
import grid_tables
import search_made

CONFIG = (
    "seed: 0\nruns_dir: /home/someone/runs\nproxy:\n  epochs: 1\nrecipe:\n  learning_rate: 0.01\ndata:\n  name: made\n"
)


def trial_rows(table: pd.DataFrame) -> pd.DataFrame:
    """What every study's trials have."""
    n = len(table)
    failed = table["accuracy"].isna()
    return table.assign(
        status=["failed" if one else "done" for one in failed],
        error=["diverged at step 3" if one else None for one in failed],
        started_at=[1.8e9 + 10 * i for i in range(n)],
        finished_at=[1.8e9 + 10 * i + 7 for i in range(n)],
    )


def write(runs_dir: Path, verb: str, name: str, summary: dict[str, Any], tables: dict[str, pd.DataFrame]) -> Path:
    """One finished run; `tables` by file name."""
    with RunFolder.plan(runs_dir, verb, name).open({"seed": 0}, CONFIG) as run:
        for file, table in tables.items():
            run.write_frame(file, table)
        run.write_json("summary.json", summary)
        run.finish()
        return run.path


def grid_run(runs_dir: Path, name: str = "first", **changed: Any) -> Path:
    """A finished grid."""
    standings = grid_tables.standings()
    trials = pd.DataFrame(
        {"fingerprint": row["fingerprint"], "name": row["name"], "seed": seed, "macs": row["macs"], "epochs": 1}
        | {"accuracy": row["accuracy_mean"], "objective": row["objective"] if row["seeds"] else None}
        for _, row in standings.iterrows()
        for seed in range(2)
    )
    tables = {"standings.csv": standings, "trials.parquet": trial_rows(trials)}
    return write(runs_dir, "grid", name, grid_tables.summary() | changed, tables)


def search_run(runs_dir: Path, name: str = "first", trials: pd.DataFrame | None = None, **changed: Any) -> Path:
    """A finished search."""
    rows = search_made.many(24, stages=2) if trials is None else trials
    tables = {"finalists.csv": search_made.finalists(), "trials.parquet": trial_rows(rows)}
    summary = search_made.summary(data={"name": "made", "fingerprint": "d"}) | changed
    return write(runs_dir, "search", name, summary, tables)


def axes_run(runs_dir: Path, name: str = "first", **changed: Any) -> Path:
    """A finished study of axes."""
    curves, fits, comparisons, summary = axes_made.usual()
    trials = pd.DataFrame(
        {"fingerprint": row["fingerprint"], "name": row["name"], "seed": 0, "macs": row["macs"], "epochs": 1}
        | {"accuracy": row["accuracy_mean"]}
        for _, row in curves.iterrows()
    )
    tables = {
        "curves.csv": curves,
        "fits.csv": fits,
        "comparisons.csv": comparisons,
        "trials.parquet": trial_rows(trials),
    }
    return write(runs_dir, "axes", name, summary | {"comparisons": comparisons.to_dict("records")} | changed, tables)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def edit_summary(run: Path, **changed: Any) -> None:
    """Change fields of a summary.json; None removes one."""
    path = run / "summary.json"
    values = {**json.loads(path.read_text()), **changed}
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))
