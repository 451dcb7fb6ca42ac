"""Longer training of one network: on pictures, from scratch or from weights, and a last look at the test part."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scalesearch.arch.spec import NetSpec
from scalesearch.data.prepare import check_source, prepare
from scalesearch.data.prepared import PreparedData
from scalesearch.data.shards import Shards
from scalesearch.report.screen import Screen
from scalesearch.report.stalls import PulseWatch
from scalesearch.store.run_folder import SUMMARY_FILE, RunFolder
from scalesearch.store.run_list import read_summary
from scalesearch.studies.opening import Opening, OpenRun
from scalesearch.studies.train_files import write_trained
from scalesearch.studies.train_mirror import CheckpointMirror
from scalesearch.studies.train_plan import StartingWeights, sentence_of, starting_weights, trained_spec
from scalesearch.studies.train_progress import TrainProgress
from scalesearch.studies.train_settings import TrainSettings
from scalesearch.train.checkpoint import CheckpointFolder
from scalesearch.train.long_run import LongJob, train_long
from scalesearch.train.shard_supply import open_supply
from scalesearch.train.stages import stages_of
from scalesearch.train.tensorboard_log import TensorBoardLog
from scalesearch.train.training_state import saved_rows

__all__ = ["CHECKPOINTS", "run_train"]

CHECKPOINTS: Final = "checkpoints"


def run_train(settings: TrainSettings, folder: RunFolder, config_yaml: str, screen: Screen) -> dict[str, Any]:
    """Train, judge and export one network; repeating it with the same folder continues where it stopped.

    Args:
        folder: planned, not opened.
        config_yaml: the composed configuration, kept in the folder for `resume`.
        screen: follows the training.

    Returns:
        What summary.json holds.

    Raises:
        InputError: anything wrong with the input, broken checkpoints included; nothing is overwritten then.
        DivergedError: the loss became NaN or infinite.
        InterruptedRun: SIGINT or SIGTERM; the last finished epoch is kept.
    """
    shards = None if settings.stream is None else Shards.open(Path(settings.stream))
    info = check_source(settings.data) if shards is None else shards.info
    spec = trained_spec(settings, num_classes=len(info.class_names), channels=info.channels)
    stages_of(settings.recipe, resolution=spec.resolution, dropout=spec.dropout, total_stride=spec.total_stride)
    start = starting_weights(settings.init, spec)
    opening = Opening(folder, settings.identity(), config_yaml, screen)
    if settings.tensorboard:
        TensorBoardLog.check()
    opening.precheck()
    CheckpointFolder(folder.path / CHECKPOINTS).last()  # a broken one is refused before anything is written
    screen.say(sentence_of(spec, settings, start, info.name))

    def ready() -> tuple[PreparedData, PreparedData]:
        if shards is not None:
            data = shards.described(spec.resolution)
        else:
            data = prepare(settings.data, side=spec.resolution, progress=screen.stage)
        return data, data

    with opening.open(ready) as (data, run):
        finished = read_summary(run.folder.path) if run.ledger.is_finished else None
        if finished is not None:  # the test part is looked at once
            screen.say(f"finished already: {run.folder.path / SUMMARY_FILE}")
            return finished
        checkpoints, mirror = run.folder.path / CHECKPOINTS, None
        if settings.mirror is not None:
            mirror = CheckpointMirror(settings.mirror, run.folder.name, checkpoints, screen)
            with run.stop.immediate():
                mirror.bring_back()
        saved = CheckpointFolder(checkpoints).last()
        work = _Work(settings, spec.with_(in_channels=data.channels), data, start, run, mirror)
        work.train(() if saved is None else saved_rows(saved))
        with run.stop.immediate():
            return write_trained(run.folder, settings, work.spec, data, checkpoints, screen)


@dataclass(frozen=True)
class _Work:
    """A training with everything it needs."""

    settings: TrainSettings
    spec: NetSpec
    data: PreparedData
    start: StartingWeights | None
    run: OpenRun
    mirror: CheckpointMirror | None = None

    @property
    def job(self) -> LongJob:
        """What decides the result; its identity covers pictures and start too."""
        content = json.dumps([self.settings.identity(), self.data.fingerprint, self.spec.fingerprint], sort_keys=True)
        return LongJob(
            spec=self.spec,
            recipe=self.settings.recipe,
            seed=self.settings.seed,
            identity=hashlib.sha256(content.encode()).hexdigest()[:32],
            device=self.settings.device,
            init=None if self.start is None else self.start.state,
        )

    def train(self, rows: tuple[Any, ...]) -> None:
        """Train what is left, in this process or with several workers."""
        settings = self.settings
        checkpoints = CheckpointFolder(self.run.folder.path / CHECKPOINTS, settings.keep)
        log = TensorBoardLog(self.run.folder.path / "tensorboard", len(rows)) if settings.tensorboard else None
        with closing(log) if log is not None else nullcontext():
            folder, screen = self.run.folder, self.run.screen
            here = f"{socket.gethostname()}:{os.getpid()}"
            worker = here if settings.workers == 1 else f"{settings.workers} workers of {here}"
            watch = PulseWatch(self.spec.name, settings.seed, worker, screen.silent)
            progress = TrainProgress(folder, screen, watch, settings.recipe.epochs, rows, log, self.mirror)
            with progress:
                if settings.workers == 1:
                    with self.run.stop.immediate():
                        supply = open_supply(self.data, settings.recipe, self.spec.resolution)
                    train_long(self.job, supply, checkpoints, watcher=progress, breakable=self.run.stop.immediate)
                    return
                from scalesearch.engine.ray_train import train_with_ray

                train_with_ray(
                    self.job,
                    self.data,
                    checkpoints,
                    workers=settings.workers,
                    max_failures=settings.max_failures,
                    watcher=progress,
                    stop=self.run.stop,
                    say=screen.say,
                )
