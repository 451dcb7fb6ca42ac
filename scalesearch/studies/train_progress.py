"""Follows a longer training: lines on the screen, metrics.csv, and TensorBoard where it was asked for."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Final, Self

from scalesearch.report.screen import Screen
from scalesearch.report.stalls import PulseWatch
from scalesearch.store.run_folder import RunFolder
from scalesearch.studies.train_mirror import CheckpointMirror
from scalesearch.train.long_run import Watcher
from scalesearch.train.tensorboard_log import TensorBoardLog
from scalesearch.train.training_state import EpochRow
from scalesearch.units import format_seconds

__all__ = ["METRICS_FILE", "TrainProgress", "metrics_csv"]

METRICS_FILE: Final = "metrics.csv"


class TrainProgress(Watcher):
    """Told of every epoch, in the process that drives the run; use it in a `with` statement.

    Args:
        watch: hears every step, and names stalls.
        rows: epochs of earlier sessions.
        log: TensorBoard, or None.
        mirror: gets the checkpoints after every epoch, or None.
    """

    def __init__(
        self,
        run: RunFolder,
        screen: Screen,
        watch: PulseWatch,
        epochs: int,
        rows: Sequence[EpochRow],
        log: TensorBoardLog | None,
        mirror: CheckpointMirror | None = None,
    ):
        self._watch = watch
        self._run, self._screen, self._epochs, self._log, self._mirror = run, screen, epochs, log, mirror
        self._rows = list(rows)
        self._fresh, self._started = 0, time.monotonic()
        if rows:
            screen.say(f"continues after epoch {len(rows)} of {epochs}")

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._watch.close()

    def step(self, epoch: int, step: int, steps: int, images_per_second: float) -> None:
        self._watch.beat()
        done = (epoch - 1 - len(self._rows) + self._fresh + step / steps) if steps else 0
        left = self._left(max(done, 1e-9), epoch - 1 + step / steps)
        if step < steps:
            self._screen.stage(
                f"epoch {epoch} of {self._epochs}, {images_per_second:,.0f} images/s, {left}", step, steps
            )

    def epoch(self, row: EpochRow) -> None:
        # after a worker died its epochs may come again
        self._rows = [*self._rows[: row.epoch - 1], row]
        self._fresh += 1
        self._run.write_text(METRICS_FILE, metrics_csv(self._rows))
        if self._log is not None:
            self._log.add(row)
        self._screen.say(
            f"[epoch {row.epoch}/{self._epochs}] loss {row.train_loss:.4f}, accuracy {row.val_accuracy:.4f}, "
            f"rate {row.learning_rate:.3g}, {row.images_per_second:,.0f} images/s in {format_seconds(row.seconds)}; "
            f"{self._left(self._fresh, row.epoch)}"
        )
        if self._mirror is not None:
            self._mirror.push()
        self._watch.beat(round_ended=True)

    def _left(self, fresh: float, done: float) -> str:
        """From the pace of this session."""
        pace = (time.monotonic() - self._started) / fresh
        return f"about {format_seconds(max(0.0, pace * (self._epochs - done)))} left"


def metrics_csv(rows: Sequence[EpochRow]) -> str:
    """One line per epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(EpochRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()
