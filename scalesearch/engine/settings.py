"""How trials are executed: plain values, nothing started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scalesearch.errors import ConfigError, UnknownNameError

__all__ = ["ENGINES", "EngineSettings"]

ENGINES: Final = ("ray", "serial", "tune")


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Settings of an engine; none of them changes a result (`group_seeds` by rounding only).

    Args:
        name: one of `ENGINES`.
        slots: trials at the same time; None is as many as the machine or cluster has room for.
        cpus_per_trial: cores reserved for one trial; keep it at the recipe's threads.
        gpus_per_trial: GPUs reserved for one trial, 0.5 shares one between two; None is 1 where there are
            GPUs and 0 elsewhere.
        pack: let as many trials share a GPU as their memory estimate allows, where gpus_per_trial is None (grid only).
        address: of a running Ray cluster, "HOST:PORT" or "auto"; None starts Ray on this machine only.
        max_attempts: how often a trial whose worker dies or that crashes is started before it counts as failed.
        trial_timeout: seconds after which a trial counts as hung; None waits for ever.
        group_seeds: the most trials that differ in their seeds alone and are trained as one network in one slot
            (docs/gpu.md); their results change by rounding. None is 1; not for engine=tune.
        storage: where engine=tune keeps Tune's logs, a folder or a URI such as "s3://bucket/logs"; None is a
            temporary folder. Results never come from there.

    Raises:
        ConfigError: a value outside these rules.
    """

    name: str = "ray"
    slots: int | None = None
    cpus_per_trial: float = 1.0
    gpus_per_trial: float | None = None
    address: str | None = None
    max_attempts: int = 2
    trial_timeout: float | None = None
    storage: str | None = None
    pack: bool = False
    group_seeds: int | None = None

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise UnknownNameError.of("engine", self.name, ENGINES)
        _check("slots", self.slots, 1, 100_000, whole=True)
        _check("cpus_per_trial", self.cpus_per_trial, 0.01, 10_000)
        _check("gpus_per_trial", self.gpus_per_trial, 0, 1024)
        _check("max_attempts", self.max_attempts, 1, 100, whole=True)
        _check("trial_timeout", self.trial_timeout, 0.001, 1e9)
        _check("group_seeds", self.group_seeds, 1, 8, whole=True)
        if self.name == "tune" and self.group_seeds not in (None, 1):
            rule = "engine=tune runs every seed as a trial of its own, so engine.group_seeds must be 1"
            raise ConfigError(rule, value=self.group_seeds, way_out="use engine=ray or engine=serial, or leave it out")
        if self.address is not None and self.address.strip() in ("", "local"):
            raise ConfigError(
                'engine.address must be "HOST:PORT" or "auto"', value=self.address, way_out="leave it out"
            )
        if self.storage is not None and (self.name != "tune" or not self.storage.strip()):
            rule = "engine.storage must name a folder or a URI, and is for engine=tune only"
            raise ConfigError(rule, value=self.storage, way_out="leave it out")
        if self.name == "serial" and self.slots not in (None, 1):
            raise ConfigError("engine=serial runs one trial at a time", value=self.slots, way_out="use engine=ray")


def _check(name: str, value: float | None, low: float, high: float, *, whole: bool = False) -> None:
    if value is None and name in ("slots", "gpus_per_trial", "trial_timeout", "group_seeds"):
        return
    kind = int if whole else (int, float)
    if not isinstance(value, kind) or isinstance(value, bool) or not low <= value <= high:
        what = "a whole number" if whole else "a number"
        raise ConfigError(f"engine.{name} must be {what} from {low:g} to {high:g}", value=value)
