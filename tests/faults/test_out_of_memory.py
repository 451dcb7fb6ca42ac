"""Row 6: a trial takes more memory than there is, and Ray's monitor kills its worker."""

import sqlite3
from contextlib import closing
from pathlib import Path

import fault_trials
import pytest
from drivers import Place
from fault_records import Tally, many
from witness import stored_rows

GIB = 2**30


def used_share(more: int) -> float:
    """The share of this machine's memory that is in use now and with `more` bytes."""
    import psutil

    memory = psutil.virtual_memory()
    if memory.available < more + 3 * GIB:
        pytest.skip("too little free memory to take some away")
    return (memory.total - memory.available + more) / memory.total


@pytest.mark.slow
@pytest.mark.fault(6)
@pytest.mark.parametrize("engine", ["ray", "tune"])
def test_a_trial_that_takes_all_memory(engine: str, tally: Tally, tmp_path: Path) -> None:
    harmed = many(2, 5)
    place = Place(tmp_path, engine, trials=12, options={"trial": "hogs_memory", "harmed": harmed})
    limit = f"{used_share(5 * GIB):.3f}"
    monitor = {"RAY_memory_usage_threshold": limit, "RAY_memory_monitor_refresh_ms": "100"}
    driver = place.start(monitor, engine_settings={"max_attempts": 2})
    driver.wait(0)
    driver.sweep()
    rows = stored_rows(place.ledger)
    done = [fault_trials.request(seed).key in rows for seed in range(place.trials)]
    assert not any(done[1:harmed:2]), "failed, and may be tried again"
    assert any(done)
    with closing(sqlite3.connect(place.ledger)) as connection:
        errors = connection.execute("SELECT error FROM trials WHERE status = 'failed'").fetchall()
    # an innocent one too, where other programs on the machine take memory at the same time
    assert all("memory" in error for (error,) in errors), errors
    place.count(tally, tries=harmed)
    place.start(trial="steady").wait(0)  # with enough memory the rest is made up for, and nothing else
    place.count(tally, tries=0)
    assert len(stored_rows(place.ledger)) == place.trials
