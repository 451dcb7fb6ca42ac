"""Refuses command lines that say two things at once, before anything is composed: Hydra would let one of them win."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from scalesearch.errors import ConfigError

__all__ = ["refuse_contradictions"]

_GLOBAL: Final = "# @package _global_"


def refuse_contradictions(overrides: Sequence[str], flags: Mapping[str, Any], folders: Sequence[Path]) -> None:
    """Check overrides against the flags, and group choices against choices that set the same group.

    Args:
        overrides: as typed, `key=value` or `group=choice`.
        flags: what flags stand for, dotted keys or groups and their values.
        folders: with config groups, the first that holds a file wins.

    Raises:
        ConfigError: one of them would silently lose.
    """
    typed = [_split(text) for text in overrides]
    for key, value in typed:
        if key in flags and value != str(flags[key]):
            flag = f"--{key.split('.')[0].replace('_', '-')}"
            raise ConfigError(
                f"{flag} and {key}= must not say different things",
                value=f"{flags[key]} and {value}",
                way_out="give one of them",
            )
    for key, value in typed:
        for group in _groups_set_by(key, value, folders):
            for other, choice in typed:
                if other == group != key:  # a choice of curves= may set curves and more
                    raise ConfigError(
                        f"{key}={value.rpartition('/')[2]} sets the {group} itself",
                        value=f"{group}={choice}",
                        way_out=f"leave one of them out, or override single settings ({group}.KEY=VALUE)",
                    )


def _split(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return key.lstrip("+").strip(), value.strip().strip("'\"")


def _groups_set_by(group: str, choice: str, folders: Sequence[Path]) -> Iterator[str]:
    """The other groups whose settings a choice fixes: those of a file that writes at the top level."""
    import yaml

    path = next((file for folder in folders if (file := folder / group / f"{choice}.yaml").is_file()), None)
    if path is None:
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    if not text.startswith(_GLOBAL):
        return
    try:
        settings = yaml.safe_load(text)
    except yaml.YAMLError:  # composing says what is wrong with it
        return
    for key, value in (settings if isinstance(settings, dict) else {}).items():
        if isinstance(value, dict) and any((folder / str(key)).is_dir() for folder in folders):
            yield str(key)
