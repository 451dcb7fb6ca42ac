"""Where only torch, numpy and Pillow are installed: a network is planned, trained and grouped, and gpu.py runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

BLOCKED = """
import sys
ABSENT = {"ray", "optuna", "hydra", "omegaconf", "fvcore", "pandas", "scipy", "matplotlib", "typer", "rich", "filelock",
          "pydantic", "jinja2", "pyarrow", "yaml", "torchvision", "timm", "onnx", "safetensors", "psutil"}
sys.modules.update(dict.fromkeys(ABSENT))  # import and find_spec see them as absent
"""

TRAIN = """
import io, numpy as np
from PIL import Image
from scalesearch.arch.catalog import load_spec
from scalesearch.arch.proxy import ProxySettings, proxy_of
from scalesearch.data.prepare import prepare
from scalesearch.data.settings import DataSettings
from scalesearch.train.grouped_trainer import train_group
from scalesearch.train.recipe import Recipe
from scalesearch.trial import TrialRequest, run_trial

folder = sys.argv[1]
files = []
for number in range(60):
    buffer = io.BytesIO()
    Image.fromarray(np.full((20, 20, 3), 4 * number, dtype=np.uint8)).save(buffer, "JPEG")
    files.append(np.frombuffer(buffer.getvalue(), dtype=np.uint8))
np.savez(folder + "/made.npz", jpeg=np.concatenate(files), offset=np.cumsum([0, *map(len, files)]).astype(np.int64),
         label=np.arange(60) % 2, split=(np.arange(60) >= 40).astype(np.int64), classes=np.array(["a", "b"]))
data = prepare(DataSettings("npz_jpeg", path=folder + "/made.npz", cache_dir=folder), side=16)
spec = proxy_of(load_spec("efficientnet_b0"), baseline_resolution=224, num_classes=2, in_channels=data.channels,
                settings=ProxySettings(width=0.1, resolution=16))
recipe = Recipe(batch_size=8, val_images=None, learning_rate=1e-4)
record = run_trial(TrialRequest(spec, recipe, data, 0), device="cpu")
assert record.status == "done" and record.steps == 5 and record.fvcore_macs is None, record
(alone, other) = train_group(spec, recipe, data, (0, 1), device="cpu")
assert abs(alone.train_loss - record.train_loss) < 0.02, (alone.train_loss, record.train_loss)
"""


def test_a_network_is_trained_with_torch_numpy_and_pillow_alone(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED + TRAIN, str(tmp_path)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow  # half a minute of one core
def test_the_gpu_benchmark_runs_dry_there(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCKED)  # for the processes it starts, too
    target = tmp_path / "rows.json"
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "gpu.py"), "--dry", "--json", str(target)],
        capture_output=True,
        text=True,
        timeout=400,
        env=_environment(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(target.read_text())}
    assert set(next(iter(rows.values()))) == {"name", "ours", "peer", "ratio", "unit", "repetitions", "machine"}
    assert {"trainings per hour, CUDA graph", "trainings per hour, grouped", "trainings per hour, packed 1"} <= set(
        rows
    )
    # on a CPU the same seeds give the same curve, alone and grouped
    assert rows["loss curve, float32, CUDA graph: mean distance"]["ours"] < 1e-4
    assert rows["loss curve, float32, grouped: mean distance"]["ours"] < 0.02
    assert all("CPU (dry)" in row["machine"] for row in rows.values())


def test_without_a_gpu_it_says_so() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "gpu.py")],
        capture_output=True,
        text=True,
        timeout=120,
        env=_environment() | {"CUDA_VISIBLE_DEVICES": ""},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "needs a GPU" in done.stderr


def _environment(*folders: Path) -> dict[str, str]:
    import os

    places = [*map(str, folders), str(BENCHMARKS.parent), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"}
