"""Every experiment runs in miniature, and a multirun that is repeated trains nothing again."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from scalesearch.config import conf_dir

FOLDER = Path(__file__).parent.parent / "experiments"
SCRIPTS = sorted(FOLDER.glob("*.py"))
VERB_OF = {"single_axis": "axes", "iso_cost": "axes", "proxy_fidelity": "axes", "grid": "grid"}
VERB_OF["baseline_search"] = "search"
MINIATURE = [
    *("engine=serial", "data=synthetic", "data.size=300", "data.side=24", "recipe.train_images=96"),
    *("recipe.val_images=30", "proxy.data_fraction=0.4"),
]
SMALLER = {
    "single_axis": ["curves.ratios=[0.71,1.0,1.45,2.0]", "seeds.at_least=2", "seeds.at_most=2", "minutes=null"],
    "iso_cost": ["seeds.at_least=2", "seeds.at_most=2"],
    "proxy_fidelity": ["curves.ratios=[0.71,1.0,2.0]", "check.epochs=2", "check.points=4", "seeds.at_least=1"],
    "grid": ["verify=false", "race.max_trainings=8"],
    "baseline_search": ["trials=4", "race.max_trainings=4"],
}


def run(script: Path, folder: Path, *overrides: str) -> str:
    name = script.stem
    environment = {**os.environ, "SCALESEARCH_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), *overrides, f"debug={VERB_OF[name]}/tiny", *MINIATURE, *SMALLER[name]]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def rows(folder: Path) -> dict[str, int]:
    counted = {}
    for ledger in sorted(folder.glob("runs/*/*/ledger.db")):
        opened = closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True))
        with opened as connection, suppress(sqlite3.OperationalError):  # it may be about to be created
            counted[ledger.parent.name] = connection.execute("SELECT count(*) FROM trials").fetchone()[0]
    return counted


def test_there_is_a_script_for_every_configuration() -> None:
    assert [path.stem for path in SCRIPTS] == sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_opens_with_command_hardware_runtime_and_result(script: Path) -> None:
    words = script.read_text()
    assert re.search(rf"python experiments/{script.name}( |$)", words, re.MULTILINE)
    for part in ("Hardware:", "Runtime:", "Expected:"):
        assert re.search(rf"{part} \S", words), part


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_experiment_runs_in_miniature(script: Path, tmp_path: Path) -> None:
    said = run(script, tmp_path)
    folder = Path(said.strip().splitlines()[-1])
    assert (folder / "summary.json").exists()
    assert (folder / "report.html").exists()


def test_a_repeated_multirun_trains_nothing_again(tmp_path: Path) -> None:
    script = FOLDER / "baseline_search.py"
    run(script, tmp_path, "-m", "seed=0,1", "strategy=random")
    before = rows(tmp_path)
    assert len(before) == 2
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/*/ledger.db")}
    assert times
    run(script, tmp_path, "-m", "seed=0,1", "strategy=random")
    assert rows(tmp_path) == before


def test_an_interrupted_job_ends_the_multirun_and_is_continued(tmp_path: Path) -> None:
    name = "baseline_search"
    options = [f"debug={VERB_OF[name]}/tiny", *MINIATURE, "trials=40", "race.max_trainings=4", "strategy=random"]
    command = [sys.executable, str(FOLDER / f"{name}.py"), "-m", "seed=0,1", *options]
    environment = {**os.environ, "SCALESEARCH_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 300
    while process.poll() is None and sum(rows(tmp_path).values()) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 130, said
    assert "repeat the command to continue" in said
    assert "Traceback" not in said
    kept = rows(tmp_path)
    assert len(kept) == 1  # the second job did not begin
    assert 2 <= sum(kept.values()) < 40


def test_wrong_input_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "grid.py"), "constraint=maybe", "data=synthetic"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.stderr
