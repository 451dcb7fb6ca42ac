"""The search from end to end: every strategy over a table, for real and tiny, killed and continued, and bad input."""

import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import scalesearch as ss
from scalesearch.arch.space import LayerSpace, SpaceSettings
from scalesearch.arch.space_settings import LayerPlan
from scalesearch.cli import main
from scalesearch.search.registry import STRATEGIES

PLAN = LayerPlan(name="small", resolution=16, widths=(16, 32), depths=(2, 3), strides=(2, 2), head_width=64)
OPS = ("identity", "mbconv_e3_k3", "mbconv_e6_k5")
SPACE = [
    "space=nas_bench_macro",
    "space.layers.resolution=16",
    "space.layers.widths=[16,32]",
    "space.layers.depths=[2,3]",
    "space.layers.strides=[2,2]",
    "space.layers.head_width=64",
]
TIMING = ["train_seconds", "seconds", "started_at", "finished_at", "worker", "attempt"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result table of 189 networks with accuracies of a known law and three seeds."""
    space = LayerSpace(SpaceSettings(kind="layers", ops=OPS, layers=PLAN))
    path = tmp_path_factory.mktemp("table") / "results.csv"
    seen = set()
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["arch", "acc_seed0", "acc_seed1", "acc_seed2", "params", "flops"])
        for point in itertools.product(range(3), repeat=5):
            spec = space.decode(point)
            if spec.fingerprint in seen:
                continue
            seen.add(spec.fingerprint)
            cost = ss.cost_of(spec)
            good = 70 + 3 * sum(point) - 0.2 * sum(point) ** 2 + point[3]
            accuracies = [round(good + 0.3 * ((7 * sum(point) + 3 * seed) % 5 - 2), 2) for seed in range(3)]
            writer.writerow(["".join(map(str, point)), *accuracies, cost.params, cost.macs])
    return path


def arguments(table: Path, runs: Path, name: str, *more: str) -> list[str]:
    common = ["search", "--target-flops", "1M", "--name", name, "--runs-dir", str(runs)]
    return [*common, *SPACE, "evaluator=table", f"evaluator.path={table}", "budget.low=null", "budget.high=3", *more]


def cli(*arguments: str, code: int = 0) -> None:
    argv, sys.argv = sys.argv, ["scalesearch", *arguments]
    try:
        with pytest.raises(SystemExit) as stop:
            main()
    finally:
        sys.argv = argv
    assert stop.value.code == code


def trials_of(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "trials.csv").drop(columns=TIMING)


def test_a_search_over_a_table_leaves_everything(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli(*arguments(table, tmp_path, "one", "trials=40", "strategy=evolution", "--json"))
    summary = json.loads(capsys.readouterr().out)
    folder = tmp_path / "search" / "one"
    assert summary == json.loads((folder / "summary.json").read_text())
    assert {
        *("target_macs", "objective", "strategy", "n_asked", "n_trained", "n_skipped_over_budget", "n_duplicates"),
        *("best", "front", "wall_seconds", "slot_utilisation"),
    } <= set(summary)
    trials = pd.read_csv(folder / "trials.csv")
    searched, finals = trials[trials.phase == "search"], trials[trials.phase == "final"]
    assert (summary["n_asked"], summary["n_trained"], len(searched)) == (40, 40, 40)
    assert searched.fingerprint.is_unique
    assert len(finals) == summary["n_finals"] > 0
    assert (searched.cost <= 3e6).all()
    # seed 0 is the search's; the finals must not judge by what chose the finalists
    assert set(searched.trained_seed) == {0}
    assert set(finals.trained_seed) == {1, 2}
    best = ss.load_spec(folder / "best.json")
    assert ss.cost_of(best).macs == summary["best"]["macs"] == summary["best"]["fvcore_macs"]
    assert best.fingerprint == summary["best"]["fingerprint"]
    front = pd.read_csv(folder / "front.csv")
    assert front.accuracy.is_monotonic_increasing
    assert front.macs.is_monotonic_increasing
    for row in front.itertuples():
        assert not ((searched.macs <= row.macs) & (searched.accuracy > row.accuracy)).any()
    for name in ("progress", "front", "genes"):
        assert (folder / "figures" / f"{name}.png").stat().st_size > 5_000
        assert (folder / "figures" / f"{name}.pdf").exists()
        assert (folder / "figures" / f"{name}.csv").exists()
    assert "<html" in (folder / "report.html").read_text()
    run = ss.load_run(folder)
    assert len(run.candidates) == 40
    assert run.summary["best"]["name"] == best.name


def test_the_objective_is_what_it_says(table: Path, tmp_path: Path) -> None:
    cli(*arguments(table, tmp_path, "hard", "trials=10", "strategy=random", "objective.below=0", "objective.above=-1"))
    trials = pd.read_csv(tmp_path / "search" / "hard" / "trials.csv")
    expected = trials.accuracy * (trials.macs / 1e6).clip(lower=1) ** -1.0
    assert trials.objective.to_numpy() == pytest.approx(expected.to_numpy())


@pytest.mark.parametrize("cost", ["params", "activations"])
def test_another_cost_is_one_switch(table: Path, tmp_path: Path, cost: str) -> None:
    cli(*arguments(table, tmp_path, cost, "trials=6", "strategy=random", f"cost={cost}", "target=30K"))
    trials = pd.read_csv(tmp_path / "search" / cost / "trials.csv")
    assert (trials.cost == trials[cost]).all()
    assert (trials.cost <= 90_000).all()
    assert trials.objective.to_numpy() == pytest.approx((trials.accuracy * (trials[cost] / 30_000) ** -0.07).to_numpy())


def test_latency_is_measured_once_per_network(table: Path, tmp_path: Path) -> None:
    more = ["trials=4", "strategy=random", "cost=latency", "target=5", "latency.repeats=3", "budget.high=null"]
    cli(*arguments(table, tmp_path, "slow", *more))
    folder = tmp_path / "search" / "slow"
    before = pd.read_csv(folder / "trials.csv")
    assert (before.cost > 0).all()
    assert before.cost.nunique() == before.fingerprint.nunique()  # one number per network, however often it was judged
    cli("resume", str(folder))
    assert (pd.read_csv(folder / "trials.csv").cost == before.cost).all()


def test_a_pool_that_is_used_up_ends_the_search(table: Path, tmp_path: Path) -> None:
    cli(*arguments(table, tmp_path, "all", "trials=5000", "strategy=random", "budget.high=0.5"))
    summary = ss.load_run(tmp_path / "search" / "all").summary
    results = pd.read_csv(table)
    assert summary["n_trained"] == (results.flops <= 500_000).sum() < 189


def test_halving_trains_the_best_longer(table: Path, tmp_path: Path) -> None:
    cli(*arguments(table, tmp_path, "halved", "trials=30", "strategy=random", "halving.epochs=[1,3,9]"))
    trials = pd.read_csv(tmp_path / "search" / "halved" / "trials.csv")
    searched = trials[trials.phase == "search"]
    rungs = [searched[searched.epochs == epochs] for epochs in (1, 3, 9)]
    # who is among the best third changes while results come in, so that a few more than a third go on
    assert len(rungs[0]) // 3 <= len(rungs[1]) < len(rungs[0]) // 2
    assert len(rungs[1]) // 3 <= len(rungs[2]) < len(rungs[1])
    assert len(searched) == 30
    assert set(rungs[1].fingerprint) <= set(rungs[0].fingerprint)
    assert rungs[1].objective.median() > rungs[0].objective.median()
    assert (trials[trials.phase == "final"].epochs == 9).all()


@pytest.mark.fault(20, engine="serial")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_killed_search_goes_on_as_if_nothing_had_happened(table: Path, tmp_path: Path, strategy: str) -> None:
    budget = "trials=14" if strategy == "gp" else "trials=45"
    cli(*arguments(table, tmp_path, "whole", budget, f"strategy={strategy}"))
    killed = tmp_path / "search" / "killed"
    command = [sys.executable, "-m", "scalesearch", *arguments(table, tmp_path, "killed", budget)]
    process = subprocess.Popen([*command, f"strategy={strategy}"], stderr=subprocess.DEVNULL)
    enough, until = 6 if strategy == "gp" else 20, time.monotonic() + 120
    while process.poll() is None and rows(killed) < enough and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = keys(killed)
    assert len(before) >= enough
    cli("resume", str(killed), budget)
    assert set(before) <= set(keys(killed))
    pd.testing.assert_frame_equal(trials_of(killed), trials_of(tmp_path / "search" / "whole"))


def rows(folder: Path) -> int:
    return len(keys(folder))


def keys(folder: Path) -> list[str]:
    import sqlite3
    from contextlib import closing

    if not (folder / "ledger.db").exists():
        return []
    with closing(sqlite3.connect(f"file:{folder / 'ledger.db'}?mode=ro", uri=True)) as connection:
        try:
            return [key for (key,) in connection.execute("SELECT key FROM trials")]
        except sqlite3.OperationalError:
            return []


def test_trainings_for_real_then_the_grid(tmp_path: Path) -> None:
    tiny = ["debug=tiny", "data=synthetic", "data.size=300", "data.side=20", "proxy.data_fraction=0.3"]
    environment = {**os.environ, "SCALESEARCH_CACHE": str(tmp_path / "cache")}

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "scalesearch", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = run("search", "--target-flops", "400M", "--name", "tiny", *tiny)
    summary = ss.load_run(tmp_path / "runs/search/tiny").summary
    assert summary["n_trained"] == 8
    assert summary["baseline"]["name"] == "efficientnet_b0"
    assert summary["baseline"]["macs"] == 385_814_752
    assert "best.json" in said
    trials = pd.read_csv(tmp_path / "runs/search/tiny/trials.csv")
    assert (trials.trained_macs == trials.trained_fvcore_macs).all()
    assert ((trials.macs >= 200e6) & (trials.macs <= 440e6)).all()
    planned = run("grid", "--target-flops", "400M", "--baseline", "runs/search/tiny/best.json", "--plan", "--name", "g")
    assert "efficientnet" in planned


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["strategy=evolutoin"], "choose from evolution, gp"),
        (["strategy=evolution", "strategy.speed=3"], "speed"),
        (["strategy=evolution", "strategy.tournament=99"], "tournament <= population"),
        (["cost=flops", "target=5M"], "choose from activations, latency, macs, params"),
        (["cost=params"], "needs a target of its own"),
        (["cost=latency", "target=fast"], "positive number of milliseconds"),
        (["cost=latency", "target=5", "latency.device=cuda"], "cuda"),
        (["evaluator=table"], "evaluator.path"),
        (["evaluator=table", "evaluator.path=nowhere.csv"], "readable file"),
        (["space.ops=[]"], "empty space"),
        (["space.ops=[mbconv_e7]"], "unknown op"),
        (["budget.low=50", "budget.high=60"], "a space from"),
        (["budget.low=2", "budget.high=1"], "below budget.high"),
        (["halving.epochs=[3,1]"], "epochs"),
        (["--target-flops", "1e15"], "got"),
        (["--target-flops", "4X"], "4X"),
        (["space=enormous"], "choose from mnasnet"),
        (["trials=0"], "trials must lie in"),
        (["data=nothing"], "unknown choice for data"),
    ],
)
def test_bad_input_is_one_line(more: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = [] if any(text.startswith("data=") for text in more) else ["data=synthetic", "data.size=300"]
    cli("search", "--runs-dir", str(tmp_path), "--name", "bad", *data, "proxy.data_fraction=1", *more, code=2)
    error = capsys.readouterr().err.strip().splitlines()
    assert error[0].startswith("error: ")
    assert said in error[0]
    assert not list(tmp_path.iterdir())


def test_a_table_that_does_not_fit_is_refused(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli(*arguments(table, tmp_path, "bad", "evaluator.accuracy=[top1]"), code=2)
    assert "column top1" in capsys.readouterr().err
    cli(*arguments(table, tmp_path, "bad", "evaluator.accuracy_scale=1"), code=2)
    assert "0..1 after scaling" in capsys.readouterr().err
    cli(*arguments(table, tmp_path, "bad", "space.layers.head_width=128"), code=2)
    assert "must equal the counted" in capsys.readouterr().err


def test_everything_too_slow_ends_with_the_closest(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["cost=latency", "target=0.001", "latency.repeats=2", "latency.warmup=0", "strategy=random", "trials=5"]
    cli(*arguments(table, tmp_path, "slow", *more), code=2)
    said = capsys.readouterr().err
    assert "in a row did not" in said
    assert "nas_bench_macro_" in said


def test_plan_describes_the_space(capsys: pytest.CaptureFixture[str]) -> None:
    cli("search", "--plan", "--json", "data=synthetic")
    overview = json.loads(capsys.readouterr().out)
    assert overview["base_macs"] == 385_814_752
    low, high = overview["reach"]["macs"]
    assert low < 200e6 < 440e6 < high
    assert 200e6 <= overview["drawn_macs"][0] <= overview["drawn_macs"][2] <= 440e6
