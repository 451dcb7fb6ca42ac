"""What a run shows while it works: a live table on a terminal, plain lines anywhere else; always on stderr."""

from __future__ import annotations

import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, final

from scalesearch.units import format_seconds

__all__ = ["LineScreen", "Screen", "open_screen"]


class Screen(ABC):
    """Receives what happens in a run; used in a `with` statement while trials run."""

    def __init__(self) -> None:
        self._stage = ""
        self.n_done = 0
        self.n_planned = 0
        self.best: tuple[float, str] | None = None
        self._started = time.monotonic()
        self._fresh = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @abstractmethod
    def say(self, line: str) -> None:
        """One line for the user."""

    @abstractmethod
    def stage(self, what: str, done: int, total: int) -> None:
        """Progress of a step before the trials: reading, decoding, counting."""

    @abstractmethod
    def refresh(self) -> None:
        """Something changed."""

    @final
    def planned(self, sentence: str, rows: Sequence[Mapping[str, Any]], warnings: Sequence[str]) -> None:
        """The plan stands."""
        kept = sum(row["kept"] == "true" for row in rows)
        self.say(sentence)
        self.say(f"{len(rows)} distinct networks, {kept} to train")
        for warning in warnings:
            self.say(f"note: {warning}")

    @final
    def estimated(self, seconds: float, trainings: int, slots: int, minutes: float | None, smaller: str) -> None:
        """What the training will take, and overrides that would make it smaller."""
        whole = seconds * trainings / slots
        limit = f", cut to fit about {minutes:g} min" if minutes is not None and whole > 60 * minutes else ""
        self.say(
            f"at most {trainings} trainings of about {format_seconds(seconds)} on {slots} "
            f"slot{'s' if slots > 1 else ''}: about {format_seconds(whole)}{limit}"
        )
        self.say(f"smaller: {smaller}")

    @final
    def round(
        self, number: int, in_race: int, units: int, done: int, planned: int, best: tuple[float, str] | None
    ) -> None:
        """A round of the race begins.

        Args:
            number: counted from 1.
            in_race: candidates not yet told apart from the leader.
            units: trainings of this round.
            done: trainings before it.
            planned: the budget.
            best: (objective, name) of the leader so far.
        """
        self._stage = f"round {number}: {in_race} candidates in the race, {units} trainings"
        self.n_done, self.n_planned, self.best = done, planned, best
        leader = f"; best so far {best[1]} ({best[0]:.4f})" if best else ""
        self.say(self._stage + leader)
        self.refresh()

    @final
    def searching(self, stage: str, done: int, planned: int, best: tuple[float, str] | None) -> None:
        """A search goes on: `done` of `planned` trainings, and (objective, name) of the best so far."""
        self._stage, self.n_done, self.n_planned, self.best = stage, done, planned, best
        self.refresh()

    @final
    def trained(self, name: str, seed: int, accuracy: float | None, seconds: float | None, error: str | None) -> None:
        """A training was committed."""
        self.n_done += 1
        self._fresh += 1
        if self._fresh == 1:
            self._started = time.monotonic() - (seconds or 0.0)
        result = f"accuracy {accuracy:.4f}" if accuracy is not None else f"failed: {error}"
        took = f" in {format_seconds(seconds)}" if seconds else ""
        self.line(f"[{self.n_done}/{self.n_planned}] {name} seed {seed}: {result}{took}; {self.time_left()}")
        self.refresh()

    @final
    def reused(self, record: object) -> None:
        """A training was in the ledger already."""
        self.n_done += 1

    def line(self, text: str) -> None:
        """A line that a live screen leaves out because its table shows the same."""
        self.say(text)

    @final
    def time_left(self) -> str:
        """At most so long, from the pace of this session."""
        if not self._fresh:
            return "time left unknown"
        pace = (time.monotonic() - self._started) / self._fresh
        return f"at most {format_seconds(max(0.0, pace * (self.n_planned - self.n_done)))} left"

    @final
    def interrupted(self, signal_number: int) -> None:
        """A first signal came; runs inside the signal handler, where `print` may not be entered again."""
        os.write(2, b"stopping: what is finished is kept (a second Ctrl-C ends at once)\n")


class LineScreen(Screen):
    """Plain lines, for files, pipes and dumb terminals."""

    def say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def stage(self, what: str, done: int, total: int) -> None:
        if done == total:
            self.say(f"{what}: {total} done")

    def refresh(self) -> None:
        return None


def open_screen(*, quiet: bool = False) -> Screen:
    """The live screen on a terminal that can show it, plain lines otherwise."""
    if quiet or not sys.stderr.isatty() or os.environ.get("TERM", "") in ("", "dumb"):
        return LineScreen()
    from scalesearch.report.live import LiveScreen

    return LiveScreen()
