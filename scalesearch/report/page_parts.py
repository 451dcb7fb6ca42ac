"""What all pages of results share: templates, pictures inside, and settings that tell nothing of this machine."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

__all__ = ["as_sentence", "data_uri", "names_in", "render_page", "settings_text", "study_page"]


def render_page(template: str, **values: Any) -> str:
    """A page from a template of `report/templates`; every string among `values` is escaped, and none may be missing."""
    text, digest = _script("sort.js")
    return _environment().get_template(template).render(script=text, script_hash=digest, **values)


def study_page(
    template: str,
    summary: Mapping[str, Any],
    pictures: Mapping[str, bytes],
    config_yaml: str,
    *,
    title: str,
    enough: bool,
    captions: Mapping[str, str],
    sentence: str | None = None,
    **parts: Any,
) -> str:
    """The page of one study: what all of them show, and the parts that its template lays out.

    Args:
        summary: what summary.json holds.
        pictures: PNG bytes by name, shown in this order.
        config_yaml: the settings that repeat the run; the page shows only the last part of each path in them.
        enough: whether the evidence carries what the sentence says.
        sentence: the outcome; the summary's without one.
    """
    names = names_in(summary)
    return render_page(
        template,
        title=title,
        sentence=as_sentence(str(summary["sentence"]) if sentence is None else sentence, names),
        enough=enough,
        figures=[(name, data_uri(png), captions.get(name, "")) for name, png in pictures.items()],
        warnings=[as_sentence(str(warning), names) for warning in summary["warnings"]],
        config=settings_text(config_yaml),
        **parts,
    )


def data_uri(png: bytes) -> str:
    """A picture as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def names_in(summary: Mapping[str, Any]) -> list[str]:
    """Networks, rules and curves of a study, which keep their small letter where they begin a sentence."""
    networks = [(summary.get(part) or {}).get("name") for part in ("best", "baseline")]
    rules = (summary.get("winner") or {}).get("rules") or ()
    curves = [fit["curve"] for fit in summary.get("fits") or ()]
    return [str(name) for name in (*networks, *rules, *curves) if name]


def as_sentence(text: str, names: Sequence[str] = ()) -> str:
    """A text with a capital and a full stop; a name it begins with stays as it is."""
    start = text[:1] if text.startswith(tuple(names)) else text[:1].upper()
    return f"{start}{text[1:]}{'' if text.endswith('.') else '.'}"


def settings_text(config_yaml: str) -> str:
    """A page is passed on, and where things lie on this machine is nobody else's concern."""
    try:
        values = yaml.safe_load(config_yaml)
    except yaml.YAMLError:
        values = None
    if not isinstance(values, dict):
        return "# config.yaml could not be read when this page was made"
    pairs = (
        (values, ("baseline", "base", "runs_dir")),
        (values.get("data"), ("path", "root", "cache_dir")),
        (values.get("evaluator"), ("path",)),
    )
    for holder, keys in pairs:
        for key in keys:
            if isinstance(holder, dict) and isinstance(holder.get(key), str):
                holder[key] = Path(holder[key]).name or holder[key]
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


@cache
def _script(name: str) -> tuple[Markup, str]:
    """A script of `report/templates`, and its hash, by which the page's policy allows that script and no other."""
    text = files("scalesearch.report").joinpath("templates", name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return Markup(text), f"sha256-{digest}"


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("scalesearch.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
