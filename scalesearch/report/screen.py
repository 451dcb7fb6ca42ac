"""What a run shows while it works: a live table on a terminal, plain lines anywhere else; always on stderr.

Listeners (report.listeners) are told the same as events: a log file, or JSON lines for machines.
"""

from __future__ import annotations

import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, final

from scalesearch.report.listeners import JsonLines, Listener
from scalesearch.units import format_seconds

if TYPE_CHECKING:
    from scalesearch.engine.base import Engine
    from scalesearch.report.stalls import Stall, StallWatch

__all__ = ["PROGRESS", "LineScreen", "Screen", "SilentScreen", "open_screen"]

#: environment variable that chooses what stderr shows: "json" for one event a line (set by --progress too)
PROGRESS: Final = "SCALESEARCH_PROGRESS"


class Screen(ABC):
    """Receives what happens in a run; used in a `with` statement while trials run."""

    def __init__(self) -> None:
        self._stage = ""
        self.n_done = 0
        self.n_planned = 0
        self.best: tuple[float, str] | None = None
        self._started = time.monotonic()
        self._fresh = 0
        self._longest: float | None = None
        self._listeners: list[Listener] = []
        self._watch: StallWatch | None = None
        self._ends_stalls = True

    @final
    def __enter__(self) -> Self:
        self._open()
        return self

    @final
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self._close()
        self.tell("ended", ok=error is None, error=None if error is None else str(error))

    @final
    def listen(self, listener: Listener) -> Self:
        """Tell `listener` every event from now on."""
        self._listeners.append(listener)
        return self

    @final
    def tell(self, event: str, **values: Any) -> None:
        """Pass an event on to the listeners."""
        told = {"time": round(time.time(), 3), "event": event, **values}
        for listener in self._listeners:
            listener.hear(told)

    @final
    def follow(self, engine: Engine) -> Self:
        """Look after the trainings of `engine`, until the `with` statement ends: those that stall are named."""
        from scalesearch.report.stalls import StallWatch

        self._ends_stalls = not engine.in_process
        self._watch = StallWatch(engine, lambda: self._longest, self._stalled)
        self._watch.start()
        return self

    def _open(self) -> None:
        """The `with` statement begins."""
        return None

    def _close(self) -> None:
        """The `with` statement ends."""
        return None

    @abstractmethod
    def _show(self, line: str) -> None:
        """Put one line before the user."""

    @abstractmethod
    def _show_stage(self, what: str, done: int, total: int) -> None:
        """Put the progress of a step before the user."""

    @final
    def say(self, line: str) -> None:
        """One line for the user."""
        self.tell("said", text=line)
        self._show(line)

    @final
    def stage(self, what: str, done: int, total: int) -> None:
        """Progress of a step before the trials: reading, decoding, counting."""
        self.tell("stage", what=what, done=done, total=total)
        self._show_stage(what, done, total)

    @abstractmethod
    def refresh(self) -> None:
        """Something changed."""

    @final
    def planned(self, sentence: str, rows: Sequence[Mapping[str, Any]], warnings: Sequence[str]) -> None:
        """The plan stands."""
        kept = sum(row["kept"] == "true" for row in rows)
        self.tell("planned", networks=len(rows), to_train=kept, sentence=sentence)
        self.say(sentence)
        self.say(f"{len(rows)} distinct networks, {kept} to train")
        for warning in warnings:
            self.say(f"note: {warning}")

    @final
    def estimated(self, seconds: float, trainings: int, slots: int, minutes: float | None, smaller: str) -> None:
        """What the training will take, and overrides that would make it smaller."""
        whole = seconds * trainings / slots
        self._longest = max(self._longest or 0.0, seconds)
        self.tell("estimated", seconds=seconds, trainings=trainings, slots=slots, minutes=minutes)
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
        self.tell("round", number=number, in_race=in_race, units=units, done=done, planned=planned)
        leader = f"; best so far {best[1]} ({best[0]:.4f})" if best else ""
        self.say(self._stage + leader)
        self.refresh()

    @final
    def searching(self, stage: str, done: int, planned: int, best: tuple[float, str] | None) -> None:
        """A search goes on: `done` of `planned` trainings, and (objective, name) of the best so far."""
        if stage != self._stage:
            self.tell("searching", stage=stage, done=done, planned=planned)
        self._stage, self.n_done, self.n_planned, self.best = stage, done, planned, best
        self.refresh()

    @final
    def trained(self, name: str, seed: int, accuracy: float | None, seconds: float | None, error: str | None) -> None:
        """A training was committed."""
        self.n_done += 1
        self._fresh += 1
        if self._fresh == 1:
            self._started = time.monotonic() - (seconds or 0.0)
        if error is None and seconds is not None:
            self._longest = max(self._longest or 0.0, seconds)
        result = f"accuracy {accuracy:.4f}" if accuracy is not None else f"failed: {error}"
        took = f" in {format_seconds(seconds)}" if seconds else ""
        self.tell(
            "trained",
            name=name, seed=seed, accuracy=accuracy, seconds=seconds, error=error,
            done=self.n_done, planned=self.n_planned, left_at_most=self._seconds_left(),
            best=self.best[1] if self.best else None, best_objective=self.best[0] if self.best else None,
        )  # fmt: skip
        self.line(f"[{self.n_done}/{self.n_planned}] {name} seed {seed}: {result}{took}; {self.time_left()}")
        self.refresh()

    @final
    def reused(self, record: object) -> None:
        """A training was in the ledger already."""
        self.n_done += 1

    def line(self, text: str) -> None:
        """A line that a live screen leaves out because its table shows the same."""
        self._show(text)

    @final
    def time_left(self) -> str:
        """At most so long, from the pace of this session."""
        left = self._seconds_left()
        return "time left unknown" if left is None else f"at most {format_seconds(left)} left"

    @final
    def _seconds_left(self) -> float | None:
        if not self._fresh:
            return None
        pace = (time.monotonic() - self._started) / self._fresh
        return max(0.0, pace * (self.n_planned - self.n_done))

    @final
    def _stalled(self, stall: Stall) -> None:
        """A training takes far longer than others; called in the thread that watches."""
        self.tell("stalled", **asdict(stall))
        usual = (
            "no training has ended yet" if stall.usual is None else f"others took up to {format_seconds(stall.usual)}"
        )
        way_out = (
            "engine.trial_timeout=SECONDS ends such trainings"
            if self._ends_stalls
            else "nothing but Ctrl-C ends it with engine=serial; resume with engine=ray engine.trial_timeout=SECONDS"
        )
        self._show(
            f"stalled: {stall.name} seed {stall.seed} has been on {stall.worker} for "
            f"{format_seconds(stall.seconds)}, {usual}; {way_out}"
        )

    @final
    def silent(self, stall: Stall) -> None:
        """A longer training gives no sign of life; called in the thread that watches."""
        self.tell("stalled", **asdict(stall))
        usual = "" if stall.usual is None else f", which took {format_seconds(stall.usual)} at most before"
        self._show(
            f"stalled: {stall.name} seed {stall.seed} on {stall.worker} has made no step for "
            f"{format_seconds(stall.seconds)}{usual}; Ctrl-C and `scalesearch resume` go on after the last epoch"
        )

    @final
    def interrupted(self, signal_number: int) -> None:
        """A first signal came; runs inside the signal handler, where `print` may not be entered again."""
        os.write(2, b"stopping: what is finished is kept (a second Ctrl-C ends at once)\n")


class LineScreen(Screen):
    """Plain lines, for files, pipes and dumb terminals."""

    def _show(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def _show_stage(self, what: str, done: int, total: int) -> None:
        if done == total:
            self._show(f"{what}: {total} done")

    def refresh(self) -> None:
        return None


class SilentScreen(Screen):
    """Shows nothing, for those who listen to the events."""

    def _show(self, line: str) -> None:
        return None

    def _show_stage(self, what: str, done: int, total: int) -> None:
        return None

    def refresh(self) -> None:
        return None


def open_screen(*, quiet: bool = False, progress: Literal["json"] | None = None) -> Screen:
    """The live screen on a terminal that can show it, plain lines otherwise; JSON lines where they are asked for."""
    if progress == "json" or os.environ.get(PROGRESS) == "json":
        return SilentScreen().listen(JsonLines())
    if quiet or not sys.stderr.isatty() or os.environ.get("TERM", "") in ("", "dumb"):
        return LineScreen()
    from scalesearch.report.live import LiveScreen

    return LiveScreen()
