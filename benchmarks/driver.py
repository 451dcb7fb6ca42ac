"""The driver at scale: what a trial of one millisecond costs in ledger, strategy and engine, and whether slots idle.

    python benchmarks/driver.py --trials 10000 --engines serial,ray --work list,random,evolution --json driver.json
    python benchmarks/driver.py --trials 100000 --engines serial --work evolution      # about 7 minutes
    python benchmarks/driver.py --peer             # beside Ray Tune function trainables, in turn
    python benchmarks/driver.py --utilisation      # 12 trials of ten seconds on two slots
    python benchmarks/driver.py --commits          # one commit, in a burst and on its own
    python benchmarks/driver.py --filled           # trials on a ledger that holds none, 10,000 and 100,000 already

A trial sleeps for 1 ms and answers with a made-up accuracy. Work "list" is `execute` on requests that are known from
the start; the others are a search around EfficientNet-B0 with that strategy, through the loop and the log of a real
search. Every result is on disk (WAL, synchronous=FULL) before anything follows from it. Time per trial includes the
millisecond; on an engine with two slots, half of one. It is printed for every tenth of the trials, with the driver's
resident memory at its end: both must be flat.
The driver's processor time (with engine=serial the trial's own too) stays comparable where other work shares the cores
and the disk.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

from rows import Row, add_json, figure, table, write_rows

from scalesearch.arch.catalog import catalog_spec
from scalesearch.arch.points import CostWindow
from scalesearch.arch.space import SpaceSettings, make_space
from scalesearch.arch.spec import NetSpec
from scalesearch.clock import now
from scalesearch.data.prepared import PreparedData
from scalesearch.data.settings import DataSettings
from scalesearch.engine.base import Engine
from scalesearch.engine.create import create_engine
from scalesearch.engine.execute import execute, stream
from scalesearch.engine.ray_engine import RayEngine
from scalesearch.engine.settings import EngineSettings
from scalesearch.objective import SOFT
from scalesearch.report.screen import SilentScreen
from scalesearch.search.problem import Problem
from scalesearch.search.registry import make_strategy
from scalesearch.store import ledger as ledger_module
from scalesearch.store.ledger import Ledger
from scalesearch.studies.baseline_settings import BaselineSettings
from scalesearch.studies.baseline_work import BaselineWork
from scalesearch.studies.evaluators import Evaluator
from scalesearch.studies.search_loop import SearchLoop
from scalesearch.studies.sessions import Session, slot_utilisation
from scalesearch.train.recipe import Recipe
from scalesearch.trial import TrialRecord, TrialRequest, promised_record

BASE: Final = catalog_spec("efficientnet_b0")
DATA: Final = PreparedData("/nowhere", "none", "0" * 16, 32, 3, ("a", "b"), 10, 10, 32)
RECIPE: Final = Recipe()
TARGET: Final = 400_000_000
SECONDS: Final = 0.001
SLOTS: Final = 2


@dataclass(frozen=True)
class Sleep:
    """A trial that sleeps for as many seconds as it is told to."""

    seconds: float = SECONDS

    def __call__(self, request: TrialRequest) -> TrialRecord:
        time.sleep(self.seconds)
        number = int(hashlib.sha256(request.key.encode()).hexdigest()[:8], 16)
        return replace(promised_record(request), accuracy=number / 2**32)


class Requests(Evaluator):
    """Trials without pictures."""

    def request(self, spec: NetSpec, seed: int, epochs: int | None) -> TrialRequest:
        return TrialRequest(spec, RECIPE, DATA, seed)

    @property
    def data(self) -> PreparedData:
        return DATA

    @property
    def max_seeds(self) -> int | None:
        return None


@dataclass
class Watch:
    """Notes time and memory at the end of every tenth."""

    trials: int
    started: float = field(default_factory=time.perf_counter)
    n: int = 0
    marks: list[tuple[float, float]] = field(default_factory=list)  # seconds, MB

    def __call__(self, record: TrialRecord) -> None:
        self.n += 1
        if self.n * 10 // self.trials > len(self.marks):
            self.marks.append((time.perf_counter(), resident_megabytes()))

    @property
    def milliseconds(self) -> list[float]:
        """Per trial, for every tenth."""
        ends = [self.started, *(seconds for seconds, _ in self.marks)]
        return [1e4 * (end - begin) / self.trials for begin, end in pairwise(ends)]


def main() -> None:
    args = arguments()
    rows: list[Row] = []
    if args.peer:
        rows += beside_tune(args.peer_trials, args.repeats)
    if args.utilisation:
        rows += utilisation()
    if args.commits:
        rows += commits(args.repeats)
    if args.filled:
        rows += filled()
    if not (args.peer or args.utilisation or args.commits or args.filled):
        for engine in args.engines.split(","):
            for work in args.work.split(","):
                rows += measured(engine, work, args.trials)
    print(table(rows))
    write_rows(args.json, rows)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_json(parser)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--engines", default="serial,ray", help="with commas between")
    parser.add_argument("--work", default="list,random,evolution", help="list, or names of strategies")
    parser.add_argument("--peer", action="store_true", help="only the comparison with Ray Tune")
    parser.add_argument("--peer-trials", type=int, default=100, help="of Ray Tune, per round")
    parser.add_argument("--repeats", type=int, default=3, help="rounds beside Ray Tune")
    parser.add_argument("--utilisation", action="store_true", help="only how busy slots are")
    parser.add_argument("--commits", action="store_true", help="only what a commit costs")
    parser.add_argument("--filled", action="store_true", help="only trials on ledgers that hold many already")
    args = parser.parse_args()
    if min(args.trials, args.peer_trials) < 10 or args.repeats < 1:
        parser.error("--trials and --peer-trials must be at least 10, --repeats at least 1")
    return args


def measured(name: str, work: str, trials: int) -> list[Row]:
    """Run the trials once and print every tenth."""
    with running(name) as engine, fresh_ledger() as ledger:
        engine.start()
        engine.wait_ready()
        watch = Watch(trials)
        before = resident_megabytes()
        processor = time.process_time()
        run_work(work, trials, engine, ledger, watch)
        seconds, processor = time.perf_counter() - watch.started, time.process_time() - processor
        path = ledger.path
        ledger.close()
        megabytes = sum(file.stat().st_size for file in path.parent.iterdir()) / 1e6
    tenths = watch.milliseconds
    print(f"{name}, {work}: ms per trial by tenth {' '.join(f'{value:.2f}' for value in tenths)}")
    print(f"{name}, {work}: driver MB by tenth {before:.0f} -> {' '.join(f'{mb:.0f}' for _, mb in watch.marks)}")
    label = f"driver, engine={name}, {work}, {trials:,} trials"
    growth = 1e3 * (watch.marks[-1][1] - watch.marks[0][1]) / (0.9 * trials)
    return [
        figure(f"{label}: time per trial", 1e3 * seconds / trials, unit="ms"),
        figure(f"{label}: processor time of the driver per trial", 1e3 * processor / trials, unit="ms"),
        figure(f"{label}: the last tenth (peer: the first)", tenths[-1], tenths[0], unit="ms"),
        figure(f"{label}: memory growth", growth, unit="kB a trial"),
        figure(f"{label}: ledger", megabytes, unit="MB"),
    ]


def run_work(work: str, trials: int, engine: Engine, ledger: Ledger, watch: Callable[[TrialRecord], None]) -> None:
    """Ledger, strategy and engine as a study puts them together."""
    if work == "list":
        requests = [TrialRequest(BASE, RECIPE, DATA, seed) for seed in range(trials)]
        found = execute(requests, engine, ledger, on_record=watch)
        assert found.ran == trials
        return
    settings = BaselineSettings(TARGET, TARGET, DataSettings("none"), strategy=work, trials=trials, minutes=None)
    space = make_space(BASE, SpaceSettings())
    problem = Problem(space, SOFT, TARGET, window=CostWindow("macs", *settings.bounds))
    search = BaselineWork(settings, problem, BASE, Requests(), ledger)
    loop = SearchLoop(search, make_strategy(work, problem), ledger, lambda: trials)
    screen = SilentScreen()
    for record in stream(loop.take, engine, ledger):
        loop.finished(record)
        screen.searching("searching", len(loop.results) - 1, trials, loop.best)
        screen.trained(loop.name(record), 0, record.accuracy, record.seconds, record.error)
        watch(record)
    assert len(loop.results) == trials


def beside_tune(trials: int, repeats: int) -> list[Row]:
    """The same trials as Ray Tune function trainables, on the same Ray and cores, in turn."""
    from ray import tune

    from scalesearch.engine.ray_session import RaySession

    def trainable(config: dict[str, int]) -> None:
        time.sleep(SECONDS)
        tune.report({"accuracy": float(config["seed"])})

    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    session = RaySession(EngineSettings(slots=SLOTS), lambda allotment: None)
    session.start()
    session.wait()
    ours, peers = [], []
    for _ in range(repeats):
        with running("ray") as engine, fresh_ledger() as ledger:
            engine.wait_ready()
            watch = Watch(trials)
            run_work("list", trials, engine, ledger, watch)
            ours.append(1e3 * (time.perf_counter() - watch.started) / trials)
        with tempfile.TemporaryDirectory() as storage:
            tuner = tune.Tuner(
                trainable,
                param_space={"seed": tune.grid_search(list(range(trials)))},
                tune_config=tune.TuneConfig(max_concurrent_trials=SLOTS),
                run_config=tune.RunConfig(storage_path=storage, verbose=0),
            )
            start = time.perf_counter()
            results = tuner.fit()
            peers.append(1e3 * (time.perf_counter() - start) / trials)
            assert len(results) == trials
            assert results.num_errors == 0
    session.close()
    print("ours, ms per trial:", *(f"{value:.2f}" for value in ours))
    print("Ray Tune, ms per trial:", *(f"{value:.1f}" for value in peers))
    name = f"1 ms trials, engine=ray beside Ray Tune function trainables, {trials} trials on {SLOTS} slots"
    return [figure(name, statistics.median(ours), statistics.median(peers), unit="ms a trial", repetitions=repeats)]


def utilisation() -> list[Row]:
    """Time in trials over slots x wall: long trials; and short ones whose results take long to handle."""
    settings = EngineSettings(slots=SLOTS)
    long = busy_share(create_engine(settings, trial_fn=Sleep(10.0)), 12, handling=0.0)
    ours = busy_share(create_engine(settings, trial_fn=Sleep(1.0)), 20, handling=0.3)
    bare = busy_share(RayEngine(settings, trial_fn=Sleep(1.0)), 20, handling=0.3)
    slow = "slots busy, 20 trials of 1 s, 0.3 s to handle each result (peer: nothing waits in the engine)"
    return [
        figure("slots busy, 12 trials of 10 s on 2 slots", long, unit="share of slot time"),
        figure(slow, ours, bare, unit="share of slot time", more_is_better=True),
    ]


def busy_share(engine: Engine, trials: int, *, handling: float) -> float:
    """Utilisation of one engine."""
    with engine, fresh_ledger() as ledger:
        session = Session(now(), SLOTS)
        requests = [TrialRequest(BASE, RECIPE, DATA, seed) for seed in range(trials)]
        found = execute(requests, engine, ledger, on_record=lambda _: time.sleep(handling))
    share = slot_utilisation(found.records, [session])
    assert share is not None
    return share


def commits(repeats: int, number: int = 200) -> list[Row]:
    """One result committed in a burst, beside one that is moved to the main file at once, and four together."""
    records = [promised_record(TrialRequest(BASE, RECIPE, DATA, seed)) for seed in range(number)]
    sides: dict[str, list[float]] = {"burst": [], "each moved": [], "four together": []}
    default = ledger_module._BURST
    for _ in range(repeats):
        for side, taken in sides.items():
            ledger_module._BURST = 0.0 if side == "each moved" else default
            size = 4 if side == "four together" else 1
            with fresh_ledger() as ledger:
                start = time.perf_counter()
                for at in range(0, number, size):
                    ledger.commit_all(records[at : at + size])
                taken.append(1e3 * (time.perf_counter() - start) / number)
    ledger_module._BURST = default
    burst, moved, four = (statistics.median(taken) for taken in sides.values())
    return [
        figure(
            "commit in a burst (peer: moved to the main file each time)", burst, moved, unit="ms", repetitions=repeats
        ),
        figure("commit of four results together (peer: one by one)", four, burst, unit="ms", repetitions=repeats),
    ]


def filled(trials: int = 300) -> list[Row]:
    """Time per trial, serially, on one ledger that is filled in between."""
    record = promised_record(TrialRequest(BASE, RECIPE, DATA, 0))
    rows, held = [], 0
    with fresh_ledger() as ledger, running("serial") as engine:
        for size in (0, 10_000, 100_000):
            for number in range(held, size, 1_000):
                ledger.commit_all([replace(record, key=f"{i:032x}", seed=i) for i in range(number, number + 1_000)])
            held = size
            requests = [TrialRequest(BASE, RECIPE, DATA, 10**6 + size + seed) for seed in range(trials)]
            start, processor = time.perf_counter(), time.process_time()
            execute(requests, engine, ledger)
            seconds, processor = time.perf_counter() - start, time.process_time() - processor
            name = f"1 ms trials on a ledger of {size:,}, engine=serial"
            rows.append(figure(f"{name}: time per trial", 1e3 * seconds / trials, unit="ms", repetitions=trials))
            rows.append(figure(f"{name}: processor time", 1e3 * processor / trials, unit="ms", repetitions=trials))
            megabytes = ledger.path.stat().st_size / 1e6
            rows.append(figure(f"{name}: file", megabytes, unit="MB"))
    return rows


@contextmanager
def running(name: str) -> Iterator[Engine]:
    """An engine for the sleeping trial, closed at the end."""
    settings = EngineSettings(name=name, slots=None if name == "serial" else SLOTS)
    with create_engine(settings, trial_fn=Sleep()) as engine:
        yield engine


@contextmanager
def fresh_ledger() -> Iterator[Ledger]:
    """A ledger in a folder of its own, removed at the end."""
    with tempfile.TemporaryDirectory() as folder, Ledger.create_or_open(Path(folder, "ledger.db")) as ledger:
        yield ledger


def resident_megabytes() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
