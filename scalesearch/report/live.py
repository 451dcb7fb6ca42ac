"""The live screen: one small table that follows the race, lines of note above it."""

from __future__ import annotations

from rich.columns import Columns
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scalesearch.report.screen import Screen

__all__ = ["LiveScreen"]

_SHOWN = 6  # recent trainings in the table


class LiveScreen(Screen):
    """A table on stderr that is redrawn in place; honours NO_COLOR through rich."""

    def __init__(self) -> None:
        super().__init__()
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)
        self._recent: list[str] = []
        self._step = ""

    def _open(self) -> None:
        self._live.start()

    def _close(self) -> None:
        self._live.stop()

    def _show(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)

    def _show_stage(self, what: str, done: int, total: int) -> None:
        self._step = "" if done == total else f"{what}: {done}/{total}"
        if done == total:
            self._show(f"{what}: {total} done")
        self.refresh()

    def line(self, text: str) -> None:
        self._recent = [*self._recent[1 - _SHOWN :], text]

    def refresh(self) -> None:
        table = Table.grid()
        if self._step:
            table.add_row(Text(self._step))
        if self.n_planned:
            bar = ProgressBar(total=self.n_planned, completed=self.n_done, width=30)
            done = Text(f"  {self.n_done}/{self.n_planned} trainings, {self.time_left()}", style="bold")
            table.add_row(Columns([bar, done]))
            table.add_row(Text(self._stage))
            if self.best:
                table.add_row(Text(f"best so far: {self.best[1]} (objective {self.best[0]:.4f})"))
        for text in self._recent:
            table.add_row(Text(text, style="dim"))
        self._live.update(table)
