"""The trainings of a finished run as other tools understand trials: parameters, an objective, a cost and a state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from scalesearch.store.run import Run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ExportedTrial", "Scalar", "exported_trials", "trials_table"]

Scalar = bool | int | float | str

_GENE: Final = "gene."
# what a study varied, from the table that has it, by the full-size network's fingerprint
_SETTINGS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "grid": ("standings.csv", ("alpha", "beta", "gamma")),
    "axes": ("curves.csv", ("width_multiplier", "depth_multiplier", "resolution_multiplier")),
}


@dataclass(frozen=True, slots=True)
class ExportedTrial:
    """One training.

    Attributes:
        name: of the network.
        objective: what the study judges by; None where the training failed.
        cost: of the full-size network.
        done: whether it has a result.
        started, finished: seconds since 1970, where they are known.
        epochs: that it was trained for, where they are known.
        params: what the study varied: genes, coefficients or multipliers.
        attributes: everything else that is known of it.
    """

    name: str
    objective: float | None
    cost: float | None
    done: bool
    started: float | None
    finished: float | None
    epochs: int | None
    params: Mapping[str, Scalar]
    attributes: Mapping[str, Scalar]


def trials_table(run: Run) -> pd.DataFrame:
    """The trials of a finished run with what the study varied: genes, coefficients or multipliers.

    Raises:
        RunFolderError: a table of the run is missing.
    """
    import pandas as pd

    table = _with_genes(run.frame("trials.parquet"))
    source, columns = _SETTINGS.get(str(run.summary.get("verb")), ("", ()))
    if not source or not (run.path / source).is_file():
        return table
    varied = pd.read_csv(run.path / source, dtype={"fingerprint": str})
    varied = varied.dropna(subset=["fingerprint"]).drop_duplicates("fingerprint")[["fingerprint", *columns]]
    return table.merge(varied, on="fingerprint", how="left", sort=False)


def _with_genes(table: pd.DataFrame) -> pd.DataFrame:
    """Later trainings of a network have the genes of its first one."""
    genes = [name for name in table.columns if str(name).startswith(_GENE)]
    if genes and "fingerprint" in table:
        first = table.groupby("fingerprint", sort=False)[genes].transform("first")
        table[genes] = table[genes].where(table[genes].notna(), first)
    return table


def exported_trials(run: Run) -> list[ExportedTrial]:
    """Every training of a finished run, in the order in which they ended."""
    table = trials_table(run)
    if "finished_at" in table:
        table = table.sort_values("finished_at", kind="stable")
    params = _param_names(run, table)
    return [_trial(row, params) for row in table.to_dict(orient="records")]


def _param_names(run: Run, table: pd.DataFrame) -> dict[str, str]:
    """Columns of the table that hold parameters, and the parameters' names."""
    _, columns = _SETTINGS.get(str(run.summary.get("verb")), ("", ()))
    genes = {str(name): str(name).removeprefix(_GENE) for name in table.columns if str(name).startswith(_GENE)}
    return genes | {name: name for name in columns if name in table.columns}


def _trial(row: Mapping[Any, Any], params: Mapping[str, str]) -> ExportedTrial:
    known = {str(name): plain for name, value in row.items() if (plain := _plain(value)) is not None}
    objective = _number(known.get("objective", known.get("accuracy")))
    done = known.get("status", "done") == "done" and objective is not None
    cost, epochs = _number(known.get("cost", known.get("macs"))), _number(known.get("epochs"))
    attributes = {name: value for name, value in known.items() if name not in params}
    return ExportedTrial(
        name=str(known.get("name", "")),
        objective=objective if done else None,
        cost=cost,
        done=done,
        started=_number(known.get("started_at")),
        finished=_number(known.get("finished_at")),
        epochs=None if epochs is None else int(epochs),
        params={params[name]: _typed(value) for name, value in known.items() if name in params},
        attributes=attributes | ({} if cost is None else {"cost": cost}),
    )


def _plain(value: Any) -> Scalar | None:
    """Python's own types; None for what is missing or not finite."""
    if value is None or type(value).__name__ == "NAType":
        return None
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, float):
        return plain if math.isfinite(plain) else None
    return plain if isinstance(plain, bool | int | str) else str(plain)


def _typed(value: Scalar) -> Scalar:
    """Genes lie in tables as text: "3" is 3 again, "False" is False."""
    if not isinstance(value, str):
        return value
    if value in ("True", "False"):
        return value == "True"
    for kind in (int, float):
        with suppress(ValueError):
            number = kind(value)
            return number if math.isfinite(number) else value
    return value


def _number(value: Scalar | None) -> float | None:
    return None if value is None or isinstance(value, str) else float(value)
