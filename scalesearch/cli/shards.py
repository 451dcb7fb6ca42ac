"""`scalesearch shards`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from scalesearch.cli.app import app
from scalesearch.cli.options import AsJson, ConfigDir, Overrides

_EPILOG = """\b
Examples:
  scalesearch shards --data path/to/pictures --out shards
  scalesearch train efficientnet_b0 stream=shards
"""


@app.command(epilog=_EPILOG)
def shards(
    data: Annotated[str, typer.Option(help="A folder of class folders, or a .npz file of pictures.")],
    out: Annotated[Path, typer.Option(help="A new or empty folder.")],
    overrides: Overrides = None,
    pictures_per_shard: Annotated[int, typer.Option(help="Pictures in one tar file.")] = 1000,
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """Rewrite a data set as tar files that `train stream=FOLDER` reads front to back: for more pictures than memory."""
    from scalesearch.config import compose, data_choice, train_settings
    from scalesearch.data.shard_source import shard_source
    from scalesearch.report.screen import open_screen

    choices, flags = data_choice(data)
    settings = train_settings(compose("train", overrides or [], choices=choices, flags=flags, config_dir=config_dir))
    with open_screen() as screen:
        written = shard_source(
            settings.data, out.expanduser(), pictures_per_shard=pictures_per_shard, progress=screen.stage
        )
    counts = {part: written.count(part) for part in written.parts}
    files = sum(map(len, written.parts.values()))
    values = {"path": str(written.folder), "files": files, **counts, "classes": len(written.class_names)}
    words = (
        f"{files} shards of {counts['train']:,} training and {counts['val']:,} validation pictures: {written.folder}"
    )
    typer.echo(json.dumps(values, indent=2) if as_json else words)
