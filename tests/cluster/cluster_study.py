"""A study of sleeping trials on a cluster, in this process or as a driver of its own.

python cluster_study.py FOLDER ADDRESS SECONDS TRIALS
"""

import functools
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))
sys.path.insert(0, str(Path(__file__).parents[2]))

import trial_stubs as stubs

from scalesearch.engine.execute import execute
from scalesearch.engine.interrupts import Interrupts
from scalesearch.engine.ray_engine import RayEngine
from scalesearch.engine.settings import EngineSettings
from scalesearch.engine.tune_engine import TuneEngine
from scalesearch.errors import ScaleSearchError
from scalesearch.store.ledger import Ledger
from scalesearch.trial import TrialRecord


class Study:
    """Trials that sleep `seconds` and leave a file each in FOLDER/runs.

    Attributes:
        records: every record that was committed in this process, in order, and `times` when (monotonic seconds).
        engine: made by `run`.
    """

    def __init__(
        self,
        folder: Path,
        address: str,
        *,
        seconds: float,
        trials: int,
        engine_class: type[RayEngine] | type[TuneEngine] = RayEngine,
    ):
        self.folder, self.trials, self._engine_class = folder, trials, engine_class
        for name in ("runs", "data"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        data = replace(stubs.DATA, folder=str(folder / "data"))
        self.requests = [replace(stubs.request(seed), data=data) for seed in range(trials)]
        self.settings = EngineSettings(address=address)
        self.trial_fn = functools.partial(stubs.slow, seconds, str(folder / "runs"))
        self.records: list[TrialRecord] = []
        self.times: list[float] = []
        self.engine: RayEngine | TuneEngine | None = None
        self.began = 0.0

    def run(self, on_record: Callable[["Study"], None] = lambda study: None) -> float:
        """Run what the ledger lacks; returns the seconds from the first trial on."""
        import ray

        ray.cloudpickle.register_pickle_by_value(stubs)

        def note(record: TrialRecord) -> None:
            self.records.append(record)
            self.times.append(time.monotonic())
            on_record(self)

        with (
            self._engine_class(self.settings, trial_fn=self.trial_fn) as self.engine,
            Ledger.create_or_open(self.folder / "ledger.db") as ledger,
            Interrupts() as stop,
        ):
            self.engine.wait_ready()
            self.began = time.monotonic()
            execute(self.requests, self.engine, ledger, on_record=note, stop=stop)
            return time.monotonic() - self.began

    def committed(self) -> list[TrialRecord]:
        """What the ledger holds."""
        with Ledger.create_or_open(self.folder / "ledger.db") as ledger:
            return ledger.records()

    def times_run(self) -> Counter[int]:
        """How often each trial was run to its end, by seed."""
        return Counter(int(path.name.split("-")[0]) for path in (self.folder / "runs").iterdir())


def main(folder: str, address: str, seconds: str, trials: str) -> int:
    study = Study(Path(folder), address, seconds=float(seconds), trials=int(trials))
    try:
        study.run(lambda study: print("done", study.records[-1].seed, flush=True))
    except ScaleSearchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
