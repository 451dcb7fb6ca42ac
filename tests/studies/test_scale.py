"""`scalesearch scale` from end to end, in process: files, runs that it starts from, bad input."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import scalesearch as ss
from scalesearch.arch.iso_cost import plan_candidates
from scalesearch.config import compose, grid_settings, to_yaml
from scalesearch.store.run_folder import RunFolder
from scalesearch.studies.grid_plan import plan_grid

Run = Callable[..., tuple[int, str, str]]
FILES = {"family.csv", "summary.json", "config.yaml", "specs"}


def grid_run(runs: Path, name: str, *overrides: str, finished: bool = True, ties: int = 0) -> dict[str, object]:
    """A grid as `scalesearch grid` leaves it, its winner chosen here; returns the winner's entry."""
    values = compose("grid", ["data=synthetic", "step=0.1", *overrides])
    settings = grid_settings(values)
    plan = plan_grid(settings)
    won = next(candidate for candidate in plan_candidates(plan.baseline, settings.iso_cost).kept if candidate.region)
    c = won.coefficients
    entry = {"alpha": c.alpha, "beta": c.beta, "gamma": c.gamma, "fingerprint": won.fingerprint, "macs": won.cost.macs}
    with RunFolder.plan(runs, "grid", name).open(settings.identity(), to_yaml(values)) as folder:
        baseline = {"name": plan.baseline.name, "fingerprint": plan.baseline.fingerprint}
        verdict = {"winner": entry, "ties": [entry] * ties, "enough_evidence": not ties}
        folder.write_json("summary.json", {"verb": "grid", "baseline": baseline, "ratio": 2.0} | verdict)
        if finished:
            folder.finish()
    return entry


def search_run(runs: Path, name: str, best: ss.NetSpec) -> None:
    with RunFolder.plan(runs, "search", name).open({}, "{}\n") as folder:
        folder.write_text("best.json", best.to_json())
        folder.write_json("summary.json", {"verb": "search"})
        folder.finish()


def test_the_family_on_disk(run: Run, tmp_path: Path) -> None:
    code, out, err = run("scale", "--phi", "-1:2", "--name", "first")
    folder = tmp_path / "runs/scale/first"
    assert (code, err) == (0, "")
    assert {path.name for path in folder.iterdir()} == FILES
    summary = json.loads((folder / "summary.json").read_text())
    with (folder / "family.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["phi"]) for row in rows] == [-1, 0, 1, 2]
    assert {path.name for path in (folder / "specs").iterdir()} == {Path(row["spec"]).name for row in rows}
    for row, entry in zip(rows, summary["members"], strict=True):
        spec = ss.load_spec(folder / row["spec"])
        assert spec.fingerprint == row["fingerprint"] == entry["fingerprint"]
        assert ss.cost_of(spec).macs == int(row["macs"]) == entry["macs"]
        assert row["depths"] == " ".join(map(str, spec.depths))
        assert (spec.dropout, spec.drop_path) == (float(row["dropout"]), float(row["drop_path"]))
        assert row["fvcore_macs"] == row["latency_ms"] == ""
        assert spec.name in out
    assert summary["coefficients"] == {
        "alpha": 1.2,
        "beta": 1.1,
        "gamma": 1.15,
        "nominal_product": 1.2 * 1.1**2 * 1.15**2,
    }
    assert "B1 to B7 are another table" in out


def test_budgets_as_json_with_fvcore_and_latency(run: Run) -> None:
    code, out, err = run(
        *("scale", "--baseline", "tinynet_e", "--rule", "fast", "--budgets", "10M,40M", "--fvcore", "--latency"),
        *("--json", "--name", "x", "timing.repeats=3"),
    )
    summary = json.loads(out)
    assert code == 0
    assert "fvcore counts tinynet_e_10M" in err
    for row, budget in zip(summary["members"], (10e6, 40e6), strict=True):
        assert row["macs"] == row["fvcore_macs"] == pytest.approx(budget, rel=0.02)
        assert 0 < row["latency_p25_ms"] <= row["latency_ms"] <= row["latency_p75_ms"]
    assert summary["latency_measured"]["repeats"] == 3
    code, out, _ = run("scale", "--baseline", "tinynet_e", "--phi", "0", "--fvcore", "--latency", "timing.repeats=2")
    assert (code, "fvcore MACs" in out, "24,356,848" in out, "median of 2 forward passes" in out) == (0, *[True] * 3)


def test_nominal_prints_the_papers_ratios(run: Run) -> None:
    code, out, _ = run(
        "scale", "--phi", "1:7", "--solve", "nominal", "--alpha", "1.2", "--beta", "1.1", "--gamma", "1.15"
    )
    assert code == 0
    for ratio in ("2.573x", "4.693x", "8.426x", "16.38x", "29.48x", "52.08x", "102.8x"):
        assert f" {ratio} " in out


def test_from_a_grid(run: Run, tmp_path: Path) -> None:
    won = grid_run(tmp_path / "elsewhere", "g")
    code, out, _ = run("scale", "--from", "grid/g", "--phi", "0:3", "--runs-dir", "elsewhere", "--name", "f", "--json")
    summary = json.loads(out)
    assert code == 0
    assert [row["realised_ratio"] for row in summary["members"]] == pytest.approx([1, 2, 4, 8], rel=0.05)
    assert summary["members"][1]["fingerprint"] == won["fingerprint"]
    assert summary["members"][1]["note"] == "the winner itself"
    assert summary["direction"] == "winner of grid/g"
    assert summary["notes"] == []
    assert Path(summary["from_run"]) == tmp_path / "elsewhere/grid/g"
    # the folder itself names the same run, and the released rounding another member at phi = 1
    code, out, _ = run("scale", "--from", "elsewhere/grid/g", "--phi", "1", "depth_rounding=ceil", "--json")
    (member,) = json.loads(out)["members"]
    assert code == 0
    assert member["fingerprint"] != won["fingerprint"]
    assert member["realised_ratio"] == pytest.approx(2, rel=0.03)


def test_from_a_grid_that_is_tied_with_a_rescaled_baseline(run: Run, tmp_path: Path) -> None:
    won = grid_run(tmp_path / "runs", "g", "target_flops=60M", "baseline=mobilenet_v2", ties=2)
    code, out, _ = run("scale", "--from", "grid/g", "--phi", "-1,1", "--json")
    summary = json.loads(out)
    assert code == 0
    assert summary["baseline"]["macs"] == pytest.approx(60e6, rel=0.05)
    assert summary["members"][1]["fingerprint"] == won["fingerprint"]
    assert summary["members"][0]["realised_ratio"] == pytest.approx(0.5, rel=0.02)
    assert summary["notes"] == [
        "the grid names no single winner: 2 other candidates are tied with it; its leading candidate is used"
    ]


def test_from_a_search(run: Run, tmp_path: Path) -> None:
    best = ss.load_spec("mnasnet_a1").with_(name="best")
    search_run(tmp_path / "runs", "s", best)
    code, out, _ = run("scale", "--from", "search/s", "--rule", "fast", "--phi", "0,1", "--json")
    zero, one = json.loads(out)["members"]
    assert code == 0
    assert zero["fingerprint"] == best.fingerprint
    assert one["realised_ratio"] == pytest.approx(2, rel=0.02)


def test_a_published_family_is_printed_and_nothing_written(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("scale", "--family", "efficientnet")
    assert code == 0
    assert "width x1.2 is phi 1.91, depth x1.4 is phi 1.85, 300 px is phi 2.09" in out
    code, out, _ = run("scale", "--family", "lite", "--json")
    assert [row["macs"] for row in json.loads(out)][:2] == [385_187_552, 600_185_232]
    assert list(tmp_path.iterdir()) == []


def test_a_repeated_name(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "runs/scale/x"
    assert run("scale", "--phi", "0,1", "--name", "x")[0] == 0
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert run("scale", "--phi", "0,1", "--name", "x")[0] == 0
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    code, out, err = run("scale", "--phi", "0,2", "--name", "x")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "scale/x holds the result of other settings, got 'phi: 0,1 -> 0,2'" in err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("stranger", ["notes.txt", "specs/mine.json", ".hidden"])
def test_a_folder_with_other_files_is_left_alone(run: Run, tmp_path: Path, stranger: str) -> None:
    path = tmp_path / "runs/scale/x" / stranger
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    for _ in range(2):
        code, _, err = run("scale", "--phi", "0", "--name", "x")
        assert (code, err.count("\n")) == (2, 1)
        assert "must be empty or hold an earlier one" in err
    assert [path] == [found for found in tmp_path.rglob("*") if found.is_file()]
    path.unlink()
    assert run("scale", "--phi", "0", "--name", "y")[0] == 0
    beside = tmp_path / "runs/scale/y" / stranger
    beside.write_text("mine")
    assert run("scale", "--phi", "0", "--name", "y")[0] == 2
    assert beside.read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--phi", ""], "--phi must hold numbers"),
        (["--phi", "a:b"], "--phi must hold numbers"),
        (["--phi", "0:nan"], "--phi must hold numbers"),
        (["--phi", "1,,2"], "--phi must hold numbers"),
        (["--phi", "3:1"], "upwards"),
        (["--phi", "0:1:0"], "upwards"),
        (["--phi", "0:1:2:3"], "START:STOP"),
        (["--phi", "0:1e9"], "1 to 200 members"),
        (["--phi", "2000"], "-1000..1000"),
        (["--phi", "1,1.0"], "twice"),
        (["--budgets", ""], "--budgets must be"),
        (["--budgets", "400M,x"], "--budgets must be"),
        (["--budgets", "-4M"], "--budgets must be"),
        (["--budgets", "400M,400000K"], "twice"),
        (["--budgets", "1K"], "can be scaled along these coefficients to"),
        (["--budgets", "1M", "--rule", "depth_only"], "MACs (phi -1.16 to"),
        (["--phi", "-3", "--rule", "depth_only"], "can be scaled along"),
        (["--phi", "-15", "--solve", "nominal"], "total stride"),
        (["--phi", "-20", "--solve", "nominal", "--rule", "depth_only"], "at least one block"),
        (["--phi", "60", "--solve", "nominal"], "written down"),
        (["--phi", "1", "--budgets", "400M"], "--phi and --budgets contradict"),
        (["--rule", "fast", "--alpha", "1.2", "--beta", "1.1", "--gamma", "1.1"], "--rule and --alpha"),
        (["--alpha", "1.2"], "belong together"),
        (["--alpha", "0", "--beta", "1", "--gamma", "1"], "alpha must be positive"),
        (["--alpha", "1", "--beta", "1", "--gamma", "1"], "so that the family grows"),
        (["--rule", "slow"], "unknown scaling rule"),
        (["--solve", "both"], "unknown way to solve"),
        (["--baseline", "efficientnet_b9"], "did you mean"),
        (["--baseline", "absent.json"], "readable text"),
        (["--from", "grid/absent"], "a run is a folder"),
        (["--family", "resnext"], "unknown published family"),
        (["--family", "lite", "--phi", "1"], "--family prints a published family as it is"),
        (["--family", "lite", "phi=1"], "--family prints"),
        (["--phi", "1", "phi=2"], "--phi and phi="),
        (["no_such=1"], "unknown setting"),
        (["tolerance=0"], "tolerance must"),
        (["--name", "a/b"], "name"),
        (["--runs-dir", "/dev/null/x"], "in the way"),
        (["--phi", "14", "--fvcore"], "run to be measured"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input_is_one_line_and_exit_2(run: Run, tmp_path: Path, arguments: list[str], words: str) -> None:
    code, out, err = run("scale", *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_runs_that_no_family_can_start_from(run: Run, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    grid_run(runs, "half", finished=False)
    grid_run(runs, "done")
    with RunFolder.plan(runs, "axes", "a").open({}, "{}\n") as folder:
        folder.finish()
    for arguments, words in (
        (["grid/half"], "a run must be finished"),
        (["axes/a"], "--from takes a grid or a search"),
        (["grid/done", "--rule", "fast"], "brings its winner's coefficients"),
        (["grid/done", "--alpha", "1.1", "--beta", "1.1", "--gamma", "1.1"], "brings its winner's coefficients"),
        (["grid/done", "--baseline", "mobilenet_v2"], "--from and --baseline"),
    ):
        code, _, err = run("scale", "--from", *arguments)
        assert (code, err.count("\n"), words in err) == (2, 1, True), err
    summary = json.loads((runs / "grid/done/summary.json").read_text())
    summary["winner"]["alpha"] += 0.5
    (runs / "grid/done/summary.json").write_text(json.dumps(summary))
    code, _, err = run("scale", "--from", "grid/done")
    assert (code, "the winner of a run must be the network it trained" in err) == (2, True)
    assert not (runs / "scale").exists()


def test_a_failed_write_leaves_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scalesearch.store import result_folder

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(result_folder, "write_atomic", full)
    code, _, err = run("scale", "--phi", "0", "--name", "x")
    assert (code, "No space left" in err) == (2, True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert not (tmp_path / "runs/scale/x").exists()
