"""`scalesearch train` from end to end: what it leaves, what it survives, what it refuses."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from scalesearch.arch.spec import NetSpec, StageSpec
from scalesearch.emit.weights import load_weights, save_weights
from scalesearch.nets.build import build_net
from scalesearch.report.stalls import PulseWatch
from scalesearch.studies import train as train_study
from scalesearch.train import long_run
from scalesearch.train.checkpoint import read_checkpoint

Run = Callable[..., tuple[int, str, str]]

NET = NetSpec(
    name="small", resolution=16, stem_width=8,
    stages=(
        StageSpec("mbconv", 3, 2, 12, 2, expansion_ratio=3, se_ratio=0.25),
        StageSpec("mbconv", 5, 2, 16, 2, expansion_ratio=3, se_ratio=0.25),
    ),
    head_width=48, num_classes=4, in_channels=1, stem_stride=1,
)  # fmt: skip
DATA = [
    "--data", "synthetic", "data.size=400", "data.classes=4", "data.side=16", "data.channels=1",
    "recipe.batch_size=32", "data.cache_dir=cache",
]  # fmt: skip


@pytest.fixture(autouse=True)
def net_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A spec in the folder in which commands run."""
    monkeypatch.chdir(tmp_path)
    Path("net.json").write_text(NET.to_json())


def in_a_process(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "scalesearch", *arguments]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_epoch(process: "subprocess.Popen[str]", epoch: int) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(f"[epoch {epoch}/"):
            return
    pytest.fail("the training ended early")


def weights(name: str) -> dict[str, torch.Tensor]:
    return load_weights(Path(f"runs/train/{name}/weights.safetensors"), NET)


def test_everything_it_leaves_and_resume_of_a_finished_run(run: Run) -> None:
    code, out, err = run(
        "train", "net.json", *DATA, "--epochs", "3", "--name", "a", "keep=2", "tensorboard=true", "--json"
    )
    assert code == 0, err
    summary = json.loads(out)
    folder = Path("runs/train/a")
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {
        "last.pt", "best.pt", "epoch-00002.pt", "epoch-00003.pt",
    }  # fmt: skip
    rows = list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert {"train_loss", "val_accuracy", "learning_rate", "images_per_second", "seconds"} <= set(rows[0])
    assert summary == json.loads((folder / "summary.json").read_text())
    assert summary["exported"]["val_accuracy"] == float(rows[-1]["val_accuracy"])
    assert summary["test"]["part"] == "validation"
    assert "no test part at hand" in summary["test"]["note"]
    assert list((folder / "tensorboard").iterdir())
    assert "images/s" in err
    assert "left" in err
    digest = (folder / "weights.safetensors.sha256").read_text().split()[0]
    assert digest == summary["weights_sha256"]
    # the exported network is the judged one
    saved = read_checkpoint(folder / "checkpoints" / "last.pt")["average"]
    assert all(torch.equal(tensor, saved[f"module.{name}"]) for name, tensor in weights("a").items())
    before = (folder / "weights.safetensors").stat().st_mtime_ns
    code, out, err = run("resume", "runs/train/a", "--json")
    assert (code, json.loads(out)) == (0, summary)
    assert "finished already" in err
    assert (folder / "weights.safetensors").stat().st_mtime_ns == before
    assert "train" in run("runs")[1]


def test_kill_9_and_ctrl_c_lose_no_finished_epoch(run: Run) -> None:
    recipe = ["recipe.drop_path=0.2", "recipe.augment.operations=1", "recipe.augment.mixup=0.2"]
    command = ["train", "net.json", *DATA, *recipe, "--epochs", "8", "--name"]
    assert run(*command, "whole")[0] == 0
    process = in_a_process(*command, "hurt")
    wait_for_epoch(process, 2)
    process.kill()
    process.communicate()
    done = len(read_checkpoint(Path("runs/train/hurt/checkpoints/last.pt"))["rows"])
    assert done >= 2
    process = in_a_process("resume", "runs/train/hurt")
    wait_for_epoch(process, done + 1)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "scalesearch resume" in err
    assert "Traceback" not in err
    code, _, err = run("resume", "runs/train/hurt")
    assert code == 0, err
    whole, hurt = weights("whole"), weights("hurt")
    assert all(torch.equal(whole[name], hurt[name]) for name in whole)
    ends = [json.loads(Path(f"runs/train/{name}/summary.json").read_text()) for name in ("whole", "hurt")]
    assert ends[0]["test"]["accuracy"] == ends[1]["test"]["accuracy"]


def test_transfer_from_other_classes(run: Run) -> None:
    save_weights(build_net(NET, num_classes=9), Path("w.safetensors"))
    start = ["--init", "w.safetensors", "--epochs", "2", "recipe.freeze_epochs=1"]
    code, _, err = run("train", "net.json", *DATA, *start, "--name", "t")
    assert code == 0, err
    assert "its classifier of 9 classes replaced" in err
    assert weights("t")["classifier.weight"].shape[0] == 4


def test_a_trained_network_is_emitted_with_its_data_and_recipe(run: Run) -> None:
    assert run("train", "net.json", *DATA, "--epochs", "1", "--name", "t")[0] == 0
    assert run("emit", "train/t", "--out", "out")[0] == 0
    card = Path("out/README.md").read_text()
    summary = json.loads(Path("runs/train/t/summary.json").read_text())
    assert "The weights are trained." in card
    for fact in (
        "small.name | synthetic |",
        "small.train pictures | 360 |",
        f"small.normalisation.mean | [{summary['normalisation']['mean'][0]}",
        "small.epochs | 1 |",
        "small.optimizer | adamw |",
        "small.test.accuracy",
        summary["weights_sha256"],
    ):
        assert fact in card.replace("\\", ""), fact
    assert str(Path.cwd()) not in card
    emitted, trained = load_weights(Path("out/small.safetensors"), NET), weights("t")
    assert all(torch.equal(emitted[name], tensor) for name, tensor in trained.items())
    # the same weights by name say the same of themselves
    path = "runs/train/t/weights.safetensors"
    assert run("emit", "runs/train/t/spec.json", "--out", "again", "--weights", path)[0] == 0
    assert "small.train pictures | 360 |" in Path("again/README.md").read_text().replace("\\", "")


def test_progressive_pictures_grow(run: Run) -> None:
    code, _, err = run(
        "train", "net.json", *DATA, "recipe=progressive", "--epochs", "4", "recipe.warmup_epochs=1", "--name", "p"
    )
    assert code == 0, err
    rows = list(csv.DictReader(Path("runs/train/p/metrics.csv").read_text().splitlines()))
    assert [row["resolution"] for row in rows] == ["8", "11", "13", "16"]


def test_resume_refuses_what_changes_the_result(run: Run) -> None:
    command = ["train", "net.json", *DATA, "--epochs", "1", "--name", "r"]
    assert run(*command)[0] == 0
    code, _, err = run(*command, "seed=3")
    assert code == 2
    assert "seed: 0 -> 3" in err
    code, _, err = run("resume", "runs/train/r", "recipe.learning_rate=1")
    assert code == 2
    assert "settings that change no result" in err


def test_the_watch_for_stalls_hears_every_step_and_epoch(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[object] = []

    class Recorder(PulseWatch):
        def start(self) -> None:
            heard.append("start")

        def beat(self, *, round_ended: bool = False) -> None:
            heard.append(round_ended)

        def close(self) -> None:
            heard.append("close")

    monkeypatch.setattr(train_study, "PulseWatch", Recorder)
    monkeypatch.setattr(long_run, "_STEP_SECONDS", 0.0)
    assert run("train", "net.json", *DATA, "--epochs", "2", "--name", "r")[0] == 0
    assert (heard[0], heard[-1]) == ("start", "close")
    assert heard.count(True) == 2
    assert heard.count(False) > 2


@pytest.mark.fault(14, engine="serial", repeat=2)
@pytest.mark.parametrize("damage", ["flipped", "torn", "empty", "foreign"])
def test_broken_checkpoints_are_refused(run: Run, damage: str) -> None:
    process = in_a_process("train", "net.json", *DATA, "--epochs", "60", "--name", "b")
    wait_for_epoch(process, 1)
    process.kill()
    process.communicate()
    path = Path("runs/train/b/checkpoints/last.pt")
    if damage == "foreign":
        assert run("train", "net.json", *DATA, "--epochs", "1", "seed=7", "--name", "other")[0] == 0
        path.write_bytes(Path("runs/train/other/checkpoints/last.pt").read_bytes())
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes({"flipped": bytes(content), "torn": bytes(content[:999]), "empty": b""}[damage])
    others = {
        file: file.read_bytes()
        for file in Path("runs/train/b").rglob("*")
        # the note of the driver that was killed is taken away, and the log goes on
        if file.is_file()
        and file.suffix not in (".pt", ".db-shm", ".db-wal")
        and file.name not in ("driver.json", "events.jsonl")
    }
    code, _, err = run("resume", "runs/train/b")
    assert code == 2
    whole = f"checkpoint {path.absolute()} must be whole"
    assert ("goes on from a checkpoint of its own (identity" if damage == "foreign" else whole) in err
    assert "error: " in err.splitlines()[-1]
    assert damage == "foreign" or err.count("\n") == 1
    assert {file: file.read_bytes() for file in others} == others


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "unknown network"),
        (["net.json", "--epochs", "0"], "recipe.epochs must lie in"),
        (["net.json", "--resolution", "3"], "at least the total stride of small, 4 px"),
        (["net.json", "num_classes=10"], "the network must have the 4 classes of synthetic, got 10"),
        (["seven.json"], "the network must have the 4 classes of synthetic, got 7; set num_classes=4"),
        (
            ["net.json", "recipe=tiny"],
            "unknown choice for recipe, got 'tiny'; choose from cifar, imagenet, progressive, quick",
        ),
        (["net.json", "recipe=no"], "unknown choice"),
        (["net.json", "recipe.learning_rat=1"], "did you mean recipe.learning_rate"),
        (["net.json", "recipe.schedule=linear"], "unknown schedule"),
        (["net.json", "recipe.augment.mixup=-1"], "recipe.augment.mixup must lie in"),
        (["net.json", "recipe.freeze_epochs=1"], "freeze_epochs is for weights"),
        (["net.json", "recipe.growth.stages=9"], "growth.stages must be at most the 5 epochs"),
        (["net.json", "recipe.growth.stages=2", "recipe.growth.resolution=0.1"], "total stride, 4 px"),
        (["net.json", "--init", "absent.safetensors"], "must be a readable file"),
        (["net.json", "--init", "net.json"], "must be a whole safetensors file"),
        (["net.json", "--init", "other.safetensors"], "other.safetensors must hold the weights of small, got"),
        (["net.json", "--init", "flipped.safetensors"], "the sha256 of flipped.safetensors must be the one"),
        (["net.json", "--workers", "0"], "workers must lie in 1..1024"),
        (["net.json", "--workers", "3"], "divided equally between 3 workers"),
        (["net.json", "device=tpu"], "unknown device"),
        (["net.json", "export=first"], "unknown export"),
        (["net.json", "--name", "../x"], "a run's name must be"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_leaves_nothing(run: Run, arguments: list[str], message: str) -> None:
    Path("seven.json").write_text(NET.with_(num_classes=7).to_json())
    save_weights(build_net(NET.with_(stem_width=16)), Path("other.safetensors"))
    save_weights(build_net(NET), Path("flipped.safetensors"))
    content = bytearray(Path("flipped.safetensors").read_bytes())
    content[-1] ^= 1
    Path("flipped.safetensors").write_bytes(bytes(content))
    code, out, err = run("train", *arguments, *DATA)
    assert code == 2, err
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert out == ""
    assert not Path("runs").exists()


def test_the_test_part_is_looked_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    for part, count in (("train", 20), ("test", 6)):
        for label, shade in (("dark", 40), ("light", 210)):
            Path(f"pets/{part}/{label}").mkdir(parents=True)
            for item in range(count):
                Image.new("L", (16, 16), shade + item).save(f"pets/{part}/{label}/{item}.png")
    calls: list[int] = []
    from scalesearch.studies import train_files

    whole = train_files.load_test_part
    monkeypatch.setattr(train_files, "load_test_part", lambda *a, **k: calls.append(1) or whole(*a, **k))
    own = ["num_classes=2", "recipe.batch_size=8", "data.cache_dir=cache"]
    code, out, err = run("train", "net.json", "--data", "pets", *own, "--epochs", "8", "--name", "f", "--json")
    assert code == 0, err
    test = json.loads(out)["test"]
    assert (test["part"], test["pictures"], len(calls)) == ("test", 12, 1)
    assert test["accuracy"] == 1.0
    assert run("resume", "runs/train/f")[0] == 0
    assert len(calls) == 1


@pytest.mark.skipif(not Path("/usr/share/datasets/fashion-mnist").is_dir(), reason="needs Debian's Fashion-MNIST")
def test_fashion_mnists_test_part(tmp_path: Path) -> None:
    from scalesearch.data.fashion_mnist import CLASS_NAMES
    from scalesearch.data.prepared import PreparedData
    from scalesearch.data.settings import DataSettings
    from scalesearch.data.test_part import load_test_part

    data = PreparedData("", "fashion_mnist", "", 28, 1, CLASS_NAMES, 1, 1, 28)
    part = load_test_part(DataSettings("fashion_mnist", cache_dir=str(tmp_path)), data)
    assert part is not None
    assert part.images.shape == (10_000, 28, 28, 1)
    assert [int((part.labels == label).sum()) for label in range(10)] == [1000] * 10
    assert part.labels[:6].tolist() == [9, 2, 1, 1, 6, 1]


def test_shards_are_streamed(run: Run) -> None:
    import io

    import numpy as np
    from PIL import Image

    from scalesearch.data.shards import write_shards
    from scalesearch.data.source import EncodedPictures, Index
    from scalesearch.data.splits import stratified_holdout

    labels = np.arange(80) % 2
    files = []
    for label in labels:
        buffer = io.BytesIO()
        Image.new("L", (16, 16), 40 + 170 * int(label)).save(buffer, "JPEG")
        files.append(buffer.getvalue())
    pictures = EncodedPictures(Index(("dark", "light"), labels), [""] * 80, files.__getitem__)
    write_shards(pictures, stratified_holdout(labels, 0.25, 0), Path("s"), channels=1, native_side=16)
    command = ["train", "net.json", "stream=s", "num_classes=2", "recipe.batch_size=16", "--epochs", "6", "--json"]
    code, out, err = run(*command, "--name", "s")
    assert code == 0, err
    summary = json.loads(out)
    assert (summary["data"], summary["n_train"], summary["n_val"]) == ("s", 60, 20)
    assert summary["exported"]["val_accuracy"] == 1.0
    code, _, err = run("train", "net.json", "stream=nothing", "--name", "n")
    assert (code, err.count("\n")) == (2, 1)
    assert "must hold a whole shards.json" in err
