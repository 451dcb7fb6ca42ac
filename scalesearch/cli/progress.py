"""`--progress json`: what stderr shows while a command works."""

from __future__ import annotations

import json
import os
import time

import typer

from scalesearch.report.screen import PROGRESS

__all__ = ["choose_progress", "complaint", "tell"]


def choose_progress(value: str | None) -> str | None:
    """Remember the choice where `open_screen` looks for it, also in steps that start screens of their own."""
    if value is None:
        return None
    if value != "json":
        raise typer.BadParameter("it takes json, and words are shown without it")
    os.environ[PROGRESS] = value
    return value


def complaint(line: str, table: str, exit_code: int) -> str:
    """What stderr says of an error: words, or an event."""
    if os.environ.get(PROGRESS) == "json":
        event = {"time": round(time.time(), 3), "event": "error", "text": line, "exit_code": exit_code}
        return json.dumps(event | ({"table": table.splitlines()} if table else {}))
    text = f"error: {line}" + (f"\n{table}" if table else "")
    # a file's name or content may hold characters that command the terminal
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def tell(line: str) -> None:
    """A line on stderr between two screens: words, or an event."""
    if os.environ.get(PROGRESS) == "json":
        line = json.dumps({"time": round(time.time(), 3), "event": "said", "text": line})
    typer.echo(line, err=True)
