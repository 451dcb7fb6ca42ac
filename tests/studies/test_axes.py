"""A study of axes: how much is trained, its outcome, and the whole path for real and tiny."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from axes_planned import INFO, settings

import scalesearch as ss
from scalesearch.cli import main
from scalesearch.data.prepared import PreparedData
from scalesearch.engine.interrupts import Interrupts
from scalesearch.engine.ray_session import RaySession
from scalesearch.engine.serial_engine import SerialEngine
from scalesearch.errors import BudgetError, InputError
from scalesearch.report.axes_words import axes_words
from scalesearch.report.screen import LineScreen
from scalesearch.store.ledger import Ledger
from scalesearch.studies.axes_outcome import AxesOutcome
from scalesearch.studies.axes_plan import plan_axes
from scalesearch.studies.axes_proxies import plan_proxies
from scalesearch.studies.axes_rounds import AxesRecords, AxesRounds
from scalesearch.studies.axes_work import AxesWork
from scalesearch.trial import TrialRecord, TrialRequest, promised_record

TIMING = ["train_seconds", "seconds", "started_at", "finished_at", "worker", "attempt"]
TINY = [
    *("debug=tiny", "data=synthetic", "data.size=300", "data.side=20", "proxy.data_fraction=0.3", "engine=serial"),
    *("curves.ratios=[0.71,1.0,1.45,2.0]", "curves.rules=[width_only,efficientnet]", "curves.compare_rules=[fast]"),
]


def rounds_within(minutes: float | None, folder: Path, ledger: Ledger, *more: str) -> AxesRecords:
    """Rounds of three networks whose trainings take 30 s, as they say."""
    overrides = ["curves.ratios=[1.0,2.0]", "curves.rules=[width_only,depth_only]", "curves.compare_rules=[]"]
    chosen = replace(settings(*overrides, *more), minutes=minutes, runs_dir=str(folder / "runs"))
    plan, proxies = plan_proxies(plan_axes(chosen), chosen, INFO)
    data = PreparedData("/nowhere", "none", "0" * 16, 32, 3, INFO.class_names, 50_000, 5_000, 32)

    def trial(asked: TrialRequest) -> TrialRecord:
        return replace(promised_record(asked), accuracy=0.5, seconds=30.0, device="cpu")

    engine = SerialEngine(trial_fn=trial)
    with Interrupts(lambda number: None) as stop:
        return AxesRounds(AxesWork(chosen, plan, proxies, data), engine, ledger, stop, LineScreen()).run()


@pytest.mark.parametrize(
    ("minutes", "rounds"), [(None, 6), (6.0, 4), (7.4, 4), (0.1, 3), (100.0, 6)], ids=lambda value: str(value)
)
def test_complete_rounds_fit_the_minutes(minutes: float | None, rounds: int, tmp_path: Path) -> None:
    with Ledger.create_or_open(tmp_path / "ledger.db") as ledger:
        found = rounds_within(minutes, tmp_path, ledger)
        assert found.seeds == rounds
        assert len(found.curves) == 3 * rounds
        assert {seed for _, seed in found.curves} == set(range(rounds))


@pytest.mark.parametrize(("minutes", "rounds"), [(6.0, 4), (6.6, 5), (0.1, 3), (100.0, 6)])
def test_rounds_may_fill_the_minutes_instead(minutes: float, rounds: int, tmp_path: Path) -> None:
    with Ledger.create_or_open(tmp_path / "ledger.db") as ledger:
        assert rounds_within(minutes, tmp_path, ledger, "seeds.beyond_minutes=true").seeds == rounds


def test_shared_trainings_take_no_minutes(tmp_path: Path) -> None:
    for name, minutes, rounds in (("first", 6.0, 4), ("second", 6.0, 6)):
        folder = tmp_path / "runs" / "axes" / name
        folder.mkdir(parents=True)
        with Ledger.create_or_open(folder / "ledger.db") as ledger:
            found = rounds_within(minutes, tmp_path, ledger)
            assert found.seeds == rounds
    assert (len(found.adopted), len(found.own)) == (12, 6)


def test_the_outcome_says_what_a_known_law_says(tmp_path: Path) -> None:
    """Default curves with error = 0.1 + 0.2 (cost / first)^-0.8, and 2 points more for everything but compound."""
    chosen = replace(settings("share=false"), minutes=None)
    plan, proxies = plan_proxies(plan_axes(chosen), chosen, INFO)
    ratio = {proxies.of[name].fingerprint: plan.ratio(spec) for name, spec in plan.networks.items()}
    data = PreparedData("/nowhere", "none", "0" * 16, 32, 3, INFO.class_names, 50_000, 5_000, 32)

    def trial(asked: TrialRequest) -> TrialRecord:
        noise = np.random.default_rng(int(asked.key[:8], 16)).normal(0, 0.0005)
        error = 0.1 + 0.2 * (ratio[asked.spec.fingerprint] / 0.5) ** -0.8 + noise
        penalty = 0.0 if "compound" in asked.spec.name else 0.02
        return replace(promised_record(asked), accuracy=1 - error - penalty, device="cpu")

    work = AxesWork(chosen, plan, proxies, data)
    with Ledger.create_or_open(tmp_path / "ledger.db") as ledger, Interrupts(lambda number: None) as stop:
        records = AxesRounds(work, SerialEngine(trial_fn=trial), ledger, stop, LineScreen()).run()
    outcome = AxesOutcome(work, records, ())
    summary, curves = outcome.summary(), outcome.curves()
    assert all(fit["identified"] for fit in summary["fits"] if fit["curve"] in ("width", "depth", "resolution"))
    assert {row["verdict"] for row in summary["comparisons"]} == {"better"}
    assert [row["points"] for row in summary["comparisons"]] == pytest.approx([2.0] * 14, abs=1.0)
    first = curves[(curves.curve == "width") & (curves.asked_ratio == 0.5)].iloc[0]
    # 100 * 0.2 * (1 - 2^-0.8) points, and a doubling from half the baseline's cost was measured
    assert first.gain == pytest.approx(100 * 0.2 * (1 - 2**-0.8), rel=0.1)
    assert first.gain_measured
    assert first.accuracy_low < first.accuracy_mean < first.accuracy_high
    assert "is better than depth at 0.5x (+" in summary["sentence"]
    words = axes_words(summary, tmp_path)
    assert "error = 0.1" in words
    assert "114 trainings of 19 networks, 6 seeds" in words


# ---- the whole path


def cli(*arguments: str, code: int = 0) -> None:
    argv, sys.argv = sys.argv, ["scalesearch", *arguments]
    try:
        with pytest.raises(SystemExit) as stop:
            main()
    finally:
        sys.argv = argv
    assert stop.value.code == code


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run "x" below a folder of runs, with a check against longer training."""
    folder = tmp_path_factory.mktemp("axes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCALESEARCH_CACHE", str(folder / "cache"))
        cli("axes", *TINY, "--name", "x", "--runs-dir", str(folder / "runs"), "check.epochs=2", "check.points=5")
    return folder / "runs"


def again(runs: Path, monkeypatch: pytest.MonkeyPatch, name: str, *more: str, code: int = 0) -> Path:
    monkeypatch.setenv("SCALESEARCH_CACHE", str(runs.parent / "cache"))
    cli("axes", *TINY, "--name", name, "--runs-dir", str(runs), *more, code=code)
    return runs / "axes" / name


def test_a_run_leaves_everything(runs: Path) -> None:
    run = runs / "axes" / "x"
    names = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    tables = ("candidates", "curves", "fits", "comparisons", "trials", "fidelity")
    assert {
        *(f"{name}.csv" for name in tables),
        "trials.parquet",
        "summary.json",
        "report.html",
        "config.yaml",
    } <= names
    assert any(name.startswith("figures/") and name.endswith(".pdf") for name in names)
    summary, trials = ss.load_run(run).summary, ss.load_run(run).trials
    assert summary["verb"] == "axes"
    assert [line["curve"] for line in summary["curves"]] == ["width", "compound", "fast"]
    assert [line["is_line"] for line in summary["curves"]] == [True, True, False]
    # 2 curves of 4 points with the baseline in common, and fast at 2x; 2 seeds each
    assert (summary["n_networks"], summary["seeds"], summary["n_check"]) == (8, 2, 5)
    assert len(trials) == summary["n_trials"] == 8 * 2 + 5
    assert (trials.trained_macs == trials.trained_fvcore_macs).all()
    curves = pd.read_csv(run / "curves.csv")
    own = trials[(trials.phase == "curves") & (trials.name == "efficientnet_b0_width_2x")]
    point = curves[curves.name == "efficientnet_b0_width_2x"].iloc[0]
    assert point.accuracy_mean == pytest.approx(own.accuracy.mean())
    assert point.error_mean == pytest.approx(1 - own.accuracy.mean())
    assert point.macs == own.macs.iloc[0]
    assert list(curves[curves.curve == "width"].ratio.round(1)) == [0.7, 1.0, 1.4, 2.0]
    assert set(trials[trials.phase == "check"].epochs) == {2}


def test_what_two_seeds_of_two_steps_cannot_say_is_not_said(runs: Path) -> None:
    summary = ss.load_run(runs / "axes" / "x").summary
    assert not any(fit["identified"] for fit in summary["fits"])
    assert all(row["verdict"] == "too few seeds" for row in summary["comparisons"])
    warnings = " ".join(summary["warnings"])
    assert "2 seeds: comparisons need 3" in warnings
    assert "nothing was learned" in warnings
    assert "cannot be said for width, compound" in summary["sentence"]
    assert summary["fidelity"]["kendall"] is None
    assert "no rank agreement" in summary["fidelity"]["sentence"]


def test_repeating_trains_nothing_and_other_settings_are_refused(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = ss.load_run(runs / "axes" / "x").trials
    run = again(runs, monkeypatch, "x", "check.epochs=2", "check.points=5")
    pd.testing.assert_frame_equal(ss.load_run(run).trials, before)
    assert " seed 0" not in capsys.readouterr().err
    again(runs, monkeypatch, "x", "proxy.epochs=2", "check.epochs=4", code=2)
    assert "proxy.epochs: 1 -> 2" in capsys.readouterr().err


def test_repeating_starts_no_ray(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def started(session: RaySession) -> None:
        raise AssertionError("Ray starts")

    monkeypatch.setattr(RaySession, "start", started)
    again(runs, monkeypatch, "x", "check.epochs=2", "check.points=5", "engine=ray", "engine.slots=1")
    assert " seed 0" not in capsys.readouterr().err


def test_trainings_of_another_run_are_taken_and_not_repeated(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = ss.load_run(runs / "axes" / "x").trials
    broken = runs / "axes" / "broken"
    broken.mkdir(parents=True)
    (broken / "ledger.db").write_bytes(b"no ledger")
    capsys.readouterr()
    run = again(runs, monkeypatch, "y", "--json")
    out, err = capsys.readouterr()
    summary = json.loads(out)
    assert "trainings of axes/broken cannot be shared" in err
    assert "16 trainings taken from axes/x" in err
    assert " seed 0" not in err
    assert (summary["n_shared"], summary["n_trials"], summary["shared_from"]) == (16, 16, ["axes/x"])
    assert (summary["wall_seconds"], summary["slot_utilisation"]) == (0, None)
    taken = ss.load_run(run).trials
    assert set(taken.shared_from) == {"axes/x"}
    same = original[original.phase == "curves"].reset_index(drop=True)
    pd.testing.assert_frame_equal(taken.drop(columns="shared_from"), same.drop(columns="shared_from"))
    # what is trained beyond that is this run's own
    cli("resume", str(run), "seeds.at_most=3", "engine=serial")
    more = ss.load_run(run).trials
    assert more.groupby("fingerprint").seed.apply(list).map(lambda seeds: seeds == [0, 1, 2]).all()
    assert set(more[more.seed == 2].shared_from.isna()) == {True}
    assert 0 < ss.load_run(run).summary["slot_utilisation"] <= 1
    with Ledger.open_readonly(runs / "axes" / "x" / "ledger.db") as ledger:
        assert len(ledger.records()) == 21  # only read


def test_a_run_that_shall_not_share_trains_itself(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = ["curves.ratios=[1.0,2.0]", "curves.rules=[width_only]", "curves.compare_at=[]", "seeds.at_least=1"]
    run = again(runs, monkeypatch, "alone", "share=false", "seeds.at_most=1", *small)
    summary = ss.load_run(run).summary
    assert (summary["n_shared"], summary["n_trials"]) == (0, 2)
    warnings = " ".join(summary["warnings"])
    assert "1 seed: comparisons need 3" in warnings
    assert "2 different costs" in warnings
    assert summary["comparisons"] == []
    assert "nothing was compared at equal cost" in summary["sentence"]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["curves.rules=[wide_only]"], "unknown scaling rule, got 'wide_only'"),
        (["curves=figure5"], "unknown choice for curves.*figure4"),
        (["curves.ratios=[0]"], r"curves.ratios must lie in 0.01..1000, got \[0.0\]"),
        (["curves.ratios=[]"], "compare_at names some of curves.ratios"),
        (["curves.ratios=[]", "curves.compare_at=[]"], "a study needs a curve"),
        (["curves.ratios=two"], "curves.ratios is of the wrong type"),
        (["curves.compare_at=[3]"], r"compare_at names some of curves.ratios, got \[3.0\]"),
        (["+curves.multipliers.mine.width=[1,2]", "+curves.multipliers.mine.depth=[1,2]"], "varies one of width"),
        (["+curves.multipliers.mine.width=[0]"], "multipliers above 0"),
        (["+curves.multipliers.mine.wide=[1]"], "did you mean curves.multipliers.mine.width"),
        (["seeds.at_least=0"], "1 <= at_least <= at_most"),
        (["seeds.at_most=2"], "1 <= at_least <= at_most <= 100, got '3 and 2'"),
        (["check.epochs=1"], "check.epochs must be above proxy.epochs, 1, got 1; try 5"),
        (["check.points=1"], "check.points must lie in 2..1000"),
        (["points_per_doubling=0"], "points_per_doubling must lie in"),
        (["confidence=1"], "confidence must lie in"),
        (["minutes=0"], "minutes must be positive"),
        (["share=maybe"], "share is of the wrong type"),
        (["baseline=efficientnet_b9"], "unknown network"),
        (["target_flops=4X"], "--target-flops must"),
        (["depth_rounding=up"], "unknown depth rounding"),
        (["curves=imagenette", "proxy=medium"], "curves=imagenette sets the proxy itself"),
    ],
)
def test_input_that_is_wrong_is_said_in_one_line(overrides: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        plan_axes(settings(*overrides))
    assert "\n" not in str(caught.value)


def test_ratios_out_of_reach_leave_no_study() -> None:
    with pytest.raises(BudgetError, match=r"at least two networks.*depth_only costs 0\.449 times the baseline"):
        plan_axes(settings("curves.ratios=[0.1,0.2]", "curves.rules=[depth_only]", "curves.compare_at=[]"))


def test_a_plan_is_shown_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli("axes", "--plan", "--runs-dir", str(tmp_path / "runs"), "curves.ratios=[0.25,0.5,1,2]")
    out = capsys.readouterr().out
    assert "efficientnet_b0_compound_2x" in out
    assert "out of reach" in out
    assert not (tmp_path / "runs").exists()
