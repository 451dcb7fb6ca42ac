"""`run` and `emit` from end to end, in miniature."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import scalesearch as ss
from scalesearch.cli import main
from scalesearch.emit.weights import save_weights

TINY = ["debug=tiny", "data=synthetic", "data.size=300", "data.side=24", "proxy.data_fraction=0.3", "engine=serial"]
SMALL = ["axes.curves.ratios=[0.71,1.0,2.0]", "search.trials=3", "search.race.max_trainings=6", "formats=[torch,timm]"]


def cli(*arguments: str, code: int = 0) -> None:
    argv, sys.argv = sys.argv, ["scalesearch", *arguments]
    try:
        with pytest.raises(SystemExit) as stop:
            main()
    finally:
        sys.argv = argv
    assert stop.value.code == code


def test_run_does_all_of_it_and_repeats_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "SCALESEARCH_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "scalesearch", "run", "--target-flops", "400M", "--name", "all", "--json"]

    def once() -> dict[str, object]:
        done = subprocess.run(
            [*command, *TINY, *SMALL, "phi='0:2'"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        summary: dict[str, object] = json.loads(done.stdout)
        return summary

    first = once()
    runs = tmp_path / "runs"
    for part in ("search/all/best.json", "grid/all/standings.csv", "axes/all/curves.csv", "scale/all/family.csv"):
        assert (runs / part).exists(), part
    assert len(list((runs / "run/all/emitted/torch").glob("*.py"))) == 1
    assert "<html" in (runs / "run/all/report.html").read_text()
    ledgers = sorted(runs.glob("*/all/ledger.db"))
    times = [path.stat().st_mtime_ns for path in ledgers]
    assert len(times) == 3
    second = once()
    assert second["steps"] == first["steps"]


def test_emit_writes_a_family_and_refuses_strange_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli("scale", "--phi", "0:1", "--name", "f", "--runs-dir", str(tmp_path / "runs"), "--baseline", "mobilenet_v2")
    out = tmp_path / "out"
    cli("emit", "scale/f", "--runs-dir", str(tmp_path / "runs"), "--out", str(out), "--json")
    rows = json.loads(capsys.readouterr().out.partition("\n[")[2].join(["[", ""]))
    assert {row["format"] for row in rows} >= {"torch", "spec", "card"}
    (out / "mine.txt").write_text("mine")
    cli("emit", "scale/f", "--runs-dir", str(tmp_path / "runs"), "--out", str(out), code=2)
    assert (out / "mine.txt").read_text() == "mine"


def test_weights_of_another_network_are_refused_by_the_first_tensor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ss.scale_net(ss.load_spec("mobilenet_v2"), width=0.25, resolution=64)
    others = {"classes": small.with_(num_classes=7), "wider": small.with_(head_width=72), "small": small}
    for name, spec in others.items():
        Path(f"{name}.json").write_text(spec.with_(name=name).to_json())
        save_weights(ss.build_net(spec), Path(f"{name}.safetensors"))
    before = sorted(tmp_path.iterdir())
    for weights, said in (
        ("classes", "7 classes instead of 1000'; set num_classes=7"),
        ("wider", f"head.conv.weight of shape (72, {small.widths[-1]}, 1, 1) instead of"),
    ):
        cli("emit", "small.json", "--out", "out", "--weights", f"{weights}.safetensors", code=2)
        error = capsys.readouterr().err
        assert f"error: {weights}.safetensors must hold the weights of small, got" in error
        assert said in error
        assert error.count("\n") == 1
        assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["emit", "efficientnet_b00", "--out", "x"], "did you mean efficientnet_b0"),
        (["emit", "efficientnet_b0", "--out", "x", "--format", "onxx"], "onnx"),
        (["emit", "efficientnet_b0", "--out", "x", "--weights", "nowhere.safetensors"], "nowhere.safetensors"),
        (["emit", "efficientnet_b0", "--out", "x", "--calibrate", "synthetic"], "--calibrate is for 8-bit ONNX files"),
        (["emit", "efficientnet_b0", "mobilenet_v2", "--out", "x", "--weights", "a.safetensors"], "NAME=FILE"),
        (["run", "--budget-minutes", "-1"], "--budget-minutes must be positive"),
        (["run", "--target-flops", "4X"], "4X"),
        (["run", "speed=3"], "unknown setting"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    cli(*arguments, code=2)
    error = capsys.readouterr().err.strip().splitlines()
    assert error[-1].startswith("error: ")
    assert said in error[-1]
    assert not list(tmp_path.iterdir())
