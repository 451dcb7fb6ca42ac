"""Several workers train one network together, through Ray Train; a worker that dies goes on from the checkpoint.

Ray places the workers, forms their process group (gloo on CPUs, nccl on GPUs) and starts them again; the loop is the
one a single worker runs. Checkpoints and pictures must lie where every worker can read them.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from scalesearch.data.prepared import PreparedData
from scalesearch.engine.interrupts import Interrupts
from scalesearch.engine.ray_session import RaySession
from scalesearch.engine.settings import EngineSettings
from scalesearch.errors import DivergedError, EngineError, InputError, ScaleSearchError, TrialError
from scalesearch.train.checkpoint import CheckpointFolder
from scalesearch.train.long_run import LongJob, Watcher, train_long
from scalesearch.train.peers import Peers
from scalesearch.train.shard_supply import open_supply
from scalesearch.train.training_state import EpochRow

__all__ = ["train_with_ray"]

_EVENTS: Final = "events.jsonl"
_POLL_SECONDS: Final = 0.2


def train_with_ray(
    job: LongJob,
    data: PreparedData,
    checkpoints: CheckpointFolder,
    *,
    workers: int,
    max_failures: int,
    watcher: Watcher,
    stop: Interrupts,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Train to the end; what is left behind is the checkpoints.

    Args:
        workers: each takes an equal part of every batch, on `job.recipe.threads` cores or a GPU of its own.
        max_failures: how often workers that died are started again.
        say: for a line about workers that died.

    Raises:
        MissingPackageError: Ray is not installed.
        ResourceError: more workers than there is room for.
        InterruptedRun: a signal came; the last finished epoch is kept.
        EngineError: workers died more often than `max_failures`.
        InputError, DivergedError: see `train_long`.
    """
    settings = EngineSettings(
        name="ray",
        slots=workers,
        cpus_per_trial=job.recipe.threads,
        gpus_per_trial=0 if job.device == "cpu" else None,
    )
    session = RaySession(settings, on_connected=lambda allotment: None)
    folder = Path(tempfile.mkdtemp(prefix="scalesearch-train-"))
    try:
        with stop.immediate():
            session.start()
            session.wait()
        stop.arm()  # Ray replaced the handlers
        assert session.allotment is not None
        config = {"job": job, "data": data, "checkpoints": checkpoints, "events": str(folder / _EVENTS)}
        trainer = _trainer(config, workers, max_failures, folder, session.allotment.gpus > 0, job.recipe.threads)
        with _running(trainer.fit) as fit:
            _follow(fit, folder / _EVENTS, watcher, stop, say)
    finally:
        session.close()
        shutil.rmtree(folder, ignore_errors=True)


def _trainer(config: dict[str, Any], workers: int, max_failures: int, folder: Path, use_gpu: bool, threads: int) -> Any:
    _quiet()
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    resources = {"CPU": float(threads), **({"GPU": 1.0} if use_gpu else {})}
    return TorchTrainer(
        _work,
        train_loop_config=config,
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=use_gpu, resources_per_worker=resources),
        run_config=RunConfig(
            name="train", storage_path=str(folder), failure_config=FailureConfig(max_failures=max_failures)
        ),
    )


def _quiet() -> None:
    """Ray Train tells the user's terminal a dozen lines about itself."""
    import logging

    os.environ.setdefault("RAY_TRAIN_ENABLE_PRINT_PATCH", "0")
    logging.getLogger("ray.train").setLevel(logging.ERROR)


class _Fit:
    """`fit` in a thread of its own, because in the main thread Ray takes SIGINT for itself."""

    def __init__(self, call: Callable[[], Any]):
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, args=(call,), name="ray-train", daemon=True)
        self.thread.start()

    def _run(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except BaseException as error:  # told to the main thread
            self.error = error


@contextmanager
def _running(call: Callable[[], Any]) -> Iterator[_Fit]:
    yield _Fit(call)


def _follow(fit: _Fit, events: Path, watcher: Watcher, stop: Interrupts, say: Callable[[str], None]) -> None:
    """Pass on what the workers tell until they are done."""
    place = starts = 0
    while True:
        alive = fit.thread.is_alive()
        lines, place = _read_lines(events, place)
        for line in lines:
            event = json.loads(line)
            if "error" in event:
                raise _as_raised(event["error"], event["message"])
            if "start" in event:
                starts += 1
                if starts > 1:
                    say(f"a worker died; all of them go on after epoch {event['start']}")
            elif "row" in event:
                watcher.epoch(EpochRow(**event["row"]))
            else:
                watcher.step(*event["step"])
        stop.check()
        if not alive:
            break
        fit.thread.join(_POLL_SECONDS)
    if fit.error is not None:
        reason = " ".join(str(fit.error).split())[:300]
        raise EngineError(f"Ray Train lost its workers for good ({reason}); resume to go on from the checkpoint")


def _read_lines(path: Path, place: int) -> tuple[list[str], int]:
    """Whole lines after byte `place`, and where they end."""
    try:
        with path.open("rb") as file:
            file.seek(place)
            content = file.read()
    except FileNotFoundError:
        return [], place
    whole = content[: content.rfind(b"\n") + 1]
    return whole.decode().splitlines(), place + len(whole)


def _as_raised(name: str, message: str) -> ScaleSearchError:
    """A worker's error again, in this process."""
    if name == "DivergedError":
        return DivergedError(message)
    return InputError(message) if name == "InputError" else TrialError(message)


class _Teller(Watcher):
    """The first worker's: writes what happens to the driver's file."""

    def __init__(self, events: str):
        self._events = events

    def tell(self, **event: Any) -> None:
        """One line, in one write."""
        descriptor = os.open(self._events, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, (json.dumps(event) + "\n").encode())
        finally:
            os.close(descriptor)

    def step(self, epoch: int, step: int, steps: int, images_per_second: float) -> None:
        self.tell(step=[epoch, step, steps, images_per_second])

    def epoch(self, row: EpochRow) -> None:
        self.tell(row=asdict(row))


def _work(config: dict[str, Any]) -> None:
    """One worker, inside a process of Ray's."""
    from ray.train.torch import get_device

    job: LongJob = replace(config["job"], device=str(get_device()))
    checkpoints: CheckpointFolder = config["checkpoints"]
    teller, peers = _Teller(config["events"]), Peers.of_process_group()
    try:
        if peers.rank == 0:
            saved = checkpoints.last()
            teller.tell(start=0 if saved is None else len(saved["rows"]))
        supply = open_supply(config["data"], job.recipe, job.spec.resolution)
        train_long(job, supply, checkpoints, peers=peers, watcher=teller)
    except ScaleSearchError as error:
        teller.tell(error="InputError" if isinstance(error, InputError) else type(error).__name__, message=str(error))
        raise
