"""The figures of a run with the frames behind them, and the page that shows their pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from scalesearch.report.render import to_pdf, to_png
from scalesearch.store.run_folder import RunFolder

__all__ = ["Drawing"]


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a run looks like.

    Attributes:
        figures: by name, the frame that was drawn and its drawing.
        page: makes the HTML page of PNG bytes by the figures' names.
    """

    figures: Mapping[str, tuple[pd.DataFrame, Figure]]
    page: Callable[[Mapping[str, bytes]], str]

    def pictures(self) -> dict[str, bytes]:
        """PNG bytes of every figure by name."""
        return {name: to_png(figure) for name, (_, figure) in self.figures.items()}

    def html(self) -> str:
        """The page."""
        return self.page(self.pictures())

    def write(self, folder: RunFolder) -> Path:
        """Write figures/ and report.html; nothing else in the folder is touched, and nothing where drawing fails.

        Returns:
            The page.

        Raises:
            RunFolderError: the folder cannot be written.
        """
        pictures = self.pictures()
        page = self.page(pictures)
        for name, (data, figure) in self.figures.items():
            folder.write_frame(f"figures/{name}.csv", data)
            folder.write_bytes(f"figures/{name}.png", pictures[name])
            folder.write_bytes(f"figures/{name}.pdf", to_pdf(figure))
        return folder.write_text("report.html", page)
