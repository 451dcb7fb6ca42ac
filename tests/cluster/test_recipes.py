"""The recipes of docs/cluster.md: as far as they can be checked without a cloud, a Kubernetes or a Slurm."""

import copy
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "docs" / "cluster"
RAY_VERSION = re.search(r"^ray==(\S+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)


def test_ray_up_takes_the_cluster_file() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((RECIPES / "ray_up.yaml").read_text(encoding="utf-8"))
    prepared = prepare_config(copy.deepcopy(config))
    validate_config(prepared)
    assert prepared["max_workers"] == len(config["provider"]["worker_ips"])
    starts = config["head_start_ray_commands"] + config["worker_start_ray_commands"]
    assert all("RAY_AUTH_MODE=token" in line for line in starts)


def test_the_kubernetes_job_has_what_kuberay_asks_for() -> None:
    job = yaml.safe_load((RECIPES / "kuberay.yaml").read_text(encoding="utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert RAY_VERSION is not None
    assert cluster["rayVersion"] == RAY_VERSION[1]
    assert cluster["authOptions"] == {"mode": "token"}
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        assert isinstance(group["rayStartParams"], dict)
        assert all(isinstance(value, str) for value in group["rayStartParams"].values()), "KubeRay takes strings only"
        (container,) = group["template"]["spec"]["containers"]
        assert all(isinstance(entry["value"], str) for entry in container["env"])
        assert container["resources"]["requests"] == container["resources"]["limits"]
    (workers,) = cluster["workerGroupSpecs"]
    assert workers["minReplicas"] == workers["maxReplicas"] == workers["replicas"]
    words = job["spec"]["entrypoint"].split()
    assert words[:2] == ["scalesearch", "grid"]
    assert "--name" in words, "a repeated command continues"


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_slurm_script_is_bash() -> None:
    subprocess.run(["bash", "-n", str(RECIPES / "slurm.sbatch")], check=True)


@pytest.mark.slow
def test_the_slurm_script_runs_where_srun_starts_processes_here(tmp_path: Path) -> None:
    """`srun` and `scontrol` are stand-ins: every "node" is this machine; everything else is the real script."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "scontrol").write_text("#!/bin/bash\nfor _ in 1 2; do hostname -I | cut -d' ' -f1; done\n")
    (tools / "srun").write_text(
        '#!/bin/bash\nwhile [[ $1 == --* ]]; do shift; done\nexec "$@" --object-store-memory=80000000\n'
    )
    for tool in tools.iterdir():
        tool.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SLURM_JOB_ID": str(os.getpid()), "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_NUM_NODES": "2",
        "SLURM_CPUS_PER_TASK": "1", "NAME": "by_slurm",
        "OVERRIDES": f"debug=tiny --data synthetic data.cache_dir={tmp_path}/cache", "RAY_TMPDIR": "/tmp/ray",
    }  # fmt: skip
    environment.pop("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", None)
    said = tmp_path / "stderr"
    with said.open("w") as errors:
        job = subprocess.Popen(
            ["bash", str(RECIPES / "slurm.sbatch")],
            cwd=tmp_path, env=environment, stdout=errors, stderr=errors, start_new_session=True,
        )  # fmt: skip
    try:
        code = job.wait(400)
    finally:  # as Slurm does when the script has ended
        with suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGTERM)
    assert code == 0, said.read_text()[-2000:]
    assert (tmp_path / "runs/grid/by_slurm/summary.json").exists()
