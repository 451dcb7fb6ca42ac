"""`scalesearch doctor`: what is fine here, and what it says where something is broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scalesearch.data.settings import DataSettings
from scalesearch.studies import doctor
from scalesearch.studies.doctor import Finding, examine


def findings(tmp_path: Path, data: DataSettings | None = None, runs_dir: str | None = None) -> dict[str, Finding]:
    settings = data or DataSettings("synthetic", cache_dir=str(tmp_path / "cache"))
    return {found.about: found for found in examine(settings, runs_dir or str(tmp_path / "runs"), quick=True)}


def test_a_good_machine_has_nothing_failed_and_is_left_as_it_was(tmp_path: Path) -> None:
    found = findings(tmp_path)
    assert {"python", "cores", "memory", "open files", "disk for runs", "/dev/shm", "runs folder", "clock", "data set",
            "torch", "ray"} <= found.keys()  # fmt: skip
    assert [one for one in found.values() if one.state == "failed"] == []
    assert all(one.way_out for one in found.values() if one.state == "failed")
    assert list(tmp_path.iterdir()) == []


def test_every_trouble_has_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    real = shutil.disk_usage("/")
    (tmp_path / "file").touch()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real._replace(free=1_000_000))
    monkeypatch.setattr(doctor, "_available_memory", lambda: 500_000_000)
    monkeypatch.setattr(doctor.time, "time", lambda: 0.0)
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")
    bad = findings(
        tmp_path, DataSettings("imagefolder", path=str(tmp_path / "absent")), str(tmp_path / "file" / "runs")
    )
    failed = {name for name, one in bad.items() if one.state == "failed"}
    assert failed == {"memory", "disk for runs", "disk for cache", "disk for temporary files", "runs folder", "clock",
                      "data set"}  # fmt: skip
    assert bad["threads"].state == "note"
    assert bad["/dev/shm"].state == "note"
    assert all(one.way_out for one in bad.values() if one.state != "fine")


def test_packages_that_are_absent_old_or_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    versions = {"torch": "1.0", "pandas": None, "ray": None, "timm": None}
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: versions.get(name, real(name)))
    found = {one.about: one for one in doctor._versions()}
    assert (found["torch"].state, "older than" in found["torch"].what) == ("failed", True)
    assert (found["pandas"].state, found["ray"].state, found["timm"].state) == ("failed", "note", "note")
    assert "engine=serial" in found["ray"].way_out
    (tmp_path / "broken.py").write_text("raise OSError('undefined symbol: x')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert (doctor._import("broken").state, doctor._import("broken", "timm").state) == ("failed", "note")
    assert "undefined symbol" in doctor._import("broken").what
    monkeypatch.setattr(doctor, "_IMPORT_TIMEOUT", 0.2)
    (tmp_path / "broken.py").write_text("import time; time.sleep(60)")
    assert "no answer within 0.2 s" in doctor._import("broken").what


@pytest.mark.parametrize(("data", "code"), [("synthetic", 0), ("imagefolder", 1)])
def test_the_command_exits_with_what_it_found(tmp_path: Path, data: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scalesearch", "doctor", "--data", data, "--quick", "--json"], capture_output=True,
        text=True, cwd=tmp_path, env={**os.environ, "SCALESEARCH_CACHE": str(tmp_path / "cache")}, timeout=60,
        check=False,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["fine"]) == (code, code == 0), done
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []
    if code:
        bad = [row for row in answer["findings"] if row["state"] == "failed"]
        assert [row["about"] for row in bad] == ["data set"]


@pytest.mark.slow
def test_everything_with_ray(tmp_path: Path) -> None:
    found = {one.about: one for one in examine(DataSettings("synthetic"), str(tmp_path))}
    assert found["ray starts"].state == "fine", found["ray starts"]
    assert found["import torch"].state == "fine"
