"""Read what a run found: `load_run("runs/grid/NAME")`, for notebooks and reports."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalesearch.errors import RunFolderError
from scalesearch.store.ledger import Ledger
from scalesearch.store.run_folder import LEDGER_FILE, SUMMARY_FILE
from scalesearch.store.run_list import read_summary

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Run", "load_run"]


@dataclass(frozen=True, slots=True)
class Run:
    """A run on disk, read anew at each access; also while it is still running.

    Every property raises RunFolderError where the run does not have that part (yet).
    """

    path: Path

    @property
    def verb(self) -> str:
        """The command that made it, for example "grid"."""
        return self._meta("verb") or self.path.parent.name

    @property
    def name(self) -> str:
        """What follows --name."""
        return self._meta("name") or self.path.name

    @property
    def summary(self) -> dict[str, Any]:
        """The contents of summary.json."""
        summary = read_summary(self.path)
        if summary is None:
            raise self._lacks(SUMMARY_FILE)
        return summary

    @property
    def trials(self) -> pd.DataFrame:
        """One row per unit of work: trials.parquet of a finished run, the ledger's rows of one under way."""
        if (self.path / "trials.parquet").is_file():
            return self.frame("trials.parquet")
        with Ledger.open_readonly(self.path / LEDGER_FILE) as ledger:
            return ledger.to_frame()

    @property
    def candidates(self) -> pd.DataFrame:
        """The contents of candidates.csv."""
        return self.frame("candidates.csv")

    @property
    def config(self) -> dict[str, Any]:
        """The contents of config.yaml, plain types only."""
        import yaml

        try:
            values = yaml.safe_load((self.path / "config.yaml").read_text(encoding="utf-8"))
        except OSError as error:
            raise self._lacks("config.yaml") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise RunFolderError("config.yaml must hold plain YAML", value=str(error), way_out="restore it") from error
        if not isinstance(values, dict):
            raise RunFolderError("config.yaml must hold settings", value=values, way_out="restore it")
        return values

    def frame(self, name: str) -> pd.DataFrame:
        """Any table of the run, for example "figures/plane.csv"."""
        import pandas as pd

        path = self.path / name
        if not path.is_file():
            raise self._lacks(name)
        try:
            return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        except (OSError, ValueError) as error:
            raise RunFolderError(
                f"{name} must hold a table", value=str(error), way_out="draw the report again"
            ) from error

    def _meta(self, key: str) -> str | None:
        with Ledger.open_readonly(self.path / LEDGER_FILE) as ledger:
            return ledger.get_meta(key)

    def _lacks(self, name: str) -> RunFolderError:
        way_out = f"finish it with `scalesearch resume {self.path}`"
        return RunFolderError(f"this run must hold {name}", value=str(self.path), way_out=way_out)


def load_run(path: str | os.PathLike[str]) -> Run:
    """A run from its folder.

    Raises:
        RunFolderError: not the folder of a run.
    """
    folder = Path(path).expanduser()
    if not (folder / LEDGER_FILE).is_file():
        rule = f"a run is a folder runs/VERB/NAME with a {LEDGER_FILE}"
        raise RunFolderError(rule, value=str(path), way_out="list runs with `scalesearch runs`")
    return Run(folder.absolute())
