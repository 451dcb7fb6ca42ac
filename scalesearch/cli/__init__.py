"""The command line: verbs -> config -> study. Heavy parts are imported inside the verbs, so that --help is quick.

Exit codes: 0 done, 1 failed, 2 the user's input was wrong (one line, no traceback), 130 or 143 interrupted.
"""

# each registers its verbs, in this order
from scalesearch.cli import (  # noqa: F401
    axes,
    doctor,
    emit,
    grid,
    networks,
    report,
    run,
    runs,
    scale,
    search,
    shards,
    train,
)
from scalesearch.cli.app import app
from scalesearch.cli.entry import main

__all__ = ["app", "main"]
