"""Rows 12, 13 and 33: disks that are full, read-only or absent."""

import csv
import json
import os
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from drivers import HERE, Place
from fault_records import Tally, many
from small_disks import Mount
from witness import stored_rows

from scalesearch.arch.spec import NetSpec, StageSpec
from scalesearch.train.checkpoint import read_checkpoint

SLOW = pytest.mark.slow
SIZE = "size=160m"  # a run wants 100 MB to start with
NET = NetSpec("small", 16, 8, (StageSpec("mbconv", 3, 2, 12, 1),), head_width=16, num_classes=2, in_channels=1)


def fill(disk: Path, *, leave: int) -> None:
    """Fill a file system up to `leave` bytes."""
    there = os.statvfs(disk)
    with suppress(OSError):  # a driver may take some of it meanwhile: then it is full, too
        (disk / "ballast").write_bytes(bytes(max(0, there.f_bavail * there.f_bsize - leave)))


@pytest.mark.slow
@pytest.mark.fault(12, engine="serial")
def test_the_disk_fills_up_before_a_checkpoint(mount: Mount, tally: Tally, tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text(NET.to_json())
    train = [
        *("train", "net.json", "--data", "synthetic", "data.size=200", "data.classes=2", "data.side=16"),
        *("data.channels=1", "recipe.batch_size=32", "data.cache_dir=cache", "--epochs", "24", "--name"),
    ]

    def start(*arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "scalesearch", *arguments]
        environment = os.environ | {"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)

    def end(process: "subprocess.Popen[str]", code: int) -> str:
        _, err = process.communicate(timeout=180)
        assert process.returncode == code, err
        assert "Traceback" not in err, err
        return err

    end(start(*train, "whole"), 0)
    whole = rows(tmp_path / "runs" / "train" / "whole")
    for number in range(many(1, 5)):
        disk = mount(f"disk-{number}", SIZE)
        process = start(*train, "hurt", "--runs-dir", str(disk))
        assert process.stderr is not None
        last = random.randint(1, 8)
        for line in process.stderr:
            if line.startswith(f"[epoch {last}/"):
                fill(disk, leave=random.choice([0, 4096, 16384]))
                break
        err = end(process, 2)
        assert "No space left on device" in err.splitlines()[-1], err
        run = disk / "train" / "hurt"
        kept = read_checkpoint(run / "checkpoints" / "last.pt")["rows"]
        assert isinstance(kept, list)
        assert len(kept) >= last
        assert not list(run.rglob("*.tmp"))
        (disk / "ballast").unlink()
        err = end(start("resume", str(run)), 0)
        repeated = sum(f"[epoch {row['epoch']}/" in err for row in kept)
        lost = sum(row not in rows(run) for row in whole)
        tally.add(lost=lost, repeated=repeated)
        assert (lost, repeated) == (0, 0)


def rows(run: Path) -> list[tuple[str, str]]:
    """(epoch, validation accuracy) of the epochs of a training."""
    with (run / "metrics.csv").open() as file:
        return [(row["epoch"], row["val_accuracy"]) for row in csv.DictReader(file)]


@pytest.mark.fault(13)
@pytest.mark.parametrize("engine", ["serial", pytest.param("ray", marks=SLOW)])
def test_the_disk_fills_up_under_the_ledger(engine: str, mount: Mount, tally: Tally, tmp_path: Path) -> None:
    for number in range(many(1, 5)):
        disk = mount(f"disk-{number}", SIZE)
        place = Place(tmp_path / f"witness-{number}", engine, trials=80, runs=disk)
        driver = place.start()
        driver.read_until("done", random.randint(1, 10))
        fill(disk, leave=4096 * random.randint(0, 3))
        _, err = driver.wait(1)
        assert "free some and resume" in err or "check the disk" in err, err  # stopped before, or by the full disk
        assert err.count("\n") == 1, err
        driver.sweep()
        assert 0 < place.see() < 80
        (disk / "ballast").unlink()
        place.finish()
        place.count(tally)
        assert len(stored_rows(place.ledger)) == 80


@pytest.mark.fault(33)
@pytest.mark.parametrize("kind", ["read-only", "file", "nowhere", "not ours"])
def test_output_folders_that_cannot_be(kind: str, mount: Mount, tally: Tally, tmp_path: Path) -> None:
    for number in range(many(1, 2)):
        runs = tmp_path / f"runs-{number}"
        if kind == "read-only":
            runs = mount(runs.name, SIZE)
            mount(runs.name, "ro")
        elif kind == "file":
            runs.write_text("")
        elif kind == "nowhere":
            runs = Path("/proc/nowhere")
        else:
            (runs / "grid" / "x").mkdir(parents=True)
            (runs / "grid" / "x" / "thesis.tex").write_text("")
        place = Place(tmp_path / f"witness-{number}", "serial", runs=runs)
        _, err = place.start().wait(2)
        assert err.startswith("error: "), err
        assert err.count("\n") == 1
        assert not (place.folder / "witness.log").exists(), "nothing was trained"
        tally.tries += 1


def test_the_command_says_the_same(mount: Mount, tmp_path: Path) -> None:
    """A read-only disk stops `scalesearch grid` before any data is read."""
    runs = mount("runs", SIZE)
    mount("runs", "ro")
    command = [sys.executable, "-m", "scalesearch", "grid", "--data", "synthetic", "--runs-dir", str(runs), "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1, json.dumps(done.stderr)
