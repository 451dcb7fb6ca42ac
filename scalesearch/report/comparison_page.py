"""Several runs side by side as one HTML page: what differs in their settings, what came out, and their figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from scalesearch.errors import RunFolderError
from scalesearch.report.key_numbers import key_numbers
from scalesearch.report.page_cells import MISSING, Table
from scalesearch.report.page_parts import as_sentence, data_uri, names_in, render_page, settings_text
from scalesearch.report.redraw import FIGURES, config_text, pictures_of
from scalesearch.store.run import Run

__all__ = ["comparability", "comparison_page", "differing_settings"]

_LONGEST: Final = 60  # characters of a setting in a table
_TRAINING: Final = ("proxy", "recipe")


def comparison_page(runs: Sequence[Run]) -> str:
    """The page of several finished runs, in the order in which they are given.

    Raises:
        RunFolderError: a run of an unknown kind, or one with a file that is missing or of another version.
    """
    summaries = [run.summary for run in runs]
    try:
        numbers = [key_numbers(summary) for summary in summaries]
        sentences = [as_sentence(str(summary["sentence"]), names_in(summary)) for summary in summaries]
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise RunFolderError(
            f"compared runs must be finished ones of {', '.join(FIGURES)}, of this version",
            value=f"{type(error).__name__} {error}",
            way_out="leave out the other runs",
        ) from error
    labels, texts = _labels(runs), [settings_text(config_text(run)) for run in runs]
    configs = [yaml.safe_load(text) or {} for text in texts]
    unknown = [label for label, config in zip(labels, configs, strict=True) if not config]
    alarms, notes = comparability(summaries, [config for config in configs if config])
    pictures = [pictures_of(run) for run in runs]
    return render_page(
        "comparison.html",
        title=f"{len(runs)} runs side by side",
        sentence=_sentence(summaries, alarms),
        enough=not alarms,
        alarms=alarms,
        numbers=_rows_table("", labels, numbers),
        settings=_rows_table("setting", labels, [] if unknown else differing_settings(texts)),
        unknown=unknown,
        outcomes=list(zip(labels, sentences, strict=True)),
        warnings=[*notes, *_warnings(labels, summaries)],
        rows=_figure_rows(labels, pictures),
        configs=list(zip(labels, texts, strict=True)),
        figures=[],
        facts=[],
    )


def differing_settings(texts: Sequence[str]) -> list[dict[str, str]]:
    """Of each run's config.yaml those settings that are not the same in all, by dotted name.

    A group that only some kinds of study have is left out, because its absence is no difference between runs.
    """
    configs = [yaml.safe_load(text) or {} for text in texts]
    shared = set.intersection(*(set(config) for config in configs)) - {"runs_dir"}
    flat = [dict(_flat({key: value for key, value in config.items() if key in shared})) for config in configs]
    names = dict.fromkeys(name for values in flat for name in values)
    differing = [name for name in names if len({values.get(name, MISSING) for values in flat}) > 1]
    return [{name: values.get(name, MISSING) for name in differing} for values in flat]


def comparability(
    summaries: Sequence[Mapping[str, Any]], configs: Sequence[Mapping[str, Any]]
) -> tuple[list[str], list[str]]:
    """What stands against comparing runs: alarms, where accuracies say nothing about each other, and notes."""
    alarms, notes = [], []
    data = [summary.get("data") or {} for summary in summaries]
    names = [str(one.get("name")) for one in data]
    if len(set(names)) > 1:
        alarms.append(
            f"These runs used different data sets: {', '.join(dict.fromkeys(names))}. Their accuracies, objectives and "
            "points per doubling must not be compared with each other."
        )
    elif len({str(one.get("fingerprint")) for one in data}) > 1 and not _same_source(data):
        alarms.append(
            f"These runs used different pictures under the same name, {names[0]}: another version, or another split. "
            "Their accuracies must not be compared with each other."
        )
    for group in _TRAINING:
        values = [dict(_flat({group: config.get(group)})) for config in configs]
        keys = sorted({key for one in values for key in one})
        other = [key for key in keys if len({one.get(key, MISSING) for one in values}) > 1]
        if other:
            notes.append(
                f"The networks were trained differently ({', '.join(other)}): compare what was found, not accuracies."
            )
    return alarms, notes


def _same_source(data: Sequence[Mapping[str, Any]]) -> bool:
    """Whether all are the same pictures, labels and split, stored at the sizes that each run needed."""
    sources = {one.get("source") for one in data}
    return len(sources) == 1 and bool(sources.pop())


def _sentence(summaries: Sequence[Mapping[str, Any]], alarms: Sequence[str]) -> str:
    verbs = list(dict.fromkeys(str(summary["verb"]) for summary in summaries))
    kinds = f"{len(summaries)} runs of {' and '.join(verbs)}"
    if alarms:
        return f"{kinds}, of which accuracies cannot be compared."
    return f"{kinds}, all on {(summaries[0].get('data') or {}).get('name', 'the same data')}."


def _rows_table(head: str, labels: Sequence[str], columns: Sequence[Mapping[str, str]]) -> Table:
    """One row per name, one column per run."""
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = tuple(("", (name, *(column.get(name, MISSING) for column in columns))) for name in names)
    return Table((head, *labels), rows, left=1 + len(labels))


def _figure_rows(
    labels: Sequence[str], pictures: Sequence[Mapping[str, bytes]]
) -> list[tuple[str, list[tuple[str, str]]]]:
    """By figure the runs that have it, each with its picture."""
    names = [name for kind in FIGURES.values() for name in kind if any(name in found for found in pictures)]
    return [
        (
            name.replace("_", " "),
            [(label, data_uri(found[name])) for label, found in zip(labels, pictures, strict=True) if name in found],
        )
        for name in names
    ]


def _warnings(labels: Sequence[str], summaries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for label, summary in zip(labels, summaries, strict=True):
        for warning in summary.get("warnings") or ():
            yield f"{label}: {as_sentence(str(warning), names_in(summary))}"


def _labels(runs: Sequence[Run]) -> list[str]:
    """VERB/NAME of each run; where two share it, with the folder that tells them apart."""
    short = ["/".join(run.path.parts[-2:]) for run in runs]
    return [label if short.count(label) == 1 else f"{label} ({index})" for index, label in enumerate(short, start=1)]


def _flat(values: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names and short texts of nested settings."""
    if isinstance(values, Mapping) and values:
        for key, value in values.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
        return
    text = MISSING if values is None else ", ".join(map(str, values)) if isinstance(values, list) else str(values)
    yield prefix, text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
