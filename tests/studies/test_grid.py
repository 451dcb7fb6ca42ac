"""The grid from end to end, for real and tiny: files, verdict, resume, and equal results whatever happens between."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

import scalesearch as ss

TINY = [
    "--target-flops",
    "400M",
    "debug=tiny",
    "data=synthetic",
    "data.size=300",
    "data.side=20",
    "proxy.data_fraction=0.3",
    "race.max_trainings=9",
]
# full-size counts are checked on one run only
QUICK = [*TINY, "verify=false"]
COLUMNS = [
    *("alpha", "beta", "gamma", "nominal_product", "realised_ratio", "macs", "params", "activations", "resolution"),
    *("fingerprint", "rule", "kept", "reason", "region"),
]
# what may differ between two executions of the same work
TIMING = ["train_seconds", "seconds", "started_at", "finished_at", "worker", "attempt"]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "SCALESEARCH_CACHE": str(folder / "cache"), "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-m", "scalesearch", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, err
    return out, err


def committed(ledger: Path) -> int:
    if not ledger.exists():
        return 0
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM trials").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def wait_for(ledger: Path, rows: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while committed(ledger) < rows:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished serial run; other tests compare with it."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    finish(start(folder, "grid", *TINY, "engine=serial", "--name", "x"))
    return folder / "runs" / "grid" / "x"


def rows(run: Path) -> pd.DataFrame:
    return ss.load_run(run).trials.drop(columns=TIMING)


def test_files_and_columns(uninterrupted: Path) -> None:
    names = {path.relative_to(uninterrupted).as_posix() for path in uninterrupted.rglob("*") if path.is_file()}
    assert {
        "candidates.csv",
        "trials.csv",
        "trials.parquet",
        "standings.csv",
        "summary.json",
        "report.html",
        "config.yaml",
        "ledger.db",
        "figures/landscape.png",
        "figures/landscape.csv",
        "figures/accuracy_macs.png",
        "figures/accuracy_macs.csv",
    } <= names
    candidates = pd.read_csv(uninterrupted / "candidates.csv")
    assert list(candidates.columns[: len(COLUMNS)]) == COLUMNS
    trials = pd.read_csv(uninterrupted / "trials.csv")
    assert {"fingerprint", "seed", "epochs", "accuracy", "macs", "status"} <= set(trials.columns)
    again = pd.read_parquet(uninterrupted / "trials.parquet")
    assert list(again.columns) == list(trials.columns)
    filled = trials.columns[trials.notna().any()]
    pd.testing.assert_frame_equal(trials[filled], again[filled], check_dtype=False)


def test_every_count_stands_beside_fvcores(uninterrupted: Path) -> None:
    kept = pd.read_csv(uninterrupted / "candidates.csv").query("kept")
    assert (kept.macs == kept.fvcore_macs).all()
    trials = pd.read_csv(uninterrupted / "trials.csv")
    assert (trials.trained_macs == trials.trained_fvcore_macs).all()
    assert set(trials.fingerprint) == set(kept.fingerprint)


def test_summary_holds_what_the_tables_hold(uninterrupted: Path) -> None:
    run = ss.load_run(uninterrupted)
    summary, trials = run.summary, run.trials
    assert summary["target_macs"] == 400_000_000
    assert summary["n_trials"] == len(trials) <= 9
    assert summary["n_candidates"] == trials.fingerprint.nunique() == 4
    winner = summary["winner"]
    own = trials[trials.fingerprint == winner["fingerprint"]]
    assert winner["accuracy_mean"] == pytest.approx(own.accuracy.mean())
    assert winner["objective"] == pytest.approx((own.accuracy * (own.macs / 800e6) ** -0.07).mean())
    assert winner["seeds"] == len(own)
    everyone = [winner, *summary["ties"]]
    assert sum(entry["p_best"] for entry in everyone) <= 1 + 1e-9
    assert set(summary["rules"]) == {"efficientnet", "width_only"}
    assert summary["baseline"]["macs"] == 385_814_752
    assert 0 < summary["slot_utilisation"] <= 1
    assert [row["phi"] for row in summary["phi_preview"]] == [0, 1, 2, 3]
    # paired: the first seeds are the same for all
    assert trials.groupby("fingerprint").seed.apply(lambda seeds: {0, 1} <= set(seeds)).all()


def test_two_seeds_each_are_too_little_evidence_and_everybody_ties(uninterrupted: Path) -> None:
    summary = ss.load_run(uninterrupted).summary
    assert not summary["enough_evidence"]
    assert len(summary["ties"]) == 3
    assert summary["sentence"].startswith("too little evidence")


def test_repeating_the_command_trains_nothing(uninterrupted: Path) -> None:
    before = rows(uninterrupted)
    started = ss.load_run(uninterrupted).trials.started_at.max()
    folder = uninterrupted.parents[2]
    finish(start(folder, "grid", *QUICK, "engine=serial", "--name", "x"))
    pd.testing.assert_frame_equal(rows(uninterrupted), before)
    assert ss.load_run(uninterrupted).trials.started_at.max() == started


def test_other_settings_under_the_same_name_are_refused(uninterrupted: Path) -> None:
    folder = uninterrupted.parents[2]
    _, err = finish(start(folder, "grid", *QUICK, "engine=serial", "--name", "x", "proxy.epochs=2"), code=2)
    assert "proxy.epochs: 1 -> 2" in err
    assert "another --name" in err


def test_ray_gives_identical_rows(uninterrupted: Path, tmp_path: Path) -> None:
    finish(start(tmp_path, "grid", *QUICK, "engine=ray", "engine.slots=2", "--name", "x"))
    pd.testing.assert_frame_equal(rows(tmp_path / "runs" / "grid" / "x"), rows(uninterrupted))


@pytest.mark.fault(20, engine="serial")
@pytest.mark.parametrize("after", [1, 5])
def test_kill_and_resume_gives_the_same_trials(uninterrupted: Path, tmp_path: Path, after: int) -> None:
    run = tmp_path / "runs" / "grid" / "x"
    process = start(tmp_path, "grid", *QUICK, "engine=serial", "--name", "x")
    wait_for(run / "ledger.db", after, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    time.sleep(5)  # a pause that must count neither as idle nor as working time
    kept, whole = committed(run / "ledger.db"), len(rows(uninterrupted))
    assert after <= kept < whole
    assert not (run / "summary.json").exists()
    _, err = finish(start(tmp_path, "resume", "runs/grid/x"))
    assert err.count(" seed ") == whole - kept  # only what was missing is trained
    pd.testing.assert_frame_equal(rows(run), rows(uninterrupted))
    with closing(sqlite3.connect(run / "ledger.db")) as connection:
        (stored,) = connection.execute("SELECT value FROM meta WHERE key = 'sessions'").fetchone()
    killed, resumed = json.loads(stored)
    assert killed["ended"] is None
    assert resumed["started"] - killed["started"] > 5
    assert ss.load_run(run).summary["wall_seconds"] < resumed["ended"] - killed["started"] - 5


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.fault(10, engine="serial")),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.fault(11, engine="serial")),
    ],
)
def test_signals_keep_what_is_finished_and_say_how_to_go_on(
    uninterrupted: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    run = tmp_path / "runs" / "grid" / "x"
    process = start(tmp_path, "grid", *QUICK, "engine=serial", "--name", "x")
    wait_for(run / "ledger.db", 2, process)
    process.send_signal(number)
    _, err = finish(process, code=code)
    assert "scalesearch resume" in err.splitlines()[-1]
    assert "Traceback" not in err
    listed, _ = finish(start(tmp_path, "runs", "--json"))
    assert [info["status"] for info in json.loads(listed)] == ["interrupted"]
    finish(start(tmp_path, "resume", "grid/x"))
    pd.testing.assert_frame_equal(rows(run), rows(uninterrupted))


def test_too_few_pictures_for_the_classes_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    _, err = finish(start(tmp_path, "grid", *QUICK, "proxy.data_fraction=0.01", "--name", "x"), code=2)
    assert "proxy.data_fraction" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.fault(9, engine="serial")
def test_a_study_in_which_everything_diverges_says_so_and_keeps_the_trials(tmp_path: Path) -> None:
    wild = ["recipe.learning_rate=100", "recipe.optimizer=sgd", "recipe.weight_decay=10", "race.max_trainings=4"]
    _, err = finish(start(tmp_path, "grid", *QUICK, "engine=serial", "--name", "x", *wild), code=1)
    assert "every training failed: diverged" in err.splitlines()[-1]
    assert "Traceback" not in err
    trials = pd.read_csv(tmp_path / "runs" / "grid" / "x" / "trials.csv")
    assert (trials.status == "failed").all()
    assert trials.accuracy.isna().all()
