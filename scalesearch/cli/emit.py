"""`scalesearch emit`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalesearch.cli.app import app
from scalesearch.cli.options import AsJson, RunsDir
from scalesearch.errors import ConfigError

if TYPE_CHECKING:
    from scalesearch.studies.delivery import Delivery

_EPILOG = """\b
Examples:
  scalesearch emit efficientnet_b0 --out b0
  scalesearch emit scale/NAME --out family --format torch,timm,onnx
  scalesearch emit train/NAME --out best --format torch,onnx --calibrate cifar10
"""


@app.command(epilog=_EPILOG)
def emit(
    specs: Annotated[
        list[str],
        typer.Argument(metavar="SPEC...", help="Catalog names, spec JSON files, or folders of scale, search or train."),
    ],
    out: Annotated[Path, typer.Option(help="A folder that is new, empty, or was written by the same command.")],
    formats: Annotated[
        str, typer.Option("--format", help="Of torch, timm, torchvision, onnx, exported; several with commas.")
    ] = "torch",
    weights: Annotated[
        list[str] | None,
        typer.Option(help="FILE.safetensors, or NAME=FILE.safetensors of one of several networks; may be repeated."),
    ] = None,
    calibrate: Annotated[
        str | None,
        typer.Option(
            help="With format onnx: also 8-bit files, calibrated on 64 pictures of this data set (a name, a folder of "
            "class folders, a .npz file)."
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option(help="Import every module in a clean process and compare its networks with the specs.")
    ] = True,
    runs_dir: RunsDir = "runs",
    as_json: AsJson = False,
) -> None:
    """Write networks in forms that other tools load, with weights, a model card and a manifest."""
    from scalesearch.studies.delivery import deliver, gather

    chosen = [name.strip() for name in formats.split(",") if name.strip()]
    delivery = gather(specs, runs_dir)
    calibration = None if calibrate is None else _pictures(calibrate, chosen, delivery)
    emitted = deliver(delivery, out, chosen, weights=weights or [], verify=verify, calibration=calibration)
    if as_json:
        typer.echo(json.dumps([asdict(row) | {"path": str(row.path)} for row in emitted], indent=2))
        return
    for path in dict.fromkeys(row.path for row in emitted):
        names = ", ".join(row.name for row in emitted if row.path == path)
        typer.echo(f"{path}  {names}")


def _pictures(data: str, formats: list[str], delivery: Delivery) -> Any:
    """Pictures for 8-bit files, from what --calibrate names."""
    from scalesearch.config import compose, data_choice, train_settings
    from scalesearch.train.calibration import calibration_pictures

    if "onnx" not in formats:
        raise ConfigError("--calibrate is for 8-bit ONNX files", value=", ".join(formats), way_out="add --format onnx")
    choices, flags = data_choice(data)
    settings = train_settings(compose("train", choices=choices, flags=flags))
    return calibration_pictures(delivery.specs, settings.data)
