"""Options and arguments that verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

from scalesearch.cli.progress import choose_progress

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Hydra overrides: data=cifar10 proxy.epochs=2 debug=tiny"),
]
ResumeOverrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Settings that change no result: engine=serial engine.slots=4 minutes=20 race.max_trainings=80 "
        "verify=false data.path=MOVED",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Progress = Annotated[
    str | None,
    typer.Option(
        metavar="json",
        help="One event a line on stderr, as JSON, instead of words (docs/watching.md).",
        callback=choose_progress,
        expose_value=False,
    ),
]
Name = Annotated[str | None, typer.Option(help="Of the run; repeating a name continues it.")]
RunsDir = Annotated[str, typer.Option(help="Where runs lie.")]
Data = Annotated[
    str | None,
    typer.Option(help="A data set's name, a folder of class folders, a .npz file. Default: fashion_mnist."),
]
ConfigDir = Annotated[str | None, typer.Option(help="A folder with config groups of your own.")]
