"""What an engine is: slots that turn requests into records, and nothing else.

No search logic and no training logic lives here: the trial is a function that every engine calls alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Self, final

from scalesearch.trial import TrialRecord, TrialRequest

__all__ = ["Engine", "Running", "TrialFn", "load_trial_fn"]

TrialFn = Callable[[TrialRequest], TrialRecord]


@dataclass(frozen=True, slots=True)
class Running:
    """A trial under way: its worker ("host:pid" where known), and since when on the clock of `time.monotonic`.

    Of a group the first trial stands for all; `trials` is how many they are.
    """

    request: TrialRequest
    worker: str
    since: float
    trials: int = 1


class Engine(ABC):
    """Executes trials on a fixed number of slots; use it in a `with` statement.

    The order of calls is `start`, `wait_ready`, then any mix of `submit` (while there is `room`) and `next_done`,
    then `close`. A record says "failed" where a trial could not be done; only trouble with the engine itself
    is raised.
    """

    #: trials run inside this process, so that a signal has to break into them
    in_process: ClassVar[bool] = False
    #: requests per slot that wait in the engine, so that a slot goes on while its last result is being handled
    prefetch: ClassVar[int] = 0

    @abstractmethod
    def start(self) -> None:
        """Begin to start up and return at once; the caller can work in the meantime."""

    @abstractmethod
    def wait_ready(self) -> None:
        """Return when every slot can take a trial.

        Raises:
            ResourceError: more resources are asked for than there are.
            EngineError: the engine could not be started.
        """

    @property
    @abstractmethod
    def slots(self) -> int:
        """Trials at the same time; may wait for a cluster to answer, and starts nothing where they are known."""

    @property
    @final
    def room(self) -> int:
        """Requests that may be under way, running or waiting: max(1, slots) * (1 + prefetch) * group."""
        return max(1, self.slots) * (1 + self.prefetch) * self.group

    @property
    def group(self) -> int:
        """The most requests that one slot may run at a time, as a group (`engine.grouping`)."""
        return 1

    @abstractmethod
    def submit(self, request: TrialRequest) -> None:
        """Take a trial, to run it as soon as a slot is free; fewer than `room` may be under way."""

    def submit_group(self, requests: Sequence[TrialRequest]) -> None:
        """Take trials that differ in their seeds alone into one slot; at most `group` of them."""
        assert len(requests) == 1, "this engine has no groups"
        self.submit(requests[0])

    @abstractmethod
    def next_done(self, timeout: float | None = None) -> TrialRecord | None:
        """The next finished record, making room for another; None after `timeout` seconds or when none is under way.

        With `timeout` 0 an engine in this process runs nothing and gives what has arrived.

        Raises:
            EngineError: the engine lost its workers for good.
            DataError, MissingPackageError, ResourceError, VerificationError: no trial can run like this.
        """

    def running(self) -> Sequence[Running]:
        """What is under way, for those who watch; may be asked in any thread. Nothing where an engine cannot tell."""
        return ()

    @abstractmethod
    def close(self) -> None:
        """End every worker at once, also in the middle of a trial, and drop what waits; further calls do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def load_trial_fn() -> TrialFn:
    """`scalesearch.trial.run_trial` on its default device, with torch imported before the first trial needs it.

    From here on this process keeps the memory that it frees (`keep_freed_memory`).
    """
    import scalesearch.train.trainer  # noqa: F401
    from scalesearch.train.allocator import keep_freed_memory
    from scalesearch.trial import run_trial

    keep_freed_memory()
    return run_trial
