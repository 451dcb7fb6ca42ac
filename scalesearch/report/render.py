"""How every figure looks, and figures as bytes: the same data gives the same bytes, on any machine and at any time."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["COLOURS", "COLOUR_MAP", "INK", "MUTED", "new_figure", "style", "to_pdf", "to_png"]

COLOURS: Final[Mapping[str, str]] = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky_blue": "#56B4E9",
    "green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "purple": "#CC79A7",
}
"""Colours that people with any colour vision tell apart (Okabe and Ito 2008, "Color Universal Design")."""

COLOUR_MAP: Final = "viridis"
"""Perceptually uniform, and monotone in lightness, so that it survives a grey print."""

INK: Final = "#222222"
MUTED: Final = "#6b6b6b"

# matplotlib ships DejaVu Sans: no other font is the same everywhere
_STYLE: Final[Mapping[str, Any]] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,
    "text.parse_math": False,
}


def style() -> AbstractContextManager[None]:
    """The style of all figures, whatever the reader's own matplotlib settings are; draw and save inside it."""
    return matplotlib.style.context(["default", dict(_STYLE)])


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of `width` x `height` inches that no window or global state knows about."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def to_png(figure: Figure, *, dpi: int = 200) -> bytes:
    """The figure as PNG at `dpi` pixels per inch."""
    return _saved(figure, format="png", dpi=dpi, metadata={"Software": None})


def to_pdf(figure: Figure) -> bytes:
    """The figure as PDF, with its fonts embedded."""
    return _saved(figure, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})


def _saved(figure: Figure, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, **options)
    return buffer.getvalue()
