"""A driver in a process of its own, as a study is: run folder, lock, ledger, interrupts, engine.

    python fault_driver.py '{"folder": ..., "runs": ..., "engine": "ray", "trial": "steady", ...}'

The options are the fields of `Options`. What it says of an error and how it ends is what the CLI does.
"""

from __future__ import annotations

import functools
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import fault_trials
import witness

from scalesearch.engine.create import create_engine
from scalesearch.engine.execute import execute
from scalesearch.engine.interrupts import Interrupts
from scalesearch.engine.settings import EngineSettings
from scalesearch.errors import ScaleSearchError
from scalesearch.store.ledger import Ledger
from scalesearch.store.rows import digest_of, row_of
from scalesearch.store.run_folder import RunFolder
from scalesearch.trial import TrialRecord


@dataclass(frozen=True)
class Options:
    """What to run, and where this process does harm to itself.

    Attributes:
        folder: of the witness.
        runs: runs folder; the run is grid/x in it.
        seeds: one trial each, repetitions included.
        die_before_commit, die_after_commit: kill -9 this process at that commit, counted from 1.
        clock_jumps: the wall clock is set by so many seconds after each commit, at random.
        without_ray: importing Ray fails, as where it is not installed.
    """

    folder: str
    runs: str
    engine: str
    seeds: list[int]
    trial: str = "steady"
    seconds: float = 0.01
    harmed: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    engine_settings: dict[str, Any] = field(default_factory=dict)
    die_before_commit: int = 0
    die_after_commit: int = 0
    clock_jumps: float = 0.0
    without_ray: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class NoRay:
    """Finds modules as Python does, but for Ray."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> object:
        return None if name.partition(".")[0] == "ray" else PathFinder.find_spec(name, path, target)


def die_at(number: int, times: list[int]) -> None:
    times[0] += 1
    if times[0] == number:
        os.kill(os.getpid(), signal.SIGKILL)


def set_clock(jump: float) -> None:
    """Replace the wall clock of this process by one that is off by up to `jump` seconds; monotonic time goes on."""
    off = random.uniform(-jump, jump)
    time.time = functools.partial(lambda real, off: real() + off, REAL_TIME, off)


REAL_TIME: Callable[[], float] = time.time


def main(options: Options) -> int:
    if options.without_ray:
        sys.meta_path[sys.meta_path.index(PathFinder)] = NoRay()  # type: ignore[arg-type, call-overload]
    slots = {} if options.engine == "serial" else {"slots": 2, "cpus_per_trial": 0.5}
    trial = functools.partial(getattr(fault_trials, options.trial), options.folder, options.seconds, options.harmed)
    data = str(Path(options.folder, "data"))  # a cluster gets the data set, so there must be one
    requests = [fault_trials.request(seed, data) for seed in options.seeds]
    commits = [0]
    stores = "commit_all" if "commit_all" in vars(Ledger) else "commit"
    real_commit = getattr(Ledger, stores)

    def commit(ledger: Ledger, records: Any) -> Any:
        die_at(options.die_before_commit, commits)
        return real_commit(ledger, records)

    def committed(record: TrialRecord) -> None:
        if record.status == "done" or record.final:
            witness.note(options.folder, "commit", record.key, digest_of(row_of(record)))
        print("done", record.seed, flush=True)
        if options.clock_jumps:
            set_clock(options.clock_jumps)
        if options.die_after_commit:
            die_at(options.die_after_commit, commits)

    if options.die_before_commit:
        setattr(Ledger, stores, commit)
    if options.clock_jumps:
        set_clock(options.clock_jumps)
    try:
        with RunFolder.plan(options.runs, "grid", "x").open({"trials": "x", **options.settings}) as run:
            print("opened", *run.notices, flush=True)
            settings = EngineSettings(name=options.engine, **(slots | options.engine_settings))
            with Interrupts() as stop, create_engine(settings, trial_fn=trial) as engine:
                got = execute(requests, engine, run.ledger, stop=stop, on_record=committed)
            print("ran", got.ran, "reused", got.reused, flush=True)
            run.finish()
    except ScaleSearchError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    code = main(Options(**json.loads(sys.argv[1])))
    sys.exit(code)
