"""`scalesearch cost`: what is known of a network without training it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from scalesearch.cli.app import app
from scalesearch.cli.options import AsJson


@app.command()
def cost(
    spec: Annotated[str, typer.Argument(help="A catalog name (efficientnet_b0) or a spec JSON file.")],
    resolution: Annotated[int | None, typer.Option(help="Input side in px instead of the network's own.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Count with fvcore too and compare.")] = False,
    latency: Annotated[bool, typer.Option("--latency", help="Time one picture on one CPU thread.")] = False,
    as_json: AsJson = False,
) -> None:
    """Multiply-adds, parameters and activations of a network, stage by stage."""
    from scalesearch.arch.catalog import load_spec
    from scalesearch.report.tables import cost_report, cost_table

    net = load_spec(spec)
    if resolution is not None:
        net = net.with_(resolution=resolution)
    report = cost_report(net)
    if verify:
        from scalesearch.measure.verify import verify as count_with_fvcore

        counts = count_with_fvcore(net)
        report |= {"fvcore_macs": counts.macs, "fvcore_total": counts.total}
    if latency:
        from scalesearch.measure.latency import latency as measure_latency

        report |= {"latency": asdict(measure_latency(net))}
    typer.echo(json.dumps(report, indent=2) if as_json else cost_table(report))
