"""`scalesearch train`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scalesearch.cli.app import app
from scalesearch.cli.options import AsJson, ConfigDir, Data, Name, Overrides, Progress
from scalesearch.cli.study import composed, named_after, run_folder, run_study

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
    from scalesearch.config import train_settings

    flags: dict[str, Any] = {
        "epochs": epochs,
        "resolution": resolution,
        "init": init,
        "workers": workers,
        "runs_dir": runs_dir,
    }
    values = composed("train", overrides, data, config_dir, spec=spec, **flags)
    settings = train_settings(values)
    folder = run_folder(settings.runs_dir, "train", name or named_after(settings.spec))
    run_study("train", values, folder, as_json=as_json)
