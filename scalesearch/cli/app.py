"""The application that the verbs register with."""

from __future__ import annotations

import typer

__all__ = ["app"]

app = typer.Typer(
    name="scalesearch",
    help="How should my network grow? Compound scaling found on realised cost, with evidence.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
