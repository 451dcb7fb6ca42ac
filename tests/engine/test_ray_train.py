"""Several workers: their gradients average to that of the whole batch, and one that dies costs no finished epoch."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing

from scalesearch.arch.spec import NetSpec, StageSpec
from scalesearch.data.prepare import prepare
from scalesearch.data.prepared import PreparedData
from scalesearch.data.settings import DataSettings
from scalesearch.nets.build import build_net
from scalesearch.train.checkpoint import LAST, CheckpointFolder, read_checkpoint
from scalesearch.train.long_recipe import AugmentSettings, LongRecipe
from scalesearch.train.long_run import LongJob, train_long
from scalesearch.train.peers import Peers
from scalesearch.train.supply import MemorySupply

NET = NetSpec(
    name="small", resolution=16, stem_width=8,
    stages=(StageSpec("mbconv", 3, 2, 12, 2, expansion_ratio=3, se_ratio=0.25),),
    head_width=32, num_classes=4, in_channels=1, stem_stride=1, dropout=0.0, drop_path=0.0,
)  # fmt: skip
# a frozen backbone uses its running statistics, so that nothing depends on how a batch is divided
FROZEN = LongRecipe(
    epochs=2, batch_size=32, freeze_epochs=1, learning_rate=0.01, ema_decay=0.9, warmup_epochs=0.5, flip=True,
    augment=AugmentSettings(operations=1, mixup=0.2),
)  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> PreparedData:
    settings = DataSettings("synthetic", size=400, classes=4, side=16, channels=1, cache_dir=str(tmp_path))
    return prepare(settings, side=16)


def worker(rank: int, size: int, port: int, job: LongJob, data: PreparedData, folder: Path) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    if size > 1:
        distributed.init_process_group("gloo", rank=rank, world_size=size)
    supply = MemorySupply.load(data, job.recipe, job.spec.resolution)
    peers = Peers.of_process_group() if size > 1 else Peers()
    result = train_long(job, supply, CheckpointFolder(folder, keep=2), peers=peers)
    torch.save(result.net.state_dict(), folder / f"rank{rank}.pt")
    if size > 1:
        distributed.destroy_process_group()


def run_together(size: int, job: LongJob, data: PreparedData, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    multiprocessing.spawn(worker, args=(size, port, job, data, folder), nprocs=size)


def test_two_workers_train_what_one_trains(data: PreparedData, tmp_path: Path) -> None:
    torch.manual_seed(1)
    init = build_net(NET).state_dict()
    job = LongJob(NET, FROZEN, 0, "this", device="cpu", init=init)
    worker(0, 1, 0, job, data, _made(tmp_path / "one"))
    run_together(2, job, data, tmp_path / "two")
    first = [read_checkpoint(tmp_path / name / "epoch-00001.pt") for name in ("one", "two")]
    # after the frozen epoch, where batch norm sees no batches: equal but for the order of sums
    for key in ("net", "average"):
        for name, tensor in first[0][key].items():
            assert torch.allclose(tensor.double(), first[1][key][name].double(), atol=1e-5), name
    assert first[0]["rows"][0]["train_loss"] == pytest.approx(first[1]["rows"][0]["train_loss"], abs=1e-5)
    assert first[0]["rows"][0]["val_loss"] == pytest.approx(first[1]["rows"][0]["val_loss"], abs=1e-5)
    # afterwards workers have statistics of their own within a step, but hold one network at the end of every epoch
    ranks = [torch.load(tmp_path / "two" / f"rank{rank}.pt", weights_only=True) for rank in range(2)]
    assert all(torch.equal(ranks[0][name], ranks[1][name]) for name in ranks[0])


@pytest.mark.slow
def test_two_workers_resume_bit_for_bit(data: PreparedData, tmp_path: Path) -> None:
    recipe = replace(FROZEN, freeze_epochs=0, dropout=0.2, drop_path=0.2)
    job = LongJob(NET, recipe, 0, "this", device="cpu")
    run_together(2, job, data, tmp_path / "whole")
    again = _made(tmp_path / "again")
    (again / LAST).write_bytes((tmp_path / "whole" / "epoch-00001.pt").read_bytes())
    run_together(2, job, data, again)
    ends = [read_checkpoint(folder / LAST) for folder in (tmp_path / "whole", again)]
    assert all(torch.equal(ends[0]["net"][name], ends[1]["net"][name]) for name in ends[0]["net"])
    assert not torch.equal(ends[0]["random"][0], ends[0]["random"][1]), "each worker drops other paths"


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    command = [
        sys.executable, "-m", "scalesearch", "train", "net.json", "--data", "synthetic", "data.size=2000",
        "data.classes=4", "data.side=16", "data.channels=1", "data.cache_dir=cache", "--workers", "2",
        "recipe.drop_path=0.2", "--name", *arguments,
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def lines_until(process: "subprocess.Popen[str]", start: str) -> list[str]:
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith(start):
            return lines
    pytest.fail("".join(lines))


def workers_of(pid: int) -> list[int]:
    """Ray's training workers below a process."""
    parents, names = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            names[int(folder.name)] = (folder / "cmdline").read_text()
        except OSError:
            continue
    found = {pid}
    while fresh := {child for child, parent in parents.items() if parent in found} - found:
        found |= fresh
    return sorted(child for child in found if "RayTrainWorker" in names.get(child, ""))


@pytest.mark.slow
def test_a_killed_ray_worker_resumes_and_ctrl_c_keeps_the_epoch(tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text(NET.to_json())
    process = start(tmp_path, "whole", "--epochs", "6")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err

    process = start(tmp_path, "hurt", "--epochs", "6")
    lines_until(process, "[epoch 2/")
    victims = workers_of(process.pid)
    assert len(victims) == 2
    os.kill(victims[0], signal.SIGKILL)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "a worker died; all of them go on after epoch" in err
    ends = [read_checkpoint(tmp_path / "runs/train" / name / "checkpoints" / LAST) for name in ("whole", "hurt")]
    assert all(torch.equal(ends[0]["net"][name], ends[1]["net"][name]) for name in ends[0]["net"])

    process = start(tmp_path, "stopped", "--epochs", "200")
    lines_until(process, "[epoch 1/")
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "scalesearch resume" in err
    kept = read_checkpoint(tmp_path / "runs/train/stopped/checkpoints" / LAST)["rows"]
    assert len(kept) >= 1
    summary = json.loads((tmp_path / "runs/train/whole/summary.json").read_text())
    assert summary["workers"] == 2
