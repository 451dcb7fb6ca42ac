"""Slots that never wait for the driver: a thread gives an engine its next trial the moment one of its slots is free.

While the driver commits a result, asks a strategy or draws, the next trials already wait here, one for each slot. They
are bound to no slot: the first one that is free takes the first that waits, so that long trials keep their place at the
front and no slot ends up with two of them. A trial counts as started when a slot has it, not before.

Where the engine runs groups, a slot takes the first that waits and those behind it that differ in their seeds alone.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import ClassVar, Final, final

from scalesearch.engine.base import Engine, Running
from scalesearch.engine.grouping import first_group, take_group
from scalesearch.trial import TrialRecord, TrialRequest

__all__ = ["Prefetching"]

# seconds between two looks for a new request while some slots are busy and another is free; and while none is
_LOOK: Final = 0.05
_WAIT: Final = 0.2
# seconds since the last request for which an incomplete group waits for more, because the driver may be at it
_GATHER: Final = 0.1
# seconds for which `close` waits for a call that does not return
_END: Final = 3.0


@final
class Prefetching(Engine):
    """Holds one request (or group) for each slot of another engine, whose trials run outside this process.

    Args:
        engine: used from a thread of this object's own once the first trial was submitted.
    """

    prefetch: ClassVar[int] = 1

    def __init__(self, engine: Engine):
        assert not engine.in_process, "a trial in this process leaves nobody to hand out the next"
        self._engine = engine
        self._under_way = 0
        # of the thread alone: what waits, since when nothing was added, and the keys that each busy slot still owes
        self._waiting: deque[TrialRequest] = deque()
        self._last_given = 0.0
        self._owed: list[set[str]] = []
        # requests in, records (or what ends the run) out; None ends the thread
        self._given: SimpleQueue[TrialRequest | None] = SimpleQueue()
        self._done: SimpleQueue[TrialRecord | BaseException] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def start(self) -> None:
        """Begin to start the engine."""
        self._engine.start()

    def wait_ready(self) -> None:
        """Return when every slot can take a trial."""
        if self._thread is None:  # once it hands out, what happens to slots is for `next_done`
            self._engine.wait_ready()

    @property
    def slots(self) -> int:
        """Trials at the same time."""
        return self._engine.slots

    @property
    def group(self) -> int:
        """That of the engine."""
        return self._engine.group

    def submit(self, request: TrialRequest) -> None:
        """Queue the trial; the first slot that is free takes it."""
        assert self._under_way < self.room, "there must be room"
        self._under_way += 1
        self._given.put(request)
        if self._thread is None:
            self._thread = threading.Thread(target=self._hand_out, name="hand-out", daemon=True)
            self._thread.start()

    def next_done(self, timeout: float | None = None) -> TrialRecord | None:
        """The next finished record."""
        if not self._under_way:
            return None
        try:
            outcome = self._done.get(timeout=timeout)
        except Empty:
            return None
        if isinstance(outcome, BaseException):
            self._done.put(outcome)  # nothing else will ever come
            raise outcome
        self._under_way -= 1
        return outcome

    def running(self) -> Sequence[Running]:
        """What slots are at; what waits here is not among it."""
        return self._engine.running()

    def close(self) -> None:
        """Drop what waits and close the engine."""
        self._closing.set()
        self._given.put(None)
        if self._thread is not None:
            self._thread.join(_END)
        self._engine.close()

    def _hand_out(self) -> None:
        """Keep every slot busy until told to end."""
        try:
            while not self._closing.is_set():
                self._receive(wait=not self._owed)
                self._give()
                free = len(self._owed) < self._engine.slots
                record = self._engine.next_done(timeout=_LOOK if free else _WAIT)
                if record is not None:
                    self._settle(record.key)
                    # first the slot, then the driver
                    self._receive(wait=False)
                    self._give()
                    self._done.put(record)
        except BaseException as error:  # raised again in the driver's thread
            self._done.put(error)

    def _receive(self, *, wait: bool) -> None:
        """Take in what was submitted; if told to wait, until something can be given to a slot."""
        with suppress(Empty):
            while not self._closing.is_set():
                left = self._gathering() if self._waiting else None
                request = self._given.get(block=wait and left != 0, timeout=left)
                if request is None:
                    break
                self._waiting.append(request)
                self._last_given = time.monotonic()

    def _gathering(self) -> float:
        """Seconds for which the first that waits should wait for further seeds."""
        if len(first_group(self._waiting, self.group)) == self.group:
            return 0.0
        return max(0.0, self._last_given + _GATHER - time.monotonic())

    def _give(self) -> None:
        """Give what waits to free slots."""
        # where every node of a cluster is gone, one trial waits in the engine for new ones
        while self._waiting and len(self._owed) < max(1, self._engine.slots) and not self._closing.is_set():
            if self._gathering():
                break
            requests = take_group(self._waiting, self.group)
            self._owed.append({request.key for request in requests})
            self._engine.submit_group(requests)

    def _settle(self, key: str) -> None:
        """A record came; its slot is free when it owes no other."""
        owing = next(keys for keys in self._owed if key in keys)
        owing.remove(key)
        if not owing:
            self._owed.remove(owing)
