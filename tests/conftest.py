"""Shared test settings: reproducible property tests, telemetry off, no inherited configuration."""

import os
import sys
from pathlib import Path

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
