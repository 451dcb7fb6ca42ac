"""Work that takes far longer than usual: found by a thread that looks, and named.

A stall ends nothing: `engine.trial_timeout` does for the trainings of a study. It tells which training, where, for how
long.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from scalesearch.engine.base import Engine

__all__ = ["PulseWatch", "Stall", "StallWatch"]

#: a training has stalled when it takes this many times as long as the longest so far, and at least `AT_LEAST` seconds
TIMES: Final = 5.0
AT_LEAST: Final = 60.0
#: without any duration to compare with
WITHOUT_USUAL: Final = 1800.0
_LOOK_EVERY: Final = 5.0


@dataclass(frozen=True, slots=True)
class Stall:
    """A training that takes too long.

    Attributes:
        name: of the network.
        worker: "HOST:PROCESS".
        seconds: so far.
        usual: seconds of the longest before it; None where there was none.
    """

    name: str
    seed: int
    worker: str
    seconds: float
    usual: float | None


class _Watch(ABC):
    """Looks from `start` until `close`, in a thread of its own.

    Args:
        tell: called for a stall, once, and again whenever its time has doubled; in the watch's thread.
        every: seconds between two looks.
        at_least: seconds that are never a stall.
    """

    def __init__(self, tell: Callable[[Stall], None], *, every: float = _LOOK_EVERY, at_least: float = AT_LEAST):
        self._tell, self._every, self._at_least = tell, every, at_least
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

    @abstractmethod
    def look(self) -> list[Stall]:
        """Stalls that are due to be told now."""

    def _limit(self, usual: float | None) -> float:
        """Seconds from which on it is a stall."""
        return WITHOUT_USUAL if usual is None else max(self._at_least, TIMES * usual)

    def _live(self) -> None:
        while not self._closing.wait(self._every):
            for stall in self.look():
                self._tell(stall)


class StallWatch(_Watch):
    """Looks at what an engine runs.

    Args:
        engine: asked for what runs.
        usual: seconds of the longest training so far, or of the estimate; None where nothing is known.
        tell, every, at_least: see `_Watch`.
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
        super().__init__(tell, every=every, at_least=at_least)
        self._engine, self._usual = engine, usual
        self._told: dict[tuple[str, float], float] = {}

    def look(self) -> list[Stall]:
        """Trainings that are due to be told now."""
        usual, found = self._usual(), []
        limit = self._limit(usual)
        for running in self._engine.running():
            seconds = time.monotonic() - running.since
            key = (running.request.key, running.since)
            if seconds >= self._told.get(key, limit * running.trials):
                self._told[key] = 2 * seconds
                asked = running.request
                found.append(Stall(asked.spec.name, asked.seed, running.worker, seconds, usual))
        return found


class PulseWatch(_Watch):
    """Listens for the signs of life of one long training.

    Args:
        name, seed, worker: of the training, for those who are told.
        tell, every, at_least: see `_Watch`.
    """

    def __init__(
        self,
        name: str,
        seed: int,
        worker: str,
        tell: Callable[[Stall], None],
        *,
        every: float = _LOOK_EVERY,
        at_least: float = AT_LEAST,
    ):
        super().__init__(tell, every=every, at_least=at_least)
        self._name, self._seed, self._worker = name, seed, worker
        self._last = time.monotonic()
        self._longest = self._told = 0.0
        self._begun = self._knows = False

    def beat(self, *, round_ended: bool = False) -> None:
        """A sign of life; what is usual is known when everything has happened once."""
        now, stalled = time.monotonic(), self._told > 0
        if self._begun and not stalled:  # neither the start nor a stall that is over is usual
            self._longest = max(self._longest, now - self._last)
        self._last, self._told, self._begun = now, 0.0, True
        self._knows = self._knows or round_ended

    def look(self) -> list[Stall]:
        """The training, where its silence is due to be told now."""
        seconds, usual = time.monotonic() - self._last, self._longest if self._knows else None
        if seconds < max(self._limit(usual), self._told):
            return []
        self._told = 2 * seconds
        return [Stall(self._name, self._seed, self._worker, seconds, usual)]
