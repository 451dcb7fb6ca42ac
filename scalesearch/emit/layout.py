"""Python text laid out as `ruff format` (black's style, 120 columns) would, so that emitted files need no formatter."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

__all__ = ["LINE_LENGTH", "call", "docstring", "number", "one_line", "table"]

LINE_LENGTH: Final = 120
_INDENT: Final = 4
_MAX_WORD: Final = 80


def call(head: str, arguments: Sequence[str], tail: str = "", *, indent: int = 0) -> str:
    """`head(arguments)tail` on one line where it fits, else its arguments on one line, else one on each.

    Args:
        head: what stands before the arguments, with its opening bracket: "f(", "x = (".
        arguments: each on one line or already laid out with the indent of `indent` + 4.
        tail: what follows the closing bracket, for example "," or ":".
        indent: columns before `head`.
    """
    margin, inner = " " * indent, " " * (indent + _INDENT)
    close = {"(": ")", "[": "]", "{": "}"}[head[-1]]
    joined = ", ".join(arguments)
    flat = f"{margin}{head}{joined}{close}{tail}"
    if len(flat) <= LINE_LENGTH and "\n" not in flat:
        return flat
    hugged = f"{inner}{joined}"
    # a list, tuple or dict of several items is laid out one on each line at once, the arguments of a call are not
    is_literal = head[-1] != "(" or not (head[-2:-1].isalnum() or head[-2:-1] in ("_", ")", "]"))
    if len(hugged) <= LINE_LENGTH and "\n" not in hugged and not (is_literal and len(arguments) > 1):
        return f"{margin}{head}\n{hugged}\n{margin}{close}{tail}"
    rows = "".join(f"{inner}{argument},\n" for argument in arguments)
    return f"{margin}{head}\n{rows}{margin}{close}{tail}"


def docstring(paragraphs: Sequence[str]) -> str:
    """A module docstring; paragraphs are wrapped, but those that begin with "|" or four spaces stay as they are.

    Text from outside cannot end the docstring or hide in it: quotes and backslashes are escaped by `one_line`,
    which the caller applies to every value that it did not write itself.
    """
    laid_out = [
        paragraph
        if paragraph.startswith(("|", "    "))
        else textwrap.fill(paragraph, LINE_LENGTH - 3, break_long_words=False, break_on_hyphens=False)
        for paragraph in paragraphs
    ]
    return '"""' + "\n\n".join(laid_out) + '\n"""\n'


def one_line(value: object) -> str:
    """`value` as printable text on one line that is safe inside a docstring; very long words are cut."""
    words = "".join(c if c.isprintable() else " " for c in str(value)).replace("\\", "/").replace('"', "'").split()
    return " ".join(word if len(word) <= _MAX_WORD else f"{word[: _MAX_WORD - 3]}..." for word in words)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns: the first to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *rest = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join((first, *rest))} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join((line(header), line(rule), *map(line, rows)))


def number(value: float) -> str:
    """A literal that reads back to the same number: 6.0 -> "6", 0.25 -> "0.25"."""
    return str(int(value)) if value == int(value) else repr(float(value))
