"""What the scripts in experiments/ share: a configuration composed by `hydra.main` becomes a run of a verb.

The run's name is made from what identifies its results, so that a multirun that is repeated continues every one of its
runs from the ledger instead of starting again.
"""

from __future__ import annotations

import hashlib
import json
import sys
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final

from scalesearch.config.axes import axes_settings
from scalesearch.config.compose import anchored, to_yaml
from scalesearch.config.grid import grid_settings
from scalesearch.config.search import search_settings
from scalesearch.errors import InterruptedRun, ScaleSearchError
from scalesearch.report.screen import open_screen
from scalesearch.store.run_folder import RunFolder, plain_json
from scalesearch.studies.axes import run_axes
from scalesearch.studies.baseline import run_search
from scalesearch.studies.grid import run_grid

__all__ = ["run_experiment"]

_VERBS: Final[Mapping[str, tuple[Callable[[Mapping[str, Any]], Any], Callable[..., dict[str, Any]]]]] = {
    "axes": (axes_settings, run_axes),
    "grid": (grid_settings, run_grid),
    "search": (search_settings, run_search),
}


def run_experiment(verb: str, config: Any, *, own: tuple[str, ...] = ()) -> dict[str, Any]:
    """Run one job of a script.

    Args:
        verb: what the configuration is for.
        config: as `hydra.main` hands it over.
        own: keys that only the experiment's file knows (and has used, by interpolation).

    Returns:
        What summary.json holds.

    Raises:
        SystemExit: the line was printed; its code is 2 where the input was wrong, 130 or 143 after a signal, else 1.
    """
    from omegaconf import OmegaConf

    values = typing.cast(dict[str, Any], OmegaConf.to_container(config, resolve=True, throw_on_missing=True))
    for key in own:
        values.pop(key)
    read, run = _VERBS[verb]
    try:
        settings = read(anchored(values))
        identity = json.dumps(plain_json(settings.identity()), sort_keys=True)
        name = f"experiment-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
        folder = RunFolder.plan(settings.runs_dir, verb, name)
        summary = run(settings, folder, to_yaml(values), open_screen())
    except ScaleSearchError as error:
        print(f"error: {error}", file=sys.stderr)
        if isinstance(error, InterruptedRun):
            print("what was finished is kept: repeat the command to continue", file=sys.stderr)
        raise SystemExit(error.exit_code) from error
    print(f"{summary['sentence']}\n{folder.path}")
    return summary
