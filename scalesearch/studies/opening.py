"""How every study begins and ends: nothing is written before all was checked, and one driver works on an open run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from scalesearch.arch.spec import NetSpec
from scalesearch.clock import now
from scalesearch.data.prepared import PreparedData
from scalesearch.engine.interrupts import Interrupts
from scalesearch.errors import TrialError
from scalesearch.report.screen import Screen
from scalesearch.store.ledger import Ledger
from scalesearch.store.run_folder import RunFolder
from scalesearch.studies.calibrate import calibrate
from scalesearch.studies.guards import guard_data
from scalesearch.studies.sessions import Session, close_session, open_session
from scalesearch.train.recipe import Recipe
from scalesearch.trial import TrialRecord

__all__ = ["OpenRun", "Opening"]

Work = TypeVar("Work")


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that this process drives: its open folder, the signals it listens to, and the screen that follows it."""

    folder: RunFolder
    stop: Interrupts
    screen: Screen
    started: float

    @property
    def ledger(self) -> Ledger:
        """The ledger of the folder."""
        return self.folder.ledger

    def estimate(
        self,
        specs: Sequence[NetSpec],
        recipe: Recipe,
        data: PreparedData,
        *,
        trainings: int,
        slots: Callable[[], int],
        minutes: float | None,
        smaller: str,
    ) -> None:
        """Say what the trainings will take, from a few steps in this process; a continued run knows already."""
        if self.ledger.done_keys():
            return
        try:
            seconds = calibrate(specs, recipe, data)
        except TrialError as error:
            # the trainings themselves will tell, and be recorded; an estimate must not end a run
            self.screen.say(f"note: no estimate of the time, because a calibration training {error}")
            return
        # asked for now, because an engine knows its slots only when it has started
        self.screen.estimated(seconds, trainings, slots(), minutes, smaller)

    def open_session(self, slots: int) -> None:
        """Training begins."""
        open_session(self.ledger, self.started, slots)

    def close_session(self, records: Iterable[TrialRecord]) -> tuple[Session, ...]:
        """Training has ended with these records, new and old; returns the sessions that trained any of them."""
        trained = any(record.started_at is not None and record.started_at >= self.started for record in records)
        return close_session(self.ledger, self.started, trained=trained)


@dataclass(frozen=True, slots=True)
class Opening:
    """A study that is about to begin.

    Attributes:
        folder: planned, not opened.
        identity: every setting that changes results.
        config_yaml: the composed configuration, kept in the folder for `resume`.
        started: when the command began, in seconds since the epoch.
    """

    folder: RunFolder
    identity: Mapping[str, Any]
    config_yaml: str
    screen: Screen
    started: float = field(default_factory=now)

    def precheck(self) -> bool:
        """Refuse what `open` would refuse, before expensive work and without writing; whether the run is finished."""
        return self.folder.precheck(self.identity)

    @contextmanager
    def open(self, ready: Callable[[], tuple[Work, PreparedData]]) -> Iterator[tuple[Work, OpenRun]]:
        """The run, open until the `with` statement ends, and what `ready` made of the pictures.

        Args:
            ready: reads the pictures before anything is written, so that a broken one leaves nothing behind; a signal
                ends it at once.

        Raises:
            InputError: a picture or the folder cannot be used, or the run was started with other pictures.
            InterruptedRun: SIGINT or SIGTERM; what was finished is committed.
        """
        with Interrupts(self.screen.interrupted) as stop, self.screen:
            with stop.immediate():
                work, data = ready()
            with self.folder.open(self.identity, self.config_yaml) as folder:
                for notice in folder.notices:
                    self.screen.say(notice)
                guard_data(folder.ledger, data)
                yield work, OpenRun(folder, stop, self.screen, self.started)
