"""A driver in a process of its own, for signals: python driver.py FOLDER ENGINE SECONDS TRIALS."""

import functools
import sys

import trial_stubs as stubs

from scalesearch.engine.create import create_engine
from scalesearch.engine.execute import execute
from scalesearch.engine.interrupts import Interrupts
from scalesearch.engine.settings import EngineSettings
from scalesearch.errors import ScaleSearchError
from scalesearch.store.ledger import Ledger


def main(folder: str, name: str, seconds: str, trials: str) -> int:
    settings = EngineSettings(name=name, **({"slots": 2, "cpus_per_trial": 0.5} if name != "serial" else {}))
    engine = create_engine(settings, trial_fn=functools.partial(stubs.slow, float(seconds), folder))
    requests = [stubs.request(seed) for seed in range(int(trials))]
    with (
        Ledger.create_or_open(f"{folder}/ledger.db") as ledger,
        Interrupts() as stop,
    ):
        try:
            with engine:
                print("starting", flush=True)
                execute(requests, engine, ledger, stop=stop, on_record=lambda r: print("done", r.seed, flush=True))
        except ScaleSearchError as error:
            return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
