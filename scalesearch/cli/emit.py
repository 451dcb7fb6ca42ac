"""`scalesearch emit`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from scalesearch.cli.app import app
from scalesearch.cli.options import AsJson, RunsDir

_EPILOG = """\b
Examples:
  scalesearch emit efficientnet_b0 --out b0
  scalesearch emit scale/NAME --out family --format torch,timm,onnx
  scalesearch emit runs/search/NAME/best.json --out best --weights runs/train/NAME/weights.safetensors
"""


@app.command(epilog=_EPILOG)
def emit(
    specs: Annotated[
        list[str],
        typer.Argument(metavar="SPEC...", help="Catalog names, spec JSON files, or folders of scale or search."),
    ],
    out: Annotated[Path, typer.Option(help="A folder that is new, empty, or was written by the same command.")],
    formats: Annotated[
        str, typer.Option("--format", help="Of torch, timm, torchvision, onnx, exported; several with commas.")
    ] = "torch",
    weights: Annotated[
        list[str] | None,
        typer.Option(help="FILE.safetensors, or NAME=FILE.safetensors of one of several networks; may be repeated."),
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
    emitted = deliver(gather(specs, runs_dir), out, chosen, weights=weights or [], verify=verify)
    if as_json:
        typer.echo(json.dumps([asdict(row) | {"path": str(row.path)} for row in emitted], indent=2))
        return
    for path in dict.fromkeys(row.path for row in emitted):
        names = ", ".join(row.name for row in emitted if row.path == path)
        typer.echo(f"{path}  {names}")
