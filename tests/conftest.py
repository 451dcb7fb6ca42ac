"""Shared test settings: reproducible property tests, telemetry off, no inherited configuration."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["MPLBACKEND"] = "Agg"
# Ray reads it when it is imported, and replaces 127.0.0.1 by the machine's address without it
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
# because threads that spin while they wait slow each other down tenfold where other work shares the cores
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# helper modules of tests/arch (golden numbers, spec strategies) serve other test folders too
sys.path.insert(0, str(Path(__file__).parent / "arch"))
# and those of tests/faults count the tries of faults wherever they are tested
sys.path.insert(0, str(Path(__file__).parent / "faults"))

pytest_plugins = ["fault_records"]

settings.register_profile(
    "default", deadline=None, derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Run a command in an empty folder; returns exit code, stdout, stderr."""
    from scalesearch.cli import main  # after the settings above

    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["scalesearch", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        out = capsys.readouterr()
        assert isinstance(stop.value.code, int)
        return stop.value.code, out.out, out.err

    return call
