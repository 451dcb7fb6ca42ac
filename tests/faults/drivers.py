"""Starting drivers, hurting them, and seeing that nothing of theirs lives on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from fault_driver import Options
from fault_records import Tally
from witness import audit, note_stored_rows

HERE = Path(__file__).parent
PYTHONPATH = os.pathsep.join([str(HERE), str(HERE.parents[1])])
#: processes of Ray's that look for their parent for a minute more; no trial runs in them
RAYS_AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
#: no driver of these tests needs longer; a hang is a failure
PATIENCE = 500.0


@dataclass
class Place:
    """Where a run and its witness lie, with what is asked of its drivers."""

    folder: Path
    engine: str
    trials: int = 40
    options: dict[str, object] = field(default_factory=dict)
    runs: Path | None = None

    def __post_init__(self) -> None:
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        (self.folder / "data" / "labels").write_bytes(b"x")

    @property
    def run(self) -> Path:
        return (self.runs or self.folder / "runs") / "grid" / "x"

    @property
    def ledger(self) -> Path:
        return self.run / "ledger.db"

    def start(self, environment: dict[str, str] | None = None, **changes: object) -> Driver:
        """Start a driver, in a process group of its own."""
        options = Options(
            folder=str(self.folder), runs=str(self.run.parents[1]), engine=self.engine, seeds=list(range(self.trials))
        )
        return Driver(replace(options, **(self.options | changes)), environment or {})

    def finish(self) -> None:
        """Let a serial driver, which is quickly there, go on to the end; engines continue each other's runs."""
        self.start(engine="serial", engine_settings={}, clock_jumps=0.0).wait(0)

    def count(self, tally: Tally, *, tries: int = 1) -> None:
        """Note tries with what the witness says of them."""
        verdict = audit(self.folder, self.ledger)
        tally.add(lost=verdict.lost, repeated=verdict.repeated, tries=tries)
        assert (verdict.lost, verdict.repeated) == (0, 0), verdict

    def see(self) -> int:
        """Note what is committed now."""
        return note_stored_rows(self.folder, self.ledger)


class Driver:
    """A running driver."""

    def __init__(self, options: Options, environment: dict[str, str]):
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "fault_driver.py"), options.to_json()],
            env=os.environ | {"PYTHONPATH": PYTHONPATH, "RAY_USAGE_STATS_ENABLED": "0"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.family: set[tuple[int, str]] = set()

    def read_until(self, word: str, times: int = 1) -> list[str]:
        """Its lines until `times` of them began with `word`."""
        assert self._process.stdout is not None
        lines = []
        for line in self._process.stdout:
            lines.append(line.rstrip())
            times -= line.startswith(word)
            if times == 0:
                return lines
        raise AssertionError(f"no {word!r} in {lines}; {self._process.stderr and self._process.stderr.read()}")

    def wait(self, *codes: int) -> tuple[str, str]:
        """Its output and errors once it has ended with one of `codes`."""
        out, err = self._process.communicate(timeout=PATIENCE)
        assert self._process.returncode in codes, (self._process.returncode, out[-300:], err)
        assert "Traceback" not in err, err
        return out, err

    def ends_within(self, seconds: float) -> bool:
        """Whether it ends by itself in that time."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.poll() is not None

    @property
    def code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        """To its whole process group, as a terminal does."""
        self.family |= descendants(self.pid)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """kill -9 of the driver alone; its family is known afterwards."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGSTOP)
            self.family |= descendants(self.pid)
            os.kill(self.pid, signal.SIGKILL)
        self._process.communicate()

    def wait_for_orphans(self) -> float:
        """Seconds until nothing of its family lives but Ray's agents; fails where a trial's worker stays."""
        began = time.monotonic()
        while left := [line for line in self._alive().values() if not line.startswith(RAYS_AGENTS)]:
            assert time.monotonic() - began < 30, left
            time.sleep(0.02)
        return time.monotonic() - began

    def sweep(self, *, agents_only: bool = False) -> None:
        """End what a killed driver left, so that tests do not disturb each other."""
        for pid, line in self._alive().items():
            if agents_only and not line.startswith(RAYS_AGENTS):
                continue
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for folder in [] if agents_only else Path("/tmp").glob(f"ssr-{self.pid}-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def _alive(self) -> dict[int, str]:
        """Command lines of its family's living processes; late children of Ray's are found by the folder they name."""
        found = {}
        for pid, (_, ticks, state) in processes().items():
            with suppress(OSError):
                line = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
                mine = (pid, ticks) in self.family or f"/ssr-{self.pid}-" in line
                if mine and state != "Z" and pid != self.pid:
                    found[pid] = line
        return found


def processes() -> dict[int, tuple[int, str, str]]:
    """Parent, start time and state of every process; the start time tells a reused number apart."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            found[int(folder.name)] = (int(fields[1]), fields[19], fields[0])
    return found


def descendants(pid: int) -> set[tuple[int, str]]:
    """Every process below `pid`, with its start time."""
    there, found = processes(), set[int]()
    while fresh := {child for child, (parent, _, _) in there.items() if parent in found | {pid}} - found:
        found |= fresh
    return {(child, there[child][1]) for child in found}
