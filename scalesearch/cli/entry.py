"""The entry point: runs the app and turns errors into one line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer

from scalesearch.cli.app import app
from scalesearch.cli.progress import complaint
from scalesearch.errors import ScaleSearchError
from scalesearch.remote.secrets import redacted

__all__ = ["main"]


def main() -> NoReturn:
    """Entry point: run the app and turn errors into one line and an exit code."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        # outside standalone mode typer returns the code of typer.Exit instead of exiting
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except ScaleSearchError as error:
        code = error.exit_code
        _complain(str(error), code, getattr(error, "table", ""))
    except (KeyboardInterrupt, typer.Abort):
        code = 130
        _complain("interrupted before anything was started", code)
    except BrokenPipeError:
        # the reader of our output went away (| head): that is no failure of ours, and nothing can be printed
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        code = 0
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        code = 2  # typer's usage errors: unknown option, missing argument
        _complain(" ".join(error.format_message().split()) + "; see scalesearch --help", code)
    sys.exit(code if isinstance(code, int) else 0)


def _complain(line: str, code: int, table: str = "") -> None:
    text = redacted(complaint(line, table, code))
    # in the C locale stderr may not hold every character of a path
    encoding = sys.stderr.encoding or "ascii"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)
