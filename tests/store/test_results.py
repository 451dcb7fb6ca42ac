"""What scale, emit and run leave is listed, loaded, and reported or refused in one line."""

import json
import os
import sys
from pathlib import Path

import pytest
from made_runs import axes_run, grid_run

import scalesearch as ss
from scalesearch.cli import main
from scalesearch.errors import RunFolderError
from scalesearch.store.run_list import list_runs


def cli(*arguments: str) -> int:
    argv, sys.argv = sys.argv, ["scalesearch", *arguments]
    try:
        with pytest.raises(SystemExit) as stop:
            main()
    finally:
        sys.argv = argv
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A family, its emitted files, a finished run of two steps, and one that was interrupted."""
    monkeypatch.chdir(tmp_path)
    assert cli("scale", "--phi", "0:1", "--baseline", "mobilenet_v2", "--name", "f") == 0
    assert cli("emit", "scale/f", "--out", "runs/emit/f", "--no-verify") == 0
    grid_run(Path("runs"), data={"name": "made", "fingerprint": "d", "classes": 10, "n_train": 900, "n_val": 100})
    axes_run(Path("runs"))
    for name in ("first", "half"):
        (Path("runs/run") / name).mkdir(parents=True)
        (Path("runs/run") / name / "pace.json").write_text('{"budget_minutes": 1, "minutes": {}, "seconds": {}}')
    steps = {"grid": {"run": "grid/first"}, "axes": {"run": "axes/first"}}
    Path("runs/run/first/summary.json").write_text(json.dumps({"verb": "run", "steps": steps, "emitted": ["a"]}))
    capsys.readouterr()
    return tmp_path / "runs"


def test_they_are_listed_with_the_others(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {f"{run.verb}/{run.name}": run for run in list_runs(runs)}
    assert set(found) == {"scale/f", "emit/f", "grid/first", "axes/first", "run/first", "run/half"}
    assert {name for name, run in found.items() if run.status == "interrupted"} == {"run/half"}
    assert "2 networks: mobilenet_v2" in found["scale/f"].note
    assert found["emit/f"].note == "mobilenet_v2_phi0, mobilenet_v2_phi1 as torch"
    assert found["run/first"].note == "grid, axes and 1 emitted files"
    assert all(run.started for name, run in found.items() if name.startswith(("scale", "emit", "run")))
    assert cli("runs") == 0
    out = capsys.readouterr().out
    assert "repeat `scalesearch run` as it was, with --name half" in out
    (runs / "scale" / "stranger").mkdir()
    (runs / "scale" / "stranger" / "summary.json").write_text('{"verb": "other"}')
    assert len(list_runs(runs)) == 6


def test_they_are_loaded(runs: Path) -> None:
    family = ss.load_run(runs / "scale" / "f")
    assert (family.verb, family.name, family.summary["verb"]) == ("scale", "f", "scale")
    assert family.candidates["name"].tolist() == ["mobilenet_v2_phi0", "mobilenet_v2_phi1"]
    assert family.config["phi"] == "0:1"
    with pytest.raises(RunFolderError, match="trains nothing itself"):
        family.trials  # noqa: B018
    emitted = ss.load_run(runs / "emit" / "f")
    assert (emitted.verb, emitted.summary["formats"]) == ("emit", ["torch"])
    assert "README.md" in emitted.summary["files"]
    assert ss.load_run(runs / "run" / "half").verb == "run"
    with pytest.raises(RunFolderError, match=r"must hold candidates\.csv"):
        ss.load_run(runs / "run" / "first").candidates  # noqa: B018
    with pytest.raises(RunFolderError, match="a run is a folder"):
        ss.load_run(runs)


def test_reports_of_them(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("report", "run/first") == 0
    page = (runs / "run" / "first" / "report.html").read_text()
    assert "grid/first" in page
    assert "axes/first" in page
    capsys.readouterr()
    for run, said in (
        ("scale/f", "its table is family.csv"),
        ("emit/f", "its model card is README.md"),
        ("run/half", "with --name half"),
    ):
        assert cli("report", run) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert said in error
        assert error.count("\n") == 1
    assert cli("resume", "scale/f") == 2
    assert not [name for name in os.listdir(runs.parent) if name != "runs"]
