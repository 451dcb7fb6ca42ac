"""Rows 22 to 27, 30, 35 and 39 of the reliability plan: what a user types or has installed, through the command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_records import Tally

Run = Callable[..., tuple[int, str, str]]


def refused(run: Run, folder: Path, *arguments: str) -> str:
    """The one line of a command that is refused; nothing may be left behind."""
    code, out, err = run(*arguments)
    first = err.splitlines()[0]
    assert (code, out, first.startswith("error: ")) == (2, "", True), (code, out, err)
    assert "Traceback" not in err
    assert list(folder.iterdir()) == []
    return err


@pytest.mark.fault(22)
def test_targets_that_are_no_counts(run: Run, tmp_path: Path, tally: Tally) -> None:
    for text in ("", "4X", "-1", "0", "nan", "1e400", "inf", "M", "4 0 0M", "٤٠٠M", "0x10", "9" * 5000):
        err = refused(run, tmp_path, "grid", "--target-flops", text, "--plan")
        assert "--target-flops must be" in err
        assert err.count("\n") == 1
        tally.tries += 1
    for text in ("400 M", "0.4G"):
        assert run("grid", "--target-flops", text, "--plan", "step=0.5", "max_candidates=2")[0] == 0
        tally.tries += 1


@pytest.mark.fault(23)
def test_targets_out_of_reach_name_what_can_be_reached(run: Run, tmp_path: Path, tally: Tally) -> None:
    for target in ("1", "1K", "100K", "90000T", "1e18"):
        err = refused(run, tmp_path, "grid", "--target-flops", target, "--baseline", "mobilenet_v2", "--plan")
        assert "can be scaled to" in err
        tally.tries += 1


@pytest.mark.fault(24)
@pytest.mark.fault(26)
def test_constraints_that_nothing_meets_show_the_closest(run: Run, tmp_path: Path, tally: Tally) -> None:
    for step in ("0.2", "0.25", "0.3", "0.4", "0.5"):
        err = refused(run, tmp_path, "grid", "tolerance=0.0000001", f"step={step}", "--plan")
        first, *table = err.splitlines()
        assert "at the nearest: alpha" in first
        assert 2 <= len(table) <= 12
        tally.tries += 1


@pytest.mark.fault(25)
def test_resolutions_under_the_minimum(run: Run, tmp_path: Path, tally: Tally) -> None:
    for resolution in ("1", "8", "16", "31", "0"):
        err = refused(run, tmp_path, "cost", "efficientnet_b0", "--resolution", resolution)
        assert "resolution must be" in err
        tally.tries += 1


@pytest.mark.fault(27)
def test_overrides_that_are_bad_or_add_or_delete(run: Run, tmp_path: Path, tally: Tally) -> None:
    bad = ("no_such=1", "+x=1", "++proxy.y=2", "~ratio", "ratio", "proxy=absent", "ratio=[", "hydra.run.dir=x", "=", "")
    for override in bad:
        assert refused(run, tmp_path, "grid", override, "--plan").count("\n") == 1
        tally.tries += 1


@pytest.mark.fault(30)
def test_data_sets_that_are_empty_or_of_one_class(run: Run, tmp_path: Path, tally: Tally) -> None:
    from PIL import Image

    empty, single = tmp_path / "empty", tmp_path / "single"
    empty.mkdir()
    (single / "cat").mkdir(parents=True)
    for index in range(12):
        Image.new("L", (32, 32), index).save(single / "cat" / f"{index}.png")
    before = sorted(tmp_path.rglob("*"))
    for data in (empty, single):
        for engine in ("ray", "serial", "tune"):
            code, _, err = run("grid", "--data", str(data), "debug=tiny", f"engine={engine}", f"runs_dir={tmp_path}/r")
            assert (code, err.count("\n"), "Traceback" in err) == (2, 1, False), err
            tally.tries += 1
    assert sorted(tmp_path.rglob("*")) == before
    assert "ray" not in sys.modules or not sys.modules["ray"].is_initialized()


@pytest.mark.slow
@pytest.mark.fault(35)
def test_torchvision_and_timm_broken(tmp_path: Path, tally: Tally) -> None:
    """Packages that raise while they are imported, as binaries of another torch do."""
    for name in ("torchvision", "timm"):
        (tmp_path / "broken" / name).mkdir(parents=True)
        (tmp_path / "broken" / name / "__init__.py").write_text("raise RuntimeError('operator nms does not exist')\n")
    path = os.pathsep.join([str(tmp_path / "broken"), os.environ.get("PYTHONPATH", "")])
    for arguments, code in (
        (["cost", "efficientnet_b0"], 0),
        (["grid", "--target-flops", "400M", "--plan", "step=0.5", "max_candidates=2"], 0),
        (["emit", "mobilenet_v2", "--out", "torch", "--format", "torch"], 0),
        (["emit", "mobilenet_v2", "--out", "timm", "--format", "timm"], 0),  # text; only its check needs the package
        (["emit", "mobilenet_v2", "--out", "torchvision", "--format", "torchvision"], 0),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "scalesearch", *arguments],
            capture_output=True, text=True, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path}, timeout=240, check=False,
        )  # fmt: skip
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), (arguments, done.stderr)
        tally.tries += 1


@pytest.mark.fault(39)
def test_no_terminal_no_colour_and_the_c_locale(tmp_path: Path, tally: Tally) -> None:
    for environment in ({"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}, {"NO_COLOR": "1"}, {"TERM": "dumb"},
                        {"LC_ALL": "C", "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "0"}):  # fmt: skip
        for arguments, code in ((["cost", "efficientnet_b0"], 0), (["grid", "--data", "h\x1b[31mé"], 2)):
            done = subprocess.run(
                [sys.executable, "-m", "scalesearch", *arguments],
                capture_output=True, cwd=tmp_path, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == code, done.stderr
            assert b"\x1b" not in done.stdout + done.stderr
            assert b"Traceback" not in done.stderr
        tally.tries += 1
