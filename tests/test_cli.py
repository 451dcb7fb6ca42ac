"""The command line as a user meets it: exit codes, one-line errors, nothing half-written."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from scalesearch.arch.catalog import catalog_spec
from scalesearch.config import compose, conf_dir
from scalesearch.errors import InterruptedRun
from scalesearch.studies.grid_settings import GridSettings

Run = Callable[..., tuple[int, str, str]]


def is_one_line(text: str) -> bool:
    return text.startswith("error: ") and text.count("\n") == 1 and "Traceback" not in text


def test_cost_prints_the_golden_numbers(run: Run) -> None:
    code, out, _ = run("cost", "efficientnet_b0")
    assert code == 0
    assert "385,814,752" in out
    assert "5,288,548" in out
    assert "6,748,036" in out


def test_cost_as_json(run: Run) -> None:
    code, out, _ = run("cost", "efficientnet_b0", "--resolution", "240", "--json")
    report = json.loads(out)
    assert code == 0
    assert {"name", "resolution", "macs", "params", "activations", "stages"} <= set(report)
    assert report["resolution"] == 240
    assert sum(stage["macs"] for stage in report["stages"]) == report["macs"]


def test_cost_verifies_with_fvcore(run: Run) -> None:
    code, out, _ = run("cost", "efficientnet_b0", "--verify", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["fvcore_macs"] == report["macs"] == 385_814_752
    assert report["fvcore_total"] > report["fvcore_macs"]


def test_cost_measures_latency_and_says_how(run: Run) -> None:
    code, out, _ = run("cost", "tinynet_e", "--latency", "--json")
    took = json.loads(out)["latency"]
    assert code == 0
    assert 0 < took["p25_ms"] <= took["median_ms"] <= took["p75_ms"]
    assert (took["batch"], took["threads"], took["device"]) == (1, 1, "cpu")
    assert "batch 1, 1 thread, cpu" in run("cost", "tinynet_e", "--latency")[1]


def test_cost_of_a_spec_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(catalog_spec("mnasnet_a1").with_(name="mine").to_json())
    code, out, _ = run("cost", "mine.json")
    assert (code, "311,579,072" in out) == (0, True)


def test_plan_lists_and_writes_the_candidates(run: Run, tmp_path: Path) -> None:
    code, out, err = run("grid", "--target-flops", "400M", "--plan", "--name", "p", "--json")
    rows = json.loads(out)
    assert code == 0
    written = (tmp_path / "runs/grid/p/candidates.csv").read_text().splitlines()
    assert len(written) == len(rows) + 1
    expected = (
        "alpha,beta,gamma,nominal_product,realised_ratio,macs,params,activations,resolution,fingerprint,rule,kept,"
        "reason,region"
    )
    assert written[0].startswith(expected)
    kept = [row for row in rows if row["kept"] == "true"]
    assert kept
    first, second, last = err.splitlines()
    assert first == "baseline efficientnet_b0: 386M multiply-adds, within 10 % of the target"
    assert second == f"{len(rows)} networks of the lattice and the published rules, {len(kept)} kept"
    assert last == f"all of them: {tmp_path / 'runs/grid/p/candidates.csv'}"
    assert all(abs(row["realised_ratio"] / 2 - 1) <= 0.05 for row in kept)


def test_plan_shows_what_is_kept_first(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("grid", "--plan", "--name", "p", "--runs-dir", "elsewhere", "max_candidates=8")
    assert code == 0
    header, *lines, last = out.splitlines()
    assert header.split()[8] == "kept"
    assert [line.split()[8] for line in lines] == ["yes"] * 8 + ["no"] * 8
    assert last.startswith("... and ")
    assert last.endswith(" more that are not kept; all of them are in candidates.csv")
    assert (tmp_path / "elsewhere/grid/p/candidates.csv").is_file()
    assert not (tmp_path / "runs").exists()


def test_plan_rescales_a_baseline_that_is_off_the_target(run: Run) -> None:
    code, out, err = run("grid", "--target-flops", "30M", "--baseline", "mobilenet_v2", "--plan", "--json")
    assert code == 0
    assert "baseline mobilenet_v2 rescaled from 301M to 30" in err
    kept = [row for row in json.loads(out) if row["kept"] == "true"]
    exact = [row for row in kept if not row["reason"]]
    assert len(exact) >= 5
    for row in exact:
        assert row["realised_ratio"] == pytest.approx(2, rel=0.05)
        assert row["macs"] == pytest.approx(60e6, rel=0.05)
    beyond = [row for row in kept if abs(row["realised_ratio"] / 2 - 1) > 0.05]
    assert [row for row in kept if row["reason"]] == beyond
    for row in beyond:
        assert row["rule"]
        assert row["reason"].startswith("kept although it costs ")


def test_a_plan_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, scalesearch.cli\n"
        "sys.argv = ['scalesearch', 'grid', '--plan']\n"
        "try:\n    scalesearch.cli.main()\n"
        "except SystemExit as stop:\n    assert stop.code == 0\n"
        "heavy = {'torch', 'ray', 'optuna', 'pandas', 'scipy', 'matplotlib', 'fvcore'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr


def test_help_says_the_defaults_and_every_config_group(run: Run) -> None:
    code, out, _ = run("grid", "--help")
    defaults = compose("grid")
    words = " ".join(out.split())
    assert code == 0
    for value in (defaults["target_flops"], defaults["baseline"], defaults["data"]["name"], defaults["runs_dir"]):
        assert f"Default: {value}." in words
    assert "rescaled to the target where it is more than 10 % off" in words
    listed = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.startswith("    ")}
    for group in [conf_dir() / name for name in ("data", "proxy", "recipe", "engine", "debug/grid")]:
        assert {path.stem for path in group.glob("*.yaml")} <= set(listed[group.relative_to(conf_dir()).parts[0]])
    assert sum(line.startswith("    scalesearch grid ") for line in out.splitlines()) == 2


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[GridSettings]:
    """The settings of the grids that would have been trained."""
    asked: list[GridSettings] = []

    def stand_in(settings: GridSettings, *_: object) -> NoReturn:
        asked.append(settings)
        raise InterruptedRun(2)

    monkeypatch.setattr("scalesearch.studies.grid.run_grid", stand_in)
    return asked


def test_interrupted_before_there_is_a_run(run: Run, trained: list[GridSettings], tmp_path: Path) -> None:
    code, out, err = run("grid", "data=synthetic", "--name", "x")
    assert (code, out, err) == (130, "", "interrupted before anything was started\n")
    assert len(trained) == 1


def test_interrupted_when_there_is_one(run: Run, trained: list[GridSettings], tmp_path: Path) -> None:
    assert run("grid", "data=synthetic", "--plan", "--name", "x", "--runs-dir", "my runs")[0] == 0
    code, _, err = run("grid", "data=synthetic", "--name", "x", "--runs-dir", "my runs")
    where = tmp_path / "my runs" / "grid" / "x"
    assert code == 130
    assert err == f"interrupted; what was finished is kept. Continue with: scalesearch resume '{where}'\n"


def test_resume_takes_another_engine_and_budget(run: Run, trained: list[GridSettings]) -> None:
    assert run("grid", "data=synthetic", "--plan", "--name", "x", "proxy.epochs=3")[0] == 0
    assert run("resume", "grid/x", "engine=serial", "minutes=2", "race.max_trainings=50")[0] == 130
    (settings,) = trained
    assert (settings.engine.name, settings.minutes, settings.race.max_trainings) == ("serial", 2.0, 50)
    assert (settings.data.name, settings.proxy.epochs) == ("synthetic", 3)
    code, out, err = run("resume", "grid/x", "proxy.epochs=2")
    assert (code, out, len(trained)) == (2, "", 1)
    assert is_one_line(err)
    assert "resume takes only settings that change no result, got 'proxy.epochs=2'" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["grid", "--target-flops", ""], "--target-flops must be"),
        (["grid", "--target-flops", "4X"], "--target-flops must be"),
        (["grid", "--target-flops", "-1"], "--target-flops must be"),
        (["grid", "--target-flops", "0"], "--target-flops must be"),
        (["grid", "--target-flops", "nan"], "--target-flops must be"),
        (["grid", "--target-flops", "1e400"], "--target-flops must be"),
        (["grid", "--target-flops", "1K"], "can be scaled to"),
        (["grid", "--target-flops", "100000T", "--baseline", "mobilenet_v2"], "can be scaled"),
        (["grid", "--baseline", "efficientnet_b9"], "did you mean efficientnet_b"),
        (["grid", "--baseline", "absent.json"], "readable text"),
        (["grid", "proxy.resolution=8", "data=synthetic"], "raise proxy.resolution"),
        (["grid", "no_such=1"], "unknown setting"),
        (["grid", "+x=1"], "unknown setting"),
        (["grid", "~ratio"], "cannot be deleted"),
        (["grid", "--data", "nowhere"], "--data takes"),
        (["grid", "data=imagefolder"], "data.path"),
        (["grid", "data=imagefolder", "data.path=absent"], "absent"),
        (["grid", "--data", "fashion_mnist", "data=cifar10"], "--data and data="),
        (["grid", "--target-flops", "400M", "target_flops=30M"], "--target-flops and target_flops="),
        (["grid", "--baseline", "mobilenet_v2", "baseline=efficientnet_b1"], "--baseline and baseline="),
        (["grid", "debug=tiny", "proxy=medium"], "debug=tiny sets the proxy itself"),
        (["grid", "--name", "../up", "data=synthetic"], "name"),
        (["grid", "--name", "a/b", "data=synthetic"], "name"),
        (["grid", "runs_dir=/dev/null/runs", "data=synthetic"], "in the way"),
        (["grid", "engine.slots=100000", "data=synthetic"], "slots"),
        (["grid", "engine=serial", "engine.slots=2"], "one trial at a time"),
        (["cost", "efficientnet_b0", "--resolution", "31"], "total stride"),
        (["cost", "efficientnet_b0", "--resolution", "many"], "--resolution"),
        (["cost"], "Missing argument"),
        (["cost", "x", "--nope"], "--nope"),
        (["fly"], "fly"),
        (["resume", "absent"], "a run is a folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input_is_one_line_and_exit_2(run: Run, tmp_path: Path, arguments: list[str], words: str) -> None:
    code, out, err = run(*arguments)
    assert code == 2
    assert words in err
    assert is_one_line(err), err
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_an_impossible_constraint_shows_the_closest_candidates(run: Run, tmp_path: Path) -> None:
    code, _, err = run("grid", "tolerance=0.0000001", "step=0.2", "--plan")
    assert code == 2
    first, *table = err.splitlines()
    assert "at the nearest: alpha" in first
    assert "raise tolerance" in first
    assert len(table) == 6
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault(29)
def test_a_broken_picture_is_named_before_anything_is_written(run: Run, tmp_path: Path) -> None:
    from PIL import Image

    pictures = tmp_path / "pictures"
    for label in ("cat", "dog"):
        (pictures / label).mkdir(parents=True)
        for index in range(12):
            Image.new("RGB", (32, 32), (index * 9, 0, 0)).save(pictures / label / f"{index}.jpg")
    (pictures / "dog" / "3.jpg").write_bytes((pictures / "dog" / "3.jpg").read_bytes()[:200])
    code, _, err = run(
        "grid", "--data", str(pictures), "debug=tiny", "engine=serial", f"data.cache_dir={tmp_path}/cache"
    )
    assert code == 2
    assert "dog/3.jpg" in err
    assert not (tmp_path / "runs").exists()
    assert err.splitlines()[-1].startswith("error: ") or err.count("error: ") == 1


@pytest.mark.fault(30)
def test_one_class_is_refused_before_ray_starts(run: Run, tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "pictures" / "cat").mkdir(parents=True)
    for index in range(12):
        Image.new("L", (32, 32), index).save(tmp_path / "pictures" / "cat" / f"{index}.png")
    code, _, err = run("grid", "--data", "pictures", "debug=tiny")
    assert (code, is_one_line(err)) == (2, True)
    assert "class" in err
    assert not (tmp_path / "runs").exists()
    assert "ray" not in sys.modules or not sys.modules["ray"].is_initialized()


def test_runs_of_an_empty_folder(run: Run) -> None:
    assert run("runs")[:2] == (0, "no runs in runs\n")
    assert json.loads(run("runs", "--json")[1]) == []


def test_no_terminal_no_colour_and_the_c_locale(tmp_path: Path) -> None:
    environment = {**os.environ, "LC_ALL": "C", "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "scalesearch", "grid", "--data", "héé", "--target-flops", "400M"]
    done = subprocess.run(command, capture_output=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: --data takes")
    assert b"\x1b[" not in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m scalesearch grid --plan --target-flops 400M | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout.splitlines()[-1] == "0"
    assert "Traceback" not in done.stderr
