"""Events for the log file and for machines, and stalls that are named."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from scalesearch.arch.catalog import catalog_spec
from scalesearch.data.prepared import PreparedData
from scalesearch.engine.base import Running
from scalesearch.engine.serial_engine import SerialEngine
from scalesearch.report.listeners import EVENTS_FILE, EventLog, Listener, as_json_line
from scalesearch.report.screen import LineScreen, SilentScreen, open_screen
from scalesearch.report.stalls import TIMES, WITHOUT_USUAL, PulseWatch, StallWatch
from scalesearch.store.room import STOPS_BELOW
from scalesearch.train.recipe import Recipe
from scalesearch.trial import TrialRecord, TrialRequest, promised_record

DATA = PreparedData("", "made", "d", 8, 1, ("a", "b"), 4, 2, 8)


def request(seed: int) -> TrialRequest:
    return TrialRequest(catalog_spec("mobilenet_v2"), Recipe(), DATA, seed)


class Kept(Listener):
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def hear(self, event: Any) -> None:
        self.events.append(dict(event))


def test_listeners_hear_what_the_screen_shows(capsys: pytest.CaptureFixture[str]) -> None:
    kept = Kept()
    with LineScreen().listen(kept) as screen:
        screen.planned("a plan", [{"kept": "true"}, {"kept": "false"}], ["care"])
        screen.stage("decoding", 1, 2)
        screen.estimated(2.0, 4, 2, None, "less")
        screen.round(1, 2, 2, 0, 4, None)
        screen.trained("net", 3, 0.5, 1.5, None)
        screen.trained("other", 0, None, None, "diverged at step 3")
    assert [event["event"] for event in kept.events if event["event"] != "said"] == [
        "planned", "stage", "estimated", "round", "trained", "trained", "ended",
    ]  # fmt: skip
    first, second = (event for event in kept.events if event["event"] == "trained")
    assert (first["name"], first["seed"], first["accuracy"], first["done"], first["planned"]) == ("net", 3, 0.5, 1, 4)
    assert second["error"] == "diverged at step 3"
    assert [event["text"] for event in kept.events if event["event"] == "said"][:3] == [
        "a plan", "2 distinct networks, 1 to train", "note: care",
    ]  # fmt: skip
    assert "[1/4] net seed 3: accuracy 0.5000" in capsys.readouterr().err


def test_lines_are_json_whatever_they_hold() -> None:
    event = {
        "time": 1.0,
        "event": "x",
        "a": math.nan,
        "b": math.inf,
        "c": "\ud800\n\x1b",
        "d": "y" * 9999,
        "e": Path("p"),
    }
    line = as_json_line(event)
    read = json.loads(line)
    assert line.count("\n") == 1
    assert line.isascii()
    assert (read["a"], read["b"], read["e"], len(read["d"])) == (None, None, "p", 2000)


def test_the_log_waits_for_the_ledger_and_only_grows(tmp_path: Path) -> None:
    log, file = EventLog(tmp_path, "ledger.db"), tmp_path / EVENTS_FILE
    log.hear({"time": 0.0, "event": "said", "text": "before"})
    assert list(tmp_path.iterdir()) == [], "a folder with anything but a ledger in it is no run"
    (tmp_path / "ledger.db").touch()
    log.hear({"time": 1.0, "event": "stage", "what": "decoding", "done": 1, "total": 2})
    log.hear({"time": 1.0, "event": "stage", "what": "decoding", "done": 2, "total": 2})
    assert [json.loads(line)["event"] for line in file.read_text().splitlines()] == ["said", "stage"]
    before = file.read_bytes() + b'{"torn'
    file.write_bytes(before)
    EventLog(tmp_path, "ledger.db").hear({"time": 2.0, "event": "said", "text": "a second session"})
    assert file.read_bytes().startswith(before)
    assert json.loads(file.read_text().splitlines()[-1])["text"] == "a second session"


def test_a_log_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()
    (tmp_path / EVENTS_FILE).symlink_to(tmp_path / "elsewhere")
    EventLog(tmp_path, "ledger.db").hear({"time": 1.0, "event": "said", "text": "x"})
    assert not (tmp_path / "elsewhere").exists(), "a link in a foreign folder is not followed"


class Busy(SerialEngine):
    """What it runs is set by the test."""

    now: Sequence[Running] = ()

    def running(self) -> Sequence[Running]:
        return self.now


def test_secrets_reach_no_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_TOKEN", "tok-0123456789")
    (tmp_path / "ledger.db").touch()
    with suppress(RuntimeError), LineScreen().listen(EventLog(tmp_path, "ledger.db")) as screen:
        screen.say("trying tok-0123456789")
        raise RuntimeError("x" * 1995 + "tok-0123456789 was refused")
    text = (tmp_path / "events.jsonl").read_text()
    assert text.count("\n") == 2
    assert "tok-0" not in text


def test_a_stall_is_told_once_and_again_when_its_time_has_doubled() -> None:
    engine, usual = Busy(), [10.0]
    watch = StallWatch(engine, lambda: usual[0], print, at_least=1.0)
    start = time.monotonic()
    engine.now = [
        Running(request(0), "host:7", start - 0.5 * TIMES * 10),
        Running(request(1), "host:8", start - TIMES * 10 - 1),
    ]
    (stall,) = watch.look()
    assert (stall.seed, stall.worker, stall.usual) == (1, "host:8", 10.0)
    assert stall.seconds >= TIMES * 10
    assert watch.look() == []
    engine.now = [Running(request(1), "host:8", engine.now[1].since)]
    watch._told = {key: due - 1000 for key, due in watch._told.items()}  # as if the time had passed
    assert len(watch.look()) == 1
    engine.now = [Running(request(1), "host:9", time.monotonic())]  # another attempt begins anew
    assert watch.look() == []


def test_without_any_duration_only_half_an_hour_is_a_stall() -> None:
    engine = Busy()
    watch = StallWatch(engine, lambda: None, print)
    engine.now = [Running(request(0), "h:1", time.monotonic() - WITHOUT_USUAL + 60)]
    assert watch.look() == []
    engine.now = [Running(request(0), "h:1", time.monotonic() - WITHOUT_USUAL)]
    assert watch.look()[0].usual is None


def test_a_training_that_hangs_is_named_while_it_hangs(capsys: pytest.CaptureFixture[str]) -> None:
    """A real engine in one thread, the watch in its own."""
    told, free = threading.Event(), threading.Event()
    kept = Kept()

    def hang(asked: TrialRequest) -> TrialRecord:
        assert told.wait(30)
        free.set()
        return promised_record(asked)

    engine = SerialEngine(trial_fn=hang)
    screen = LineScreen().listen(kept)

    def tell(stall: Any) -> None:
        screen._stalled(stall)
        told.set()

    watch = StallWatch(engine, lambda: 0.001, tell, every=0.01, at_least=0.05)
    watch.start()
    engine.submit(request(5))
    assert engine.next_done() is not None
    watch.close()
    assert free.is_set()
    event = next(event for event in kept.events if event["event"] == "stalled")
    assert (event["name"], event["seed"]) == ("mobilenet_v2", 5)
    assert event["worker"].endswith(f":{os.getpid()}")
    assert "stalled: mobilenet_v2 seed 5 has been on " in capsys.readouterr().err
    assert engine.running() == ()


def test_a_silent_training_is_named_once_and_again_when_its_time_has_doubled(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    kept = Kept()
    watch = PulseWatch("b0", 3, "host:7", LineScreen().listen(kept).silent)
    for seconds in (500.0, 20.0, 1.0):  # the first is the start
        clock[0] += seconds
        watch.beat()
    clock[0] += WITHOUT_USUAL - 1
    assert watch.look() == [], "nothing is usual before an epoch with its validation has ended"
    clock[0] -= WITHOUT_USUAL - 1
    watch.beat(round_ended=True)
    clock[0] += 20 * TIMES - 1
    assert watch.look() == []
    clock[0] += 1
    (stall,) = watch.look()
    assert (stall.name, stall.seed, stall.worker, stall.usual) == ("b0", 3, "host:7", 20.0)
    assert watch.look() == []
    clock[0] += 20 * TIMES
    assert len(watch.look()) == 1
    watch.beat()
    clock[0] += 20 * TIMES
    assert len(watch.look()) == 1, "a stall that is over is not usual"
    watch._tell(stall)
    (event,) = kept.events
    assert (event["event"], event["name"], event["seconds"]) == ("stalled", "b0", 20 * TIMES)
    assert "stalled: b0 seed 3 on host:7 has made no step for 1 min 40 s" in capsys.readouterr().err


def test_json_is_chosen_by_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALESEARCH_PROGRESS", "json")
    assert isinstance(open_screen(), SilentScreen)


def command(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SCALESEARCH_CACHE": str(tmp_path / "cache")}
    return subprocess.run(
        [sys.executable, "-m", "scalesearch", *arguments], capture_output=True, text=True, cwd=tmp_path,
        env=environment, timeout=240, check=False,
    )  # fmt: skip


def test_a_run_writes_events_and_keeps_its_json_on_stdout(tmp_path: Path) -> None:
    done = command(tmp_path, "train", "mobilenet_v2", "debug=tiny", "data=synthetic", "--name", "a", "--json",
                   "--progress", "json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verb"] == "train"
    shown = [json.loads(line) for line in done.stderr.splitlines()]
    log = [json.loads(line) for line in (tmp_path / "runs/train/a" / EVENTS_FILE).read_text().splitlines()]
    assert [event["event"] for event in shown][-1] == "ended"
    assert log == [event for event in shown if event["event"] != "stage" or event["done"] == event["total"]]
    refused = command(tmp_path, "train", "mobilenet_v2", "nothing=1", "--progress", "json")
    event = json.loads(refused.stderr)
    assert (refused.returncode, event["event"], event["exit_code"]) == (2, "error", 2)
    assert "unknown setting" in event["text"]
    assert command(tmp_path, "train", "mobilenet_v2", "--progress", "xml").returncode == 2


def low_disk(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """What the operating system would answer on a nearly full disk."""
    import shutil

    real = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real._replace(free=free))


def test_a_nearly_full_disk_starts_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scalesearch.errors import RunFolderError
    from scalesearch.store.run_folder import RunFolder

    low_disk(monkeypatch, 5_000_000)
    for call in (
        lambda: RunFolder.plan(tmp_path / "r", "grid", "a").open({}),
        lambda: RunFolder.plan(tmp_path / "r", "grid", "a").precheck({}),
    ):
        with pytest.raises(RunFolderError, match=r"needs 100 MB of free disk, got '5 MB in "):
            call()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_ends_a_run_after_its_last_result_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scalesearch.engine.execute import execute
    from scalesearch.errors import LedgerError
    from scalesearch.store.ledger import Ledger

    ran = []

    def trial(asked: TrialRequest) -> TrialRecord:
        ran.append(asked.seed)
        if len(ran) == 2:
            low_disk(monkeypatch, STOPS_BELOW - 1)
        return promised_record(asked)

    requests = [request(seed) for seed in range(4)]
    with Ledger.create_or_open(tmp_path / "ledger.db") as ledger:
        with pytest.raises(LedgerError, match="free some and resume") as caught:
            execute(requests, SerialEngine(trial_fn=trial), ledger)
        assert "\n" not in str(caught.value)
        assert len(ledger.done_keys()) == len(ran) == 2
    monkeypatch.undo()
    with Ledger.create_or_open(tmp_path / "ledger.db") as ledger:
        found = execute(requests, SerialEngine(trial_fn=trial), ledger)
    assert (found.reused, found.ran, ran) == (2, 2, [0, 1, 2, 3])
