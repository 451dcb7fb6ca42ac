"""Row 28: more resources than there are, refused before anything starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fault_records import Tally


@pytest.mark.fault(28, repeat=2)
@pytest.mark.parametrize("engine", ["ray", "tune"])
@pytest.mark.parametrize("asked", ["slots=99", "cpus_per_trial=999", "gpus_per_trial=99", "slots=3"])
def test_more_than_there_is(engine: str, asked: str, tally: Tally, tmp_path: Path) -> None:
    more = ["engine.cpus_per_trial=999"] if asked == "slots=3" else []
    command = [sys.executable, "-m", "scalesearch", "grid", "--data", "synthetic", f"engine={engine}"]
    command += [f"engine.{asked}", *more]
    environment = os.environ | {"SCALESEARCH_CACHE": str(tmp_path / "cache")}
    # Ray itself would wait for ever
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "must fit on this machine" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "runs").exists()
