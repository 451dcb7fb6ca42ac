"""What may be said anew when a run is continued: settings that change no result."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Final

from scalesearch.config.compose import compose
from scalesearch.errors import ConfigError

__all__ = ["resumed_values"]

# how and where a run is executed, how long, and where its data lie; GridSettings.identity leaves out the same
_KEYS: Final = frozenset(
    {"engine", "minutes", "verify", "race.max_trainings", "data.path", "data.root", "data.cache_dir"}
)
_WAYS: Final = "engine=, engine.KEY=, minutes=, race.max_trainings=, verify= and where data lie; else start a new run"


def resumed_values(stored: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The stored configuration of a grid with overrides of settings that change no result.

    Raises:
        ConfigError: an override that would change results, or one that cannot be read.
    """
    values: dict[str, Any] = copy.deepcopy(dict(stored))
    if not overrides:
        return values
    keys = [text.partition("=")[0] for text in overrides]
    for key, text in zip(keys, overrides, strict=True):
        if key not in _KEYS and not key.startswith("engine."):
            raise ConfigError("resume takes only settings that change no result", value=text, way_out=f"take {_WAYS}")
    # the data set is the stored one, so that its own keys can be overridden
    data = values.get("data")
    composed = compose("grid", [*([f"data={data['name']}"] if isinstance(data, dict) else []), *overrides])
    for key in keys:
        target, source = values, composed
        *parents, last = key.split(".")
        for name in parents:
            target, source = target.setdefault(name, {}), source[name]
        target[last] = source[last]
    return values
