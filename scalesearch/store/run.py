"""Read what a run found: `load_run("runs/grid/NAME")`, for notebooks and reports."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scalesearch.errors import RunFolderError
from scalesearch.store.reading import read_ledger
from scalesearch.store.results import is_result, result_verb
from scalesearch.store.run_folder import CONFIG_FILE, LEDGER_FILE, SUMMARY_FILE
from scalesearch.store.run_list import read_summary

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Run", "load_run"]

_TRIALS_FILE: Final = "trials.parquet"
_PARTS: Final = "load the run that trained: search, grid, axes or train"
# of a ledger's row, which knows only what was trained: a study's table has the candidate's under these names
_TRAINED: Final = ("fingerprint", "seed", "macs", "fvcore_macs", "params", "activations", "resolution")


@dataclass(frozen=True, slots=True)
class Run:
    """A run on disk, read anew at each access; also while it is still running.

    Every property raises RunFolderError where the run does not have that part (yet).
    """

    path: Path

    @property
    def verb(self) -> str:
        """The command that made it, for example "grid"."""
        return (self._meta("verb") if self._has_ledger else result_verb(self.path)) or self.path.parent.name

    @property
    def name(self) -> str:
        """What follows --name."""
        return (self._meta("name") if self._has_ledger else None) or self.path.name

    @property
    def summary(self) -> dict[str, Any]:
        """The contents of summary.json."""
        summary = read_summary(self.path)
        if summary is None:
            raise self._lacks(SUMMARY_FILE)
        return summary

    @property
    def trials(self) -> pd.DataFrame:
        """One row per unit of work, in one of two tables; a column that both have means the same in both.

        A finished run: its trials.parquet, where `fingerprint` and `macs` are the candidate's, `seed` counts its
        trainings, and `trained_fingerprint`, `trained_macs`, ... are of the network trained for it (the proxy).

        A run under way, or one that was extended and has not finished again: the ledger's rows. They know the
        training alone, so there are `trained_fingerprint`, `trained_macs`, `trained_fvcore_macs`, `trained_params`,
        `trained_activations`, `trained_resolution` and `trained_seed` (what the training was seeded with), but no
        `fingerprint`, `macs` or `seed`.
        """
        if not self._has_ledger:
            raise RunFolderError(
                f"`scalesearch {self.verb}` trains nothing itself", value=str(self.path), way_out=_PARTS
            )
        with read_ledger(self.path) as ledger:
            if not (ledger.is_finished and (self.path / _TRIALS_FILE).is_file()):
                return ledger.to_frame().rename(columns={name: f"trained_{name}" for name in _TRAINED})
        return self.frame(_TRIALS_FILE)

    @property
    def candidates(self) -> pd.DataFrame:
        """The contents of candidates.csv; of `scale`, of family.csv."""
        return self.frame("family.csv" if self.verb == "scale" else "candidates.csv")

    @property
    def config(self) -> dict[str, Any]:
        """The contents of config.yaml, plain types only."""
        import yaml

        try:
            values = yaml.safe_load((self.path / CONFIG_FILE).read_text(encoding="utf-8"))
        except OSError as error:
            raise self._lacks(CONFIG_FILE) from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
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

    @property
    def _has_ledger(self) -> bool:
        return (self.path / LEDGER_FILE).is_file()

    def _meta(self, key: str) -> str | None:
        with read_ledger(self.path) as ledger:
            return ledger.get_meta(key)

    def _lacks(self, name: str) -> RunFolderError:
        way_out = f"finish it with `scalesearch resume {self.path}`"
        if not self._has_ledger:
            way_out = f"`scalesearch {self.verb}` leaves other files; run.frame(NAME) reads any table of them"
        elif not (self.path / CONFIG_FILE).is_file():  # which resume needs
            way_out = f"repeat the command that started it, with --name {self.path.name}"
        return RunFolderError(f"this run must hold {name}", value=str(self.path), way_out=way_out)


def load_run(path: str | os.PathLike[str]) -> Run:
    """A run from its folder; also what `scale`, `emit` and `run` leave, which have no trials of their own.

    Raises:
        RunFolderError: not the folder of a run.
    """
    folder = Path(path).expanduser()
    if not (folder / LEDGER_FILE).is_file() and not is_result(folder):
        rule = f"a run is a folder runs/VERB/NAME with a {LEDGER_FILE}, or what scale, emit or run wrote"
        raise RunFolderError(rule, value=str(path), way_out="list runs with `scalesearch runs`")
    return Run(folder.absolute())
