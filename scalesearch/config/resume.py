"""What may be said anew when a run is continued: settings that change no result."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Final

from scalesearch.config.compose import compose
from scalesearch.errors import ConfigError

__all__ = ["resumed_values"]

# how and where a run is executed, how long, and where its data lie; GridSettings.identity leaves out the same
_ALWAYS: Final = frozenset({"engine", "minutes", "race.max_trainings", "data.path", "data.root", "data.cache_dir"})
_KEYS: Final = {
    "axes": (_ALWAYS - {"race.max_trainings"})
    | {
        "seeds.at_least",
        "seeds.at_most",
        "seeds.beyond_minutes",
        "check.epochs",
        "check.points",
        "check.seeds",
        "share",
    }
    | {"confidence", "points_per_doubling"},
    "grid": _ALWAYS | {"verify"},
    "search": _ALWAYS | {"trials", "evaluator.path"},
    "train": frozenset(
        {"data.path", "data.root", "data.cache_dir", "init", "stream", "max_failures", "keep", "mirror", "tensorboard"}
    ),
}


def resumed_values(verb: str, stored: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The stored configuration of a run with overrides of settings that change no result.

    Raises:
        ConfigError: an override that would change results, or one that cannot be read.
    """
    values: dict[str, Any] = copy.deepcopy(dict(stored))
    _refuse_foreign_cluster(values, overrides)
    if not overrides:
        return values
    keys = [text.partition("=")[0] for text in overrides]
    for key, text in zip(keys, overrides, strict=True):
        if key not in _KEYS[verb] and not key.startswith("engine."):
            ways = ", ".join(f"{known}=" for known in sorted({"engine.KEY", *_KEYS[verb]}))
            raise ConfigError(
                "resume takes only settings that change no result",
                value=text,
                way_out=f"take {ways}; else start a new run",
            )
    # the data set is the stored one, so that its own keys can be overridden
    groups = [name for name in ("data", "evaluator") if isinstance(values.get(name), dict)]
    composed = compose(verb, [*(f"{name}={values[name]['name']}" for name in groups), *overrides])
    for key in keys:
        target, source = values, composed
        *parents, last = key.split(".")
        for name in parents:
            target, source = target.setdefault(name, {}), source[name]
        target[last] = source[last]
    return values


def _refuse_foreign_cluster(values: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """A run folder may come from somebody else, and whoever names the cluster can run code here: Ray unpickles answers.

    Raises:
        ConfigError: the stored settings name a cluster on another machine, and the overrides name none.
    """
    engine = values.get("engine")
    address = engine.get("address") if isinstance(engine, Mapping) else None
    host = str(address).removeprefix("ray://").rpartition(":")[0]
    if address in (None, "auto") or host in ("127.0.0.1", "localhost", "[::1]"):
        return
    if not any(text.startswith(("engine=", "engine.address=")) for text in overrides):
        raise ConfigError(
            "a cluster that a run folder names must be named again, because its workers' answers can run code here",
            value=address,
            way_out=f"if you trust it, add engine.address={address}; or engine=ray for this machine",
        )
