"""The one seam engines call: a pure function from (spec, recipe, data, seed) to a `TrialRecord`.

The same request gives the same row under every engine, but for the fields in `TIMING_FIELDS`.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from scalesearch.arch.cost import cost_of
from scalesearch.arch.spec import NetSpec
from scalesearch.clock import now
from scalesearch.data.prepared import PreparedData
from scalesearch.errors import DivergedError, MissingPackageError
from scalesearch.train.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from scalesearch.train.trainer import TrainResult

__all__ = ["TIMING_FIELDS", "TrialRecord", "TrialRequest", "promised_record", "run_group", "run_trial"]

TIMING_FIELDS: Final = ("train_seconds", "seconds", "started_at", "finished_at", "worker", "attempt", "execution")


@dataclass(frozen=True, slots=True)
class TrialRequest:
    """One unit of work. `epochs` is part of the recipe; `key` identifies the content."""

    spec: NetSpec
    recipe: Recipe
    data: PreparedData
    seed: int

    @property
    def key(self) -> str:
        """32 hex digits over network, recipe (with epochs), data and seed: equal content, equal key."""
        parts = (self.spec.fingerprint, self.recipe.fingerprint, self.data.fingerprint, str(self.seed))
        return hashlib.sha256("/".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """What one unit of work gave. Missing values are None, never 0.

    `fingerprint`, `macs`, `params`, `activations` describe the network that was trained;
    `fvcore_macs` is the reference count of the same network (None where fvcore is not installed).
    `accuracy` is top-1 on the validation part, 0..1; `loss` its mean cross-entropy in nats.
    `execution` says how the steps were run (replayed as a CUDA graph, step by step and why).
    `final` says that running it again would give the same; False where the machine failed and not the trial.
    """

    key: str
    fingerprint: str
    recipe: str
    data: str
    seed: int
    epochs: int
    status: Literal["done", "failed"]
    accuracy: float | None = None
    loss: float | None = None
    train_loss: float | None = None
    macs: int | None = None
    params: int | None = None
    activations: int | None = None
    fvcore_macs: int | None = None
    resolution: int | None = None
    n_train: int | None = None
    n_val: int | None = None
    steps: int | None = None
    device: str | None = None
    error: str | None = None
    train_seconds: float | None = None
    seconds: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    worker: str | None = None
    attempt: int = 1
    final: bool = True
    execution: str | None = None


def run_trial(request: TrialRequest, *, device: str = "auto") -> TrialRecord:
    """Train the network of a request and record what came of it.

    A training that diverged is a result: its record has status "failed", the reason, and no accuracy.

    Raises:
        VerificationError: fvcore counts another network than the closed form.
        InputError: the request cannot be trained (wrong channels, unreadable data, no such device).
    """
    from scalesearch.train.trainer import train_net  # here, because the record is also read where torch is not needed

    started_at, started = now(), time.perf_counter()
    try:
        result: TrainResult | DivergedError = train_net(
            request.spec, request.recipe, request.data, request.seed, device=device
        )
    except DivergedError as error:
        result = error
    record = _record_of(request, result)
    return replace(record, started_at=started_at, finished_at=now(), seconds=time.perf_counter() - started)


def run_group(requests: Sequence[TrialRequest], *, device: str = "auto") -> list[TrialRecord]:
    """The records of requests that differ in their seeds alone, trained as one network where that gives the same.

    `seconds` and `train_seconds` are the group's over the number of seeds, `started_at` and `finished_at` follow one
    another, and `execution` says that they were shared. Where the network cannot be grouped, each seed is
    trained alone and says why.

    Raises:
        as `run_trial`.
    """
    from scalesearch.train.grouped_trainer import reason_against_a_group, train_group

    first = requests[0]
    assert all(replace(request, seed=first.seed) == first for request in requests), "only seeds differ in a group"
    seeds = [request.seed for request in requests]
    reason = reason_against_a_group(first.spec, first.recipe, seeds, device=device)
    if reason is not None:
        alone = [run_trial(request, device=device) for request in requests]
        return [replace(record, execution=f"{record.execution}; not grouped: {reason}") for record in alone]
    started_at, started = now(), time.perf_counter()
    results = train_group(first.spec, first.recipe, first.data, seeds, device=device)
    records = [_record_of(request, result) for request, result in zip(requests, results, strict=True)]
    share = (time.perf_counter() - started) / len(requests)
    return [
        replace(
            record,
            seconds=share,
            started_at=started_at + number * share,
            finished_at=started_at + (number + 1) * share,
        )
        for number, record in enumerate(records)
    ]


def _record_of(request: TrialRequest, result: TrainResult | DivergedError) -> TrialRecord:
    """What came of a training, without its times."""
    record = promised_record(request)
    if isinstance(result, DivergedError):
        return replace(record, status="failed", error=str(result))
    return replace(
        record,
        accuracy=result.accuracy,
        loss=result.loss,
        train_loss=result.train_loss,
        n_train=result.n_train,
        n_val=result.n_val,
        steps=result.steps,
        device=result.device,
        train_seconds=result.train_seconds,
        fvcore_macs=_reference_macs(request.spec, result.net),
        execution=result.execution,
    )


def promised_record(request: TrialRequest) -> TrialRecord:
    """What is known of a unit of work before it is trained."""
    cost = cost_of(request.spec)
    return TrialRecord(
        key=request.key,
        fingerprint=request.spec.fingerprint,
        recipe=request.recipe.fingerprint,
        data=request.data.fingerprint,
        seed=request.seed,
        epochs=request.recipe.epochs,
        status="done",
        macs=cost.macs,
        params=cost.params,
        activations=cost.activations,
        resolution=request.spec.resolution,
    )


def _reference_macs(spec: NetSpec, net: nn.Module) -> int | None:
    """fvcore's multiply-adds of a trained network, counted once per network and process; None without fvcore."""
    from scalesearch.measure.verify import verify

    if spec.fingerprint not in _REFERENCE_MACS:
        try:
            _REFERENCE_MACS[spec.fingerprint] = verify(spec, net).macs
        except MissingPackageError:
            _REFERENCE_MACS[spec.fingerprint] = None
    return _REFERENCE_MACS[spec.fingerprint]


_REFERENCE_MACS: dict[str, int | None] = {}
