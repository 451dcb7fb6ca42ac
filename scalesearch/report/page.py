"""A run as one HTML page that needs nothing else: no network, no scripts, pictures inside."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2
import pandas as pd
import yaml

from scalesearch.report.page_tables import (
    candidates_table,
    facts,
    family_table,
    folded_words,
    leaders_table,
    proxy_words,
    region_words,
)
from scalesearch.units import format_count

__all__ = ["grid_page"]

_CAPTIONS: Final[Mapping[str, str]] = {
    "landscape": "What differs between candidates is how the growth of cost is shared. A point's "
    "shares are log α, 2 log β and 2 log γ over their sum, so the corners grow one axis only. Colour is the objective, "
    "with the effects of the seeds removed.",
    "ranking": "The same objective, candidate by candidate, with 95 % intervals. Candidates are compared on the seeds "
    "they share, which tells more than the overlap of two intervals.",
    "accuracy_macs": "Accuracy of the trained proxies against what the full-size networks cost. Points differ in cost "
    "because widths, depths and resolutions are whole numbers; the objective prices the difference.",
}


def grid_page(
    summary: Mapping[str, Any], standings: pd.DataFrame, figures: Mapping[str, bytes], config_yaml: str
) -> str:
    """The page of a grid.

    Args:
        summary: what summary.json holds.
        standings: one row per trained candidate, best first.
        figures: PNG bytes by name, shown in this order.
        config_yaml: the settings that repeat the run; the page shows only the last part of each path in them.
    """
    return _template("grid.html").render(
        title=f"Scaling grid: {summary['baseline']['name']} at {format_count(summary['target_macs'])}",
        sentence=_as_sentence(str(summary["sentence"]), summary["winner"]["rules"]),
        enough=summary["enough_evidence"],
        leaders=leaders_table(summary),
        region=region_words(summary["winner"]),
        folded=folded_words(summary["winner"]),
        figures=[(name, _data_uri(png), _caption(name, summary, standings)) for name, png in figures.items()],
        candidates=candidates_table(standings),
        family=family_table(summary["phi_preview"]),
        ratio=f"{summary['ratio']:g}",
        facts=facts(summary),
        proxy=proxy_words(summary),
        warnings=[_as_sentence(warning) for warning in summary["warnings"]],
        config=_without_folders(config_yaml),
    )


def _caption(name: str, summary: Mapping[str, Any], standings: pd.DataFrame) -> str:
    words = _CAPTIONS.get(name, "")
    if name != "landscape":
        return words
    low, high = standings["realised_ratio"].min(), standings["realised_ratio"].max()
    cost = f"{low:.2f} to {high:.2f} times the baseline"
    if summary["constraint"] == "realised":
        return f"Every candidate costs about the same, {cost}. {words}"
    return f"The constraint is nominal, so that candidates really cost {cost}. {words}"


def _without_folders(config_yaml: str) -> str:
    """A page is passed on, and where things lie on this machine is nobody else's concern."""
    try:
        values = yaml.safe_load(config_yaml)
    except yaml.YAMLError:
        values = None
    if not isinstance(values, dict):
        return "# config.yaml could not be read when this page was made"
    for holder, keys in ((values, ("baseline", "runs_dir")), (values.get("data"), ("path", "root", "cache_dir"))):
        for key in keys:
            if isinstance(holder, dict) and isinstance(holder.get(key), str):
                holder[key] = Path(holder[key]).name or holder[key]
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


@cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("scalesearch.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def _as_sentence(text: str, names: Sequence[str] = ()) -> str:
    """A text with a capital and a full stop; a name it begins with stays as it is."""
    start = text[:1] if text.startswith(tuple(names)) else text[:1].upper()
    return f"{start}{text[1:]}{'' if text.endswith('.') else '.'}"
