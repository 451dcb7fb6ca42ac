"""Finished runs for other viewers."""

import sys
from pathlib import Path

import pandas as pd
import pytest
from made_runs import axes_run, grid_run, search_run

from scalesearch.errors import MissingPackageError, RunFolderError, UnknownNameError
from scalesearch.store.export import EXPORTS, export_run
from scalesearch.store.export_table import exported_trials
from scalesearch.store.finished import finished_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    grid_run(folder)
    search_run(folder)
    axes_run(folder)
    return folder


def load(path: Path, name: str):
    import optuna

    return optuna.load_study(study_name=name, storage=f"sqlite:///{path}")


def test_optuna_of_a_search(runs: Path, tmp_path: Path) -> None:
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import TrialState

    run = finished_run(runs / "search/first")
    table = run.frame("trials.parquet")
    study = load(export_run(run, "optuna", tmp_path / "study.db"), "search/first")
    trials = study.trials
    assert (len(trials), study.direction.name, study.metric_names) == (len(table), "MAXIMIZE", ["objective"])
    for trial, (_, row) in zip(trials, table.iterrows(), strict=True):
        assert trial.user_attrs["name"] == row["name"]
        assert trial.user_attrs["cost"] == row["cost"]
        failed = row["status"] == "failed"
        assert trial.state == (TrialState.FAIL if failed else TrialState.COMPLETE)
        assert (trial.value is None) == failed
        assert failed or (trial.value == row["objective"] and trial.intermediate_values == {1: row["objective"]})
        assert not failed or trial.user_attrs["error"] == "diverged at step 3"
        assert trial.params["stage1.op"] == row["gene.stage1.op"]
        assert trial.datetime_start.timestamp() == row["started_at"]
        assert trial.duration.total_seconds() == pytest.approx(7)
    first = trials[0]
    assert first.distributions["stage1.kernel_size"] == CategoricalDistribution((3, 5, 7))
    assert set(first.params) == {name.removeprefix("gene.") for name in table if name.startswith("gene.")}
    assert study.best_value == table["objective"].max()


def test_optuna_of_grid_and_axes(runs: Path, tmp_path: Path) -> None:
    study = load(export_run(finished_run(runs / "grid/first"), "optuna", tmp_path / "g.db"), "grid/first")
    assert study.trials[0].params == {"alpha": 1.2, "beta": 1.1, "gamma": 1.15}
    assert study.trials[0].distributions["alpha"].high == 2.0
    assert study.trials[0].user_attrs["cost"] == study.trials[0].user_attrs["macs"]
    study = load(export_run(finished_run(runs / "axes/first"), "optuna", tmp_path / "a.db"), "axes/first")
    assert study.metric_names == ["accuracy"]
    assert set(study.trials[0].params) == {"width_multiplier", "depth_multiplier", "resolution_multiplier"}


def test_later_trainings_have_the_genes_of_the_first(tmp_path: Path) -> None:
    shared = {"fingerprint": "12", "name": "a", "accuracy": 0.5}
    rows = pd.DataFrame(
        [
            {"number": 1, "phase": "search", **shared, "gene.stage1.skip": "False"},
            {"number": 2, "phase": "finals", **shared, "gene.stage1.skip": None},
        ]
    )
    trials = exported_trials(finished_run(search_run(tmp_path, trials=rows)))
    assert [trial.params for trial in trials] == [{"stage1.skip": False}] * 2
    assert [trial.cost for trial in trials] == [None, None]


def test_tensorboard(runs: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = finished_run(runs / "search/first")
    table = run.frame("trials.parquet")
    folder = export_run(run, "tensorboard", tmp_path / "log")
    course = EventAccumulator(str(folder)).Reload()
    assert set(course.Tags()["scalars"]) == {"objective", "accuracy", "cost", "best_objective"}
    assert [event.value for event in course.Scalars("cost")] == pytest.approx(table["cost"].tolist())
    best = [event.value for event in course.Scalars("best_objective")]
    assert best == sorted(best)
    assert best[-1] == pytest.approx(table["objective"].max())
    sessions = sorted((folder / "trials").iterdir())
    assert len(sessions) == len(table)
    one = EventAccumulator(str(sessions[0])).Reload()
    assert one.Scalars("objective")[0].value == pytest.approx(table["objective"][0])
    content = one.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert b"stage1.op" in content


def test_csv_and_parquet(runs: Path, tmp_path: Path) -> None:
    run = finished_run(runs / "grid/first")
    table = pd.read_csv(export_run(run, "csv", tmp_path / "deep/trials.csv"))
    same = pd.read_parquet(export_run(run, "parquet", tmp_path / "trials.parquet"))
    assert list(table) == list(same)
    assert len(table) == len(run.frame("trials.parquet")) == 10
    assert same["gamma"][0] == 1.15


@pytest.mark.parametrize("to", list(EXPORTS))
def test_nothing_is_replaced_and_nothing_left_behind(
    runs: Path, tmp_path: Path, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished_run(runs / "grid/first")
    (tmp_path / "there").write_text("mine")
    with pytest.raises(RunFolderError, match="never replaces"):
        export_run(run, to, tmp_path / "there")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scalesearch.store.export._publish", fail)
    with pytest.raises(RunFolderError, match="No space left"):
        export_run(run, to, tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert (tmp_path / "there").read_text() == "mine"


def test_absent_package_and_unknown_export(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finished_run(runs / "grid/first")
    with pytest.raises(UnknownNameError, match="did you mean optuna"):
        export_run(run, "optun", tmp_path / "x")
    for name in [name for name in sys.modules if name.startswith("tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingPackageError, match="pip install tensorboard"):
        export_run(run, "tensorboard", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []
