"""Credentials stand in the environment and nowhere else: refused in addresses, blotted out in texts that are kept."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from scalesearch.errors import ConfigError

__all__ = ["BLOT", "redacted", "redactor", "refuse_credentials"]

BLOT: Final = "***"
_SECRET_NAME: Final = re.compile(r"(secret|token|passw|credential|signature|api_?key|access_?key|auth)", re.IGNORECASE)
_USER_INFO: Final = re.compile(r"(?<=://)[^/\s'\"]+@")
_QUERY: Final = re.compile(r"([?&;][^=&#\s'\"]*)=([^&#\s'\"]+)")
# shorter values would blot out ordinary words
_LEAST_LENGTH: Final = 8


def refuse_credentials(values: Mapping[str, Any], path: str = "") -> None:
    """Refuse settings whose addresses carry credentials, because settings are written to the run's folder.

    Raises:
        ConfigError: names the setting; its value is not repeated.
    """
    for key, value in values.items():
        dotted = f"{path}{key}"
        if isinstance(value, Mapping):
            refuse_credentials(value, f"{dotted}.")
        elif isinstance(value, str) and "://" in value and _carries_credentials(value):
            raise ConfigError(
                f"{dotted} must be an address without credentials, because settings are kept with the run",
                value=redacted(value),
                way_out="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment",
            )


def redacted(text: str) -> str:
    """`text` with passwords in addresses, secret query parameters and secrets of the environment blotted out."""
    return redactor()(text)


def redactor() -> Callable[[str], str]:
    """`redacted` for several texts, with one look at the environment."""
    secrets = _secrets_of_environment()

    def redact(text: str) -> str:
        if "://" in text:
            text = _USER_INFO.sub(f"{BLOT}@", text)
            text = _QUERY.sub(lambda found: f"{found[1]}={BLOT if _SECRET_NAME.search(found[1]) else found[2]}", text)
        for value in secrets:
            text = text.replace(value, BLOT)
        return text

    return redact


def _carries_credentials(address: str) -> bool:
    try:
        parts = urlsplit(address)
        names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    except ValueError:  # no address after all; who opens it will complain
        return bool(_USER_INFO.search(address))
    return "@" in parts.netloc or any(_SECRET_NAME.search(name) for name in names)


def _secrets_of_environment() -> list[str]:
    """Values of variables with a telling name, longest first; paths are none."""
    values = {
        value
        for name, value in os.environ.items()
        if _SECRET_NAME.search(name)
        and len(value) >= _LEAST_LENGTH
        and "/" not in value[:1]
        and "AUTH_MODE" not in name
    }
    return sorted(values, key=len, reverse=True)
