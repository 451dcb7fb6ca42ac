"""One attempt at one trial, the same under every engine."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from scalesearch.clock import now
from scalesearch.engine.base import TrialFn
from scalesearch.engine.grouping import GroupFn
from scalesearch.errors import (
    DataError,
    InterruptedRun,
    MissingPackageError,
    ResourceError,
    ScaleSearchError,
    VerificationError,
)
from scalesearch.remote.secrets import redacted
from scalesearch.trial import TrialRecord, TrialRequest, promised_record

__all__ = ["STOPS_THE_RUN", "Crash", "attempt_group", "attempt_trial", "failed_record", "on_drivers_time"]

#: errors of the surroundings, not of one trial
STOPS_THE_RUN: Final = (DataError, MissingPackageError, ResourceError, VerificationError, InterruptedRun)


@dataclass(frozen=True, slots=True)
class Crash:
    """An attempt that gave no record.

    `final` says that trying again would end the same way; `out_of_memory` that it might not, alone.
    """

    error: str
    seconds: float
    worker: str
    final: bool = False
    out_of_memory: bool = False


def attempt_trial(trial_fn: TrialFn, request: TrialRequest, attempt: int) -> TrialRecord | Crash:
    """Call the trial function and catch what it raises; see `attempt_group`."""
    outcome = attempt_group(lambda requests: [trial_fn(requests[0])], [request], attempt)
    return outcome if isinstance(outcome, Crash) else outcome[0]


def attempt_group(group_fn: GroupFn, requests: Sequence[TrialRequest], attempt: int) -> list[TrialRecord] | Crash:
    """Call a function that gives one record per request, in their order, and catch what it raises.

    An error that scalesearch raises on purpose (a diverged loss, a network that cannot exist) is final,
    because the trial is a pure function. Anything else may be the machine's fault.

    Raises:
        DataError, MissingPackageError, ResourceError, VerificationError: every trial would fail like this one,
            so the run ends and no row blames the network.
    """
    worker = f"{socket.gethostname()}:{os.getpid()}"
    started_at, start = now(), time.perf_counter()
    try:
        records = group_fn(requests)
    except STOPS_THE_RUN:
        raise
    except ScaleSearchError as error:
        return Crash(str(error), time.perf_counter() - start, worker, final=True)
    except (Exception, SystemExit) as error:
        # by name, because torch.OutOfMemoryError is looked at where torch may not be imported
        starved = type(error).__name__ == "OutOfMemoryError"
        return Crash(f"{type(error).__name__}: {error}", time.perf_counter() - start, worker, out_of_memory=starved)
    assert all(isinstance(record, TrialRecord) for record in records), records
    assert [record.key for record in records] == [request.key for request in requests], "a record answers its request"
    share = (time.perf_counter() - start) / len(records)
    return [
        replace(
            record,
            worker=record.worker or worker,
            attempt=attempt,
            seconds=share if record.seconds is None else record.seconds,
            started_at=started_at + number * share if record.started_at is None else record.started_at,
            finished_at=started_at + (number + 1) * share if record.finished_at is None else record.finished_at,
        )
        for number, record in enumerate(records)
    ]


def on_drivers_time(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The records of one answer, with start and end by the clock of this process: the last one ended just now.

    Clocks of machines differ, and so do those of processes that started before and after one was set. Lengths and the
    order within the answer stay.
    """
    ends = [record.finished_at for record in records if record.finished_at is not None]
    shift = now() - max(ends, default=0.0)
    return [
        record
        if record.started_at is None or record.finished_at is None
        else replace(record, started_at=record.started_at + shift, finished_at=record.finished_at + shift)
        for record in records
    ]


def failed_record(request: TrialRequest, crash: Crash, attempt: int) -> TrialRecord:
    """The row of a trial that gave no result after `attempt` attempts."""
    finished_at = now()
    return replace(
        promised_record(request),
        status="failed",
        error=redacted(" ".join(crash.error.split()))[:2000],
        seconds=crash.seconds,
        started_at=finished_at - crash.seconds,
        finished_at=finished_at,
        worker=crash.worker,
        attempt=attempt,
        final=crash.final,
    )
