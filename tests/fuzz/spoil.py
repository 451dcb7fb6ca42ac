"""Spoilt inputs: a few edits of a good one, the same for the same seed.

Hypothesis draws the seeds (and finds the smallest that fails); the edits are made here, because 100,000 inputs drawn
character by character would take an hour for each parser.
"""

from __future__ import annotations

import copy
import json
import math
import os
import resource
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from scalesearch.errors import ScaleSearchError

#: inputs that one Hypothesis example stands for
BATCH: Final = 50
#: inputs for each parser; `make fuzz` asks for 100,000
INPUTS: Final = int(os.environ.get("FUZZ_INPUTS", "150"))
#: memory that a parser may take more than before, over all its inputs
MOST_KILOBYTES: Final = 1_000_000
#: where `make fuzz` notes what was tried, one JSON object a line
REPORT: Final = os.environ.get("FUZZ_REPORT")

ODD_VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, 1, -1, 7, 2**31, 2**63, -(2**63) - 1, 10**30, 0.1, -0.0, 1e308, math.inf, -math.inf, math.nan,
    "", " ", "1", "a", "0x10", "1e999", "\x00", "\ud800", "\x1b[2J", "é", "²", "\u202e", "../../x", "/etc/passwd",
    "<script>alert(1)</script>", "=cmd()", "{{7*7}}", "${oc.env:HOME}", "x" * 300, [], {}, [[]], [None], {"a": 1},
    {"_target_": "os.system"}, [1, "a", None],
)  # fmt: skip
_ODD_BYTES: Final = (b"\x00", b"\xff", b"\n", b'"', b"{", b"[", b"9" * 30, b"-1", b"\x80\x04", b"PK\x03\x04",
                     b"\x1f\x8b",
                     b"NaN", b"../", b"\xff\xff\xff\x7f", b"e999")  # fmt: skip
_ODD_TEXT: Final = (
    *"0123456789.,:;eE+-_ \t\nKMGBTkx/=~[]{}()$'\"\\|²٤\x00\ud800é∞",
    "nan", "inf", "1e400", "--", "400M", "0:7", "::", "9" * 40, "null", "true",
)  # fmt: skip


def spoilt_bytes(random: Random, good: bytes) -> bytes:
    """One to four edits of a file's content."""
    data = bytearray(good)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data) + 1)
        size = random.choice((1, 1, 2, 4, 16, 256))
        match random.randrange(6):
            case 0 if data:
                data[at % len(data)] ^= 1 << random.randrange(8)
            case 1:
                del data[at : at + size]
            case 2:
                data[at:at] = random.choice(_ODD_BYTES)
            case 3:
                data[at : at + size] = random.randbytes(size)
            case 4 if random.random() < 0.3:
                del data[at:]
            case _:
                data[at:at] = data[at : at + size]
    return bytes(data)


def spoilt_text(random: Random, good: Sequence[str]) -> str:
    """One to four edits of a short text, or a text of odd pieces."""
    if random.random() < 0.3:
        return "".join(random.choice(_ODD_TEXT) for _ in range(random.randint(0, 6)))
    text = random.choice(good)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(text) + 1)
        keep = at + random.choice((0, 0, 1, 3))
        text = text[:at] + random.choice((*_ODD_TEXT, "", "", chr(random.randrange(1, 0x3000)))) + text[keep:]
    return text


def spoilt_values(random: Random, good: Any) -> Any:
    """One to three places of plain nested values replaced, removed or repeated."""
    values = copy.deepcopy(good)
    for _ in range(random.randint(1, 3)):
        holder, key = _place(random, values)
        if holder is None:
            return random.choice(ODD_VALUES)
        match random.randrange(5):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[random.choice(("", "x", "_target_", str(key) + "s"))] = random.choice(ODD_VALUES)
            case 1:
                holder.insert(key, copy.deepcopy(holder[key]))
            case _:
                holder[key] = copy.deepcopy(random.choice(ODD_VALUES))
    return values


def spoilt_json(random: Random, good: Any) -> str:
    """JSON text of spoilt values, sometimes with spoilt text too."""
    text = json.dumps(spoilt_values(random, good))
    if random.random() < 0.2:
        return spoilt_bytes(random, text.encode()).decode("utf-8", "surrogateescape")
    return text


def _place(random: Random, values: Any) -> tuple[Any, Any]:
    """A random holder and key, deeper ones as likely as those at the top."""
    holder, key = None, None
    while isinstance(values, dict | list) and values:
        holder, key = values, random.choice(list(values)) if isinstance(values, dict) else random.randrange(len(values))
        if random.random() < 0.4:
            break
        values = values[key]
    return holder, key


def fuzz(name: str, make: Callable[[Random], Any], parse: Callable[[Any], object], *, inputs: int = INPUTS) -> None:
    """Give `parse` many inputs; only errors of ours may come out.

    Args:
        name: of the parser, for the report.
        make: an input from a random generator.
        parse: the parser; what it returns is not looked at.
        inputs: how many.
    """
    tried = refused = 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    @settings(max_examples=max(1, inputs // BATCH), database=None, print_blob=False)
    @given(st.integers(0, 2**63))
    def batch(seed: int) -> None:
        nonlocal tried, refused
        random = Random(seed)
        for _ in range(BATCH):
            given_now = make(random)
            tried += 1
            try:
                parse(given_now)
            except ScaleSearchError as error:
                refused += 1
                broken_line = "\n" in str(error)
            except BaseException as error:
                raise AssertionError(f"{type(error).__name__} for {str(ascii(given_now))[:2000]}") from error

            else:
                broken_line = False
            assert not broken_line, given_now
            taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            assert taken < MOST_KILOBYTES, f"{taken} kB for {str(ascii(given_now))[:2000]}"

    batch()
    assert tried >= inputs * 0.9
    assert refused, "no input was refused: the parser was not reached"
    if REPORT:
        with Path(REPORT).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"parser": name, "inputs": tried, "refused": refused}) + "\n")
