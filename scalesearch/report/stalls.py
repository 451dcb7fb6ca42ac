"""Trainings that take far longer than others: found by a thread that looks at the engine, and named.

A stall ends nothing: `engine.trial_timeout` does. It tells which training, on which worker, for how long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from scalesearch.engine.base import Engine
from scalesearch.trial import TrialRequest

__all__ = ["Stall", "StallWatch"]

#: a training has stalled when it takes this many times as long as the longest so far, and at least `AT_LEAST` seconds
TIMES: Final = 5.0
AT_LEAST: Final = 60.0
#: without any duration to compare with
WITHOUT_USUAL: Final = 1800.0
_LOOK_EVERY: Final = 5.0


@dataclass(frozen=True, slots=True)
class Stall:
    """A training under way: seconds so far, and how long the longest of the others took (None: none has ended)."""

    request: TrialRequest
    worker: str
    seconds: float
    usual: float | None


class StallWatch:
    """Looks at what an engine runs, from the first `look` of its own thread until `close`.

    Args:
        engine: asked for what runs.
        usual: seconds of the longest training so far, or of the estimate; None where nothing is known.
        tell: called for a stall, once, and again whenever its time has doubled; in the watch's thread.
        every: seconds between two looks.
    """

    def __init__(
        self,
        engine: Engine,
        usual: Callable[[], float | None],
        tell: Callable[[Stall], None],
        *,
        every: float = _LOOK_EVERY,
        at_least: float = AT_LEAST,
    ):
        self._engine, self._usual, self._tell = engine, usual, tell
        self._every, self._at_least = every, at_least
        self._told: dict[tuple[str, float], float] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._live, name="stall-watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Stop looking; further calls do nothing."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(2 * self._every)

    def look(self) -> list[Stall]:
        """Stalls that are due to be told now."""
        usual = self._usual()
        limit = WITHOUT_USUAL if usual is None else max(self._at_least, TIMES * usual)
        found = []
        for running in self._engine.running():
            seconds = time.monotonic() - running.since
            key = (running.request.key, running.since)
            if seconds >= self._told.get(key, limit * running.trials):
                self._told[key] = 2 * seconds
                found.append(Stall(running.request, running.worker, seconds, usual))
        return found

    def _live(self) -> None:
        while not self._closing.wait(self._every):
            for stall in self.look():
                self._tell(stall)
