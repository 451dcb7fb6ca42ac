"""The study of axes: which networks, what the fits say, and the whole path for real and tiny."""

import json
import sys
import types
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import scalesearch as ss
from scalesearch.arch.cost import cost_of
from scalesearch.arch.proxy import ProxySettings
from scalesearch.cli import main
from scalesearch.config import axes_settings, compose
from scalesearch.data.prepare import SourceInfo
from scalesearch.data.prepared import PreparedData
from scalesearch.engine.interrupts import Interrupts
from scalesearch.engine.ray_session import RaySession
from scalesearch.engine.serial_engine import SerialEngine
from scalesearch.errors import BudgetError, InputError
from scalesearch.report.axes_words import axes_words
from scalesearch.report.screen import LineScreen
from scalesearch.store.ledger import Ledger
from scalesearch.studies.axes_comparisons import compare_curves
from scalesearch.studies.axes_fits import CurveFit, fit_lines, fits_frame, joint_law_of, trend_of
from scalesearch.studies.axes_outcome import AxesOutcome
from scalesearch.studies.axes_plan import AxesPlan, plan_axes, sizes_of
from scalesearch.studies.axes_proxies import AxesProxies, candidate_rows, plan_proxies
from scalesearch.studies.axes_rounds import AxesRecords, AxesRounds
from scalesearch.studies.axes_settings import AxesSettings
from scalesearch.studies.axes_work import AxesWork
from scalesearch.trial import TrialRecord, TrialRequest, promised_record

INFO = SourceInfo("synthetic", tuple(map(str, range(10))), 50_000, 5_000, False, 64, 3)
TIMING = ["train_seconds", "seconds", "started_at", "finished_at", "worker", "attempt"]
TINY = [
    *("debug=tiny", "data=synthetic", "data.size=300", "data.side=20", "proxy.data_fraction=0.3", "engine=serial"),
    *("curves.ratios=[0.71,1.0,1.45,2.0]", "curves.rules=[width_only,efficientnet]", "curves.compare_rules=[fast]"),
]


def settings(*overrides: str) -> AxesSettings:
    return axes_settings(compose("axes", overrides))


def planned(*overrides: str) -> tuple[AxesPlan, AxesProxies]:
    chosen = settings(*overrides)
    return plan_proxies(plan_axes(chosen), chosen, INFO)


# ---- which networks


def test_the_papers_figure_3_costs_what_it_costs() -> None:
    """MACs of its points in G, counted with the released rounding (facts of the project, section 6)."""
    golden = {
        "width": [0.386, 0.744, 1.176, 2.391, 5.060, 8.712],
        "depth": [0.386, 0.782, 1.179, 1.575, 2.368, 3.161],
        "resolution": [0.386, 0.718, 0.893, 1.129, 1.458, 1.923, 2.447],
    }
    plan = plan_axes(settings("curves=paper"))
    found = {
        curve: [round(cost_of(point.spec).macs / 1e9, 3) for point in plan.kept(curve) if point.spec]
        for curve in golden
    }
    assert found == golden
    assert plan.lines == tuple(golden)
    assert len(plan.networks) == 17  # the baseline is one network


def test_figure_4_is_four_width_sweeps() -> None:
    plan = plan_axes(settings("curves=figure4"))
    assert {curve: len(plan.kept(curve)) for curve in plan.lines} == dict.fromkeys(
        ("d1 r1", "d1 r1.3", "d2 r1", "d2 r1.3"), 5
    )
    last = plan.kept("d2 r1.3")[-1].spec
    assert last is not None
    assert (last.depths, last.resolution) == ((2, 4, 4, 6, 6, 8, 2), 291)


def test_default_curves_cost_the_same_at_every_ratio() -> None:
    plan, proxies = planned()
    assert plan.lines == ("width", "depth", "resolution", "compound")
    for point in plan.points:
        assert point.kept
        assert point.spec is not None
        assert plan.ratio(point.spec) == pytest.approx(point.asked, rel=0.03)
    assert {point.curve for point in plan.points if point.asked == 2.0} == {*plan.lines, "fast", "uniform"}
    assert {point.curve for point in plan.points if point.asked == 0.5} == set(plan.lines)
    assert len(proxies.trained) == len(plan.networks) == 4 * 4 + 1 + 2
    wide = next(point.spec for point in plan.kept("width") if point.asked == 2.0)
    assert wide is not None
    sizes = sizes_of(wide, plan.baseline)
    assert (sizes.depth, sizes.resolution) == (1.0, 1.0)
    assert sizes.width == pytest.approx(2**0.5, rel=0.05)


def test_the_imagenette_preset_shows_32_to_128_pixels() -> None:
    _, proxies = planned("curves=imagenette", "data.path=x.npz")
    assert {32, 128} <= {proxy.resolution for proxy in proxies.of.values()}
    assert proxies.largest_side == 128


def test_points_that_cannot_be_trained_are_listed_with_the_reason() -> None:
    plan, proxies = planned("curves.ratios=[0.25,0.5,1,2]")
    left = {point.curve: point.reason for point in plan.points if not point.kept}
    assert "costs 0.449 times the baseline" in left["depth"]
    assert "total stride" in left["resolution"]
    rows = candidate_rows(plan, proxies)
    assert sorted(row["curves"] for row in rows if row["kept"] == "false") == ["depth", "resolution"]
    assert any("depth at 0.25x is not trained" in warning for warning in proxies.warnings)
    assert any("the curve depth has 3 points" in warning for warning in proxies.warnings)


def test_networks_that_share_a_proxy_are_trained_once() -> None:
    chosen = replace(settings(), proxy=ProxySettings(width=0.01, width_divisor=64))
    plan, proxies = plan_proxies(plan_axes(chosen), chosen, INFO)
    assert len(proxies.trained) < len(plan.networks)
    assert any("share a proxy" in warning for warning in proxies.warnings)
    assert any(row["shares_proxy_with"] for row in candidate_rows(plan, proxies))


def test_a_baseline_is_taken_as_it_is_or_brought_to_a_target() -> None:
    assert plan_axes(settings("baseline=mobilenet_v2")).baseline == ss.load_spec("mobilenet_v2")
    rescaled = plan_axes(axes_settings(compose("axes", flags={"target_flops": "100M"})))
    assert cost_of(rescaled.baseline).macs == pytest.approx(100e6, rel=0.03)
    assert "rescaled from 386M" in rescaled.sentence()


def test_the_check_takes_networks_of_all_costs_and_curves() -> None:
    plan, proxies = planned("check.epochs=5", "check.points=9")
    work = AxesWork(settings("check.epochs=5", "check.points=9"), plan, proxies, None)  # type: ignore[arg-type]
    names = [plan.networks[name].name for name, _ in work.check_units()]
    assert len(names) == len(set(names)) == 9
    ends = [f"efficientnet_b0_{axis}_{ratio}x" for axis in ("width", "depth", "resolution") for ratio in ("0.5", "2")]
    assert {"efficientnet_b0", *ends} <= set(names)


# ---- what the tables say


def observed(
    curves: dict[str, tuple[float, float, float]],
    *,
    ratios: Sequence[float] = (0.5, 0.71, 1, 1.45, 2, 3, 4),
    seeds: int = 3,
) -> pd.DataFrame:
    """Observations of known laws error = a + b (macs / first)^-c per curve, with paired seeds and little noise."""
    rng, rows = np.random.default_rng(0), []
    effect = rng.normal(0, 0.004, seeds)
    effect -= effect.mean()  # intervals hold given the seeds used
    for curve, (a, b, c) in curves.items():
        for ratio in ratios:
            for seed in range(seeds):
                error = a + b * (ratio / ratios[0]) ** -c + effect[seed] + rng.normal(0, 0.0005)
                sizes = {axis: ratio if axis == curve else 1.0 for axis in ("width", "depth", "resolution")}
                rows.append(
                    {"curve": curve, "budget": ratio, "network": f"{curve}{ratio}", "macs": ratio * 4e8, **sizes}
                    | {"proxy_macs": ratio * 1e6, "seed": seed, "accuracy": 1 - error, "data": "d", "recipe": "r"}
                )
    return pd.DataFrame(rows)


def fitted(rows: pd.DataFrame, *lines: str) -> list[CurveFit]:
    return fit_lines(rows, lines, points_per_doubling=1.0, confidence=0.95)


def test_fits_and_knees_come_out_of_the_observations() -> None:
    line = fitted(observed({"width": (0.2, 0.2, 1.0)}), "width")[0]
    assert line.identified
    row = fits_frame([line]).iloc[0]
    for name, truth in (("a", 0.2), ("b", 0.2), ("c", 1.0)):
        assert row[name] == pytest.approx(truth, abs=0.1)
        assert row[f"{name}_low"] < truth < row[f"{name}_high"]
    # 20 * x^-1 * (1 - 1/2) = 1 point at x = 10, which lies beyond the last measured doubling
    assert row["knee_state"] == "not reached"
    gains = line.gains([2e8, 4e8])
    assert gains["gain"].to_numpy() == pytest.approx([10, 5], rel=0.1)
    assert len(line.band()) > 20
    flat = fitted(observed({"width": (0.2, 0.05, 1.5)}), "width")[0]
    assert flat.knee is not None
    assert flat.knee.state == "reached"
    # 5 x^-1.5 (1 - 2^-1.5) = 1 at x = 2.19
    assert flat.knee.cost == pytest.approx(2e8 * 2.19, rel=0.1)


def test_the_average_gain_is_a_plain_slope() -> None:
    rows = observed({"width": (0.2, 0.0, 1.0)})
    rows["accuracy"] += 0.03 * np.log2(rows["macs"])
    trend = trend_of(rows, 0.95)
    assert trend is not None
    assert trend.value == pytest.approx(3.0, abs=0.1)
    assert trend.low is not None
    assert trend.low < 3.0 < (trend.high or 0)
    assert trend_of(rows[rows["budget"] == 1], 0.95) is None


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (observed({"width": (0.2, 0.2, 1.0)}, ratios=(0.5, 1, 2)), "3 different costs"),
        (observed({"width": (0.2, 0.0, 1.0)}), "does not grow with cost"),
        (observed({"width": (0.2, 0.2, 1.0)}).assign(accuracy=0.1), "the same at every cost"),
        (observed({"width": (0.2, 0.2, 1.0)}).assign(accuracy=np.nan), "no training of this curve succeeded"),
    ],
    ids=["few points", "flat", "constant", "all failed"],
)
def test_what_the_data_cannot_carry_is_refused(rows: pd.DataFrame, why: str) -> None:
    line = fitted(rows, "width")[0]
    assert not line.identified
    assert why in line.why
    assert line.band() == []
    assert line.row()["knee_state"] == "not known"
    assert line.row()["knee"] is None


def test_mixed_recipes_are_never_fitted() -> None:
    rows = observed({"width": (0.2, 0.2, 1.0)})
    rows.loc[0, "recipe"] = "another"
    line = fitted(rows, "width")[0]
    assert line.fit is None
    assert "one recipe" in line.why


def test_compound_is_compared_with_every_curve_at_every_ratio() -> None:
    rows = observed({"compound": (0.2, 0.2, 1.0), "width": (0.22, 0.2, 1.0), "depth": (0.2, 0.2, 1.0)}, ratios=(1, 2))
    rows.loc[rows["budget"] == 1, "network"] = "baseline"
    rows.loc[(rows["curve"] == "depth") & (rows["budget"] == 2), "network"] = "compound2"
    found = compare_curves(rows, 0.95)
    table = found.frame.set_index("curve")
    assert list(found.frame["ratio"]) == [2, 2]  # at ratio 1 there is only the baseline
    assert table.loc["width", "points"] == pytest.approx(2.0, abs=0.2)
    assert table.loc["width", "low"] < 2.0 < table.loc["width", "high"]
    assert (table.loc["width", "verdict"], table.loc["depth", "verdict"]) == ("better", "same network")
    assert np.isnan(table.loc["depth", "points"])
    assert found.sentence.startswith("at equal cost compound scaling is better than width at 2x (+")
    assert found.sentence.endswith(" points), and is the same network in 1 of 2")
    assert compare_curves(rows[rows["curve"] != "compound"], 0.95).frame.empty


def test_unequal_cost_is_said() -> None:
    rows = observed({"compound": (0.2, 0.2, 1.0), "width": (0.2, 0.2, 1.0)}, ratios=(2,))
    rows.loc[rows["curve"] == "width", ["macs", "proxy_macs"]] *= 1.3
    warnings = " ".join(compare_curves(rows, 0.95).warnings)
    assert "not at equal cost" in warnings
    assert "width at 2x (0.77)" in warnings


def test_the_joint_law_is_there_where_all_axes_vary() -> None:
    law = {"width": (0.0, 0.3, 0.5), "depth": (0.0, 0.3, 0.2), "resolution": (0.0, 0.3, 0.3)}
    found = joint_law_of(observed(law), 0.95)
    assert found["identified"]
    assert found["terms"]["width"]["value"] == pytest.approx(-0.5, abs=0.1)
    assert not joint_law_of(observed({"compound": (0.0, 0.3, 0.5)}), 0.95)["identified"]


# ---- how much is trained


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


@pytest.fixture(autouse=True, scope="module")
def drawings() -> None:
    """Stand-ins for the drawings where they are not there."""
    if find_spec("scalesearch.report.axes_figures") is None:
        stub = types.ModuleType("scalesearch.report.axes_figures")
        stub.axes_figures = lambda curves, fits, comparisons, summary: {"curves": (curves, Figure())}  # type: ignore[attr-defined]
        sys.modules[stub.__name__] = stub
    if find_spec("scalesearch.report.axes_page") is None:
        stub = types.ModuleType("scalesearch.report.axes_page")
        stub.axes_page = lambda summary, curves, comparisons, pictures, config_yaml: "<html>"  # type: ignore[attr-defined]
        sys.modules[stub.__name__] = stub


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
