"""Who else is told what happens in a run: a log file with one line per event, and JSON lines for machines.

An event is a flat mapping of plain values: "time" (seconds since 1970), "event" (its kind), and what the kind has.

    said       text                                             a line for the user
    planned    networks, to_train, sentence                     the plan stands
    estimated  seconds, trainings, slots, minutes               one training, and how many of them
    round      number, in_race, units, done, planned            a round of the race begins
    searching  stage, done, planned                             a search goes on
    stage      what, done, total                                reading, decoding, counting
    trained    name, seed, accuracy, seconds, error, done, planned, best, best_objective, left_at_most
    stalled    name, seed, worker, seconds, usual               a training takes far longer than others
    ended      ok, error                                        the training part is over
"""

from __future__ import annotations

import json
import os
import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, final

from scalesearch.remote.secrets import redactor

__all__ = ["EVENTS_FILE", "EventLog", "JsonLines", "Listener", "as_json_line"]

EVENTS_FILE: Final = "events.jsonl"
# steps before the trainings tell hundreds of times; the log keeps their ends
_MOST_WAITING: Final = 1000
_LONGEST: Final = 2000


class Listener(ABC):
    """Told of every event, in the thread in which it happens."""

    @abstractmethod
    def hear(self, event: Mapping[str, Any]) -> None:
        """One event; must not raise."""


@final
class JsonLines(Listener):
    """Every event as one line of JSON on stderr."""

    def hear(self, event: Mapping[str, Any]) -> None:
        try:
            sys.stderr.write(as_json_line(event))
            sys.stderr.flush()
        except OSError:  # the reader went away, which is no reason to end a run
            pass


@final
class EventLog(Listener):
    """Appends every event to a run's events.jsonl, over all its sessions.

    Nothing is written before the run's ledger is there, because a folder with anything else in it is no run. Lines are
    appended whole; a line torn by a full disk or a kill ends with the next one's line break.

    Args:
        folder: of the run.
        ledger_file: its ledger's name.
    """

    def __init__(self, folder: Path, ledger_file: str):
        self._path, self._ledger = folder / EVENTS_FILE, folder / ledger_file
        self._waiting: deque[str] = deque(maxlen=_MOST_WAITING)
        self._begun = False

    def hear(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "stage" and event["done"] != event["total"]:
            return
        self._waiting.append(as_json_line(event))
        if not self._ledger.is_file():
            return
        try:
            self._append("".join(self._waiting).encode())
        except OSError:  # a log must not end a run; a full disk does so by itself
            return
        self._waiting.clear()

    def _append(self, lines: bytes) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            if not self._begun and size and not self._ends_whole(size):
                lines = b"\n" + lines
            self._begun = True
            os.write(descriptor, lines)
        finally:
            os.close(descriptor)

    def _ends_whole(self, size: int) -> bool:
        with self._path.open("rb") as file:
            file.seek(size - 1)
            return file.read(1) == b"\n"


def as_json_line(event: Mapping[str, Any]) -> str:
    """An event as one line of ASCII; long texts are cut, secrets blotted out, NaN is null."""
    redact = redactor()
    values = {key: _plain(value, redact) for key, value in event.items()}
    return json.dumps(values, allow_nan=False) + "\n"


def _plain(value: Any, redact: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        value = redact(value)  # before it is cut, so that no half of a secret is left
        return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 3]}..."
    if isinstance(value, float):
        return value if value - value == 0 else None
    return value if value is None or isinstance(value, bool | int) else str(value)[:_LONGEST]
