"""`scalesearch train`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from scalesearch.cli.app import app
from scalesearch.cli.options import AsJson, ConfigDir, Data, Name, Overrides, Progress
from scalesearch.cli.study import now, run_folder, run_study

_EPILOG = """\b
Config groups, as GROUP=CHOICE; single settings as GROUP.KEY=VALUE:
  data    fashion_mnist cifar10 cifar100 imagefolder npz_jpeg synthetic
  recipe  quick cifar imagenet progressive
  debug   tiny              the whole path in seconds

\b
Examples:
  scalesearch train efficientnet_b0 --data cifar10 --resolution 32 stem_stride=1 recipe=cifar --name first
  scalesearch train mobilenet_v2 --data path/to/pictures --init weights.safetensors recipe.freeze_epochs=2
  scalesearch resume runs/train/first
"""


@app.command(epilog=_EPILOG)
def train(
    spec: Annotated[str, typer.Argument(help="A catalog name (efficientnet_b0) or a spec JSON file.")],
    overrides: Overrides = None,
    data: Data = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the pictures. Default: the recipe's.")] = None,
    resolution: Annotated[int | None, typer.Option(help="Side of the pictures in px. Default: the network's.")] = None,
    init: Annotated[
        str | None,
        typer.Option(help="Weights to start from (.safetensors); a classifier of other classes is replaced."),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Workers that train together, through Ray Train.")] = None,
    name: Name = None,
    runs_dir: Annotated[str | None, typer.Option(help="Where runs lie. Default: runs.")] = None,
    config_dir: ConfigDir = None,
    progress: Progress = None,
    as_json: AsJson = False,
) -> None:
    """Train one network for longer, from scratch or from weights, with checkpoints."""
    from scalesearch.config import compose, data_choice, train_settings

    choices, flags = data_choice(data)
    given = {"epochs": epochs, "resolution": resolution, "init": init, "workers": workers, "runs_dir": runs_dir}
    typed = flags | {"spec": spec} | {key: value for key, value in given.items() if value is not None}
    values = compose("train", overrides or [], choices=choices, flags=typed, config_dir=config_dir)
    settings = train_settings(values)
    # a file's name may hold what a run's may not
    default = f"{re.sub('[^A-Za-z0-9]+', '_', Path(settings.spec).stem).strip('_') or 'net'}-{now()}"
    run_study("train", values, run_folder(settings.runs_dir, "train", name or default), as_json=as_json)
