"""Rows 10 and 11: signals to the driver's process group, as a terminal and a batch system send them."""

import random
import signal
import time
from pathlib import Path

import pytest
from drivers import Place
from fault_records import Tally, many
from witness import stored_rows

SLOW = pytest.mark.slow
ENGINES = ["serial", pytest.param("ray", marks=SLOW), pytest.param("tune", marks=SLOW)]


def stop(place: Place, number: int, code: int, tally: Tally, *, twice: bool = False) -> None:
    """Stop a driver between two commits, then let another go on to the end."""
    driver = place.start(seconds=random.uniform(0.01, 0.2))
    driver.read_until("done", random.randint(1, place.trials // 3))
    driver.signal(number)
    if twice:
        time.sleep(random.uniform(0, 0.3))
        driver.signal(number)
    # a second one that comes while Python ends kills it: a shell says 130 of that too
    _, err = driver.wait(code, *([-number] if twice else []))
    said = f"error: interrupted by signal {number}\n"
    assert err == said or (twice and err == ""), err  # the first may have been enough
    tally.measure("orphans_s", driver.wait_for_orphans())
    driver.sweep()
    assert 0 < place.see() < place.trials
    place.finish()
    place.count(tally)
    assert len(stored_rows(place.ledger)) == place.trials


@pytest.mark.fault(10)
@pytest.mark.parametrize("engine", ENGINES)
def test_ctrl_c_once(engine: str, tally: Tally, tmp_path: Path) -> None:
    for number in range(many(1, 3)):
        stop(Place(tmp_path / str(number), engine), signal.SIGINT, 130, tally)


@pytest.mark.fault(10)
@pytest.mark.parametrize("engine", ENGINES)
def test_ctrl_c_twice(engine: str, tally: Tally, tmp_path: Path) -> None:
    for number in range(many(1, 3)):
        stop(Place(tmp_path / str(number), engine), signal.SIGINT, 130, tally, twice=True)


@pytest.mark.fault(11)
@pytest.mark.parametrize("engine", ENGINES)
def test_sigterm(engine: str, tally: Tally, tmp_path: Path) -> None:
    for number in range(many(1, 5)):
        stop(Place(tmp_path / str(number), engine), signal.SIGTERM, 143, tally)
