"""Signals to a driver in a process of its own: the exit code, what is committed, and that nothing stays behind."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from scalesearch.store.ledger import Ledger

HERE = Path(__file__).parent
PYTHONPATH = os.pathsep.join([str(HERE), str(HERE.parents[1])])


@contextmanager
def driver(folder: Path, engine: str, seconds: float, trials: int) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, str(HERE / "driver.py"), str(folder), engine, str(seconds), str(trials)]
    environment = os.environ | {"PYTHONPATH": PYTHONPATH}
    with (folder / "stderr").open("w") as errors:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def read_until(process: "subprocess.Popen[str]", word: str, times: int = 1) -> list[int]:
    """Read the driver's lines until `word` came `times` times; the seeds it said were done."""
    assert process.stdout is not None
    seeds = []
    for line in process.stdout:
        seeds += [int(line.split()[1])] if line.startswith("done") else []
        times -= line.startswith(word)
        if times == 0:
            break
    return seeds


def descendants(pid: int) -> set[int]:
    """Every process below `pid`."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found: set[int] = set()
    while fresh := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= fresh
    return found


def running(pids: set[int]) -> list[str]:
    """Those of `pids` that still run, by command line."""
    lines = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            lines += [] if state == "Z" else [Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")]
        except OSError:
            continue
    return lines


def wait_for_end(pids: set[int], *, but: tuple[str, ...] = ()) -> list[str]:
    for _ in range(100):
        left = [line for line in running(pids) if not line.startswith(but)] if but else running(pids)
        if not left:
            break
        time.sleep(0.1)
    return left


def committed(folder: Path) -> set[int]:
    with Ledger.create_or_open(folder / "ledger.db") as ledger:
        return {record.seed for record in ledger.records() if record.status == "done"}


def runs(folder: Path, seeds: set[int]) -> Counter[int]:
    """How often the trials of `seeds` were run to their end, by the files they leave."""
    found = Counter(int(path.name.split("-")[0]) for path in folder.glob("[0-9]*-*"))
    return Counter({seed: found[seed] for seed in seeds})


def test_sigterm_ends_ray_cleanly_and_kill_9_loses_nothing_committed(tmp_path: Path) -> None:
    with driver(tmp_path, "ray", 0.05, 400) as process:
        said = read_until(process, "done", 5)
        family = descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        said += read_until(process, "end of output")
        assert process.wait(30) == 143
    assert (tmp_path / "stderr").read_text() == "", "no line of Ray's"
    assert len(family) > 4, "Ray's processes were seen"
    assert wait_for_end(family) == []
    first = committed(tmp_path)
    assert first >= set(said)
    runs_of_first = runs(tmp_path, first)
    assert not list(Path("/tmp").glob(f"ssr-{process.pid}-*"))

    with driver(tmp_path, "ray", 0.05, 400) as process:
        said += read_until(process, "done", 5)
        family = descendants(process.pid)
        process.kill()
    # Ray's own agents notice a minute later; trials must not go on
    left = wait_for_end(family, but=("ray::DashboardAgent", "ray::RuntimeEnvAgent"))
    for pid in family:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for folder in Path("/tmp").glob(f"ssr-{process.pid}-*"):
        shutil.rmtree(folder)
    assert left == []
    kept = committed(tmp_path)
    assert kept >= set(said)

    runs_of_kept = runs(tmp_path, kept)

    # serial continues what ray began; work in flight may be repeated, committed work never is
    with driver(tmp_path, "serial", 0, max(kept) + 5) as process:
        assert process.wait(60) == 0
    assert runs(tmp_path, first) == runs_of_first
    assert runs(tmp_path, kept) == runs_of_kept
    assert committed(tmp_path) == kept | set(range(max(kept) + 5))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_a_serial_run(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with driver(tmp_path, "serial", 0.02, 10_000) as process:
        said = read_until(process, "done", 4)
        process.send_signal(number)
        said += read_until(process, "end of output")
        assert process.wait(20) == code
    assert committed(tmp_path) >= set(said)


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    script = (
        "import time; from scalesearch.engine.interrupts import Interrupts\n"
        "with Interrupts(lambda number: print('signal', flush=True)):\n"
        "    print('ready', flush=True)\n"
        "    for _ in range(600): time.sleep(0.1)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=HERE.parents[1], stdout=subprocess.PIPE, text=True)
    read_until(process, "ready")
    process.send_signal(signal.SIGINT)
    read_until(process, "signal")
    assert process.poll() is None, "the first one is only noted"
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert process.stdout is not None
    process.stdout.close()
