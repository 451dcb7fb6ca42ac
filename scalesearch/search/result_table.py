"""Published results that answer trials: a CSV with one row per network, read once, looked up by fingerprint.

With a table a search takes seconds, so that strategies can be compared on real trainings that somebody else paid for.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scalesearch.arch.layer_space import LayerSpace
from scalesearch.arch.space import Point, Space
from scalesearch.data.prepared import PreparedData
from scalesearch.errors import ConfigError, DataError, SpecError, TrialError, UnknownNameError
from scalesearch.trial import TrialRecord, TrialRequest, promised_record

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EVALUATORS", "EvaluatorSettings", "ResultTable"]

EVALUATORS: Final = ("train", "table")


@dataclass(frozen=True, slots=True)
class EvaluatorSettings:
    """Where the accuracy of a network comes from.

    Args:
        name: "train", or "table" for a CSV.
        path: of the CSV.
        code: column that names the network: a layered space's digits ("02012100"), else the point ("0 2 1 ...").
        accuracy: columns with accuracies, one per seed.
        accuracy_scale: what turns them into 0..1; 0.01 for per cent.
        macs, params: columns with the cost, compared with the closed form; null where the table has none.

    Raises:
        ConfigError: table without a path or an accuracy column, or a scale that is not positive.
        UnknownNameError: another name.
    """

    name: str = "train"
    path: str | None = None
    code: str = "arch"
    accuracy: tuple[str, ...] = ()
    accuracy_scale: float = 1.0
    macs: str | None = None
    params: str | None = None

    def __post_init__(self) -> None:
        if self.name not in EVALUATORS:
            raise UnknownNameError.of("evaluator", self.name, EVALUATORS)
        if self.name == "train":
            return
        if not self.path:
            raise ConfigError("evaluator=table needs a table", way_out="add evaluator.path=FILE.csv")
        if not self.accuracy:
            raise ConfigError("evaluator.accuracy must name at least one column", way_out="one column per seed")
        if not 0 < self.accuracy_scale < 1e6:
            raise ConfigError("evaluator.accuracy_scale must be positive", value=self.accuracy_scale)


class ResultTable:
    """The networks of a table in a space.

    Args:
        settings: names the file and its columns.
        space: gives the rows' codes a meaning.

    Raises:
        DataError: the file cannot be read, lacks a column, holds no row, or disagrees with the closed form on cost.
        SpecError: a code that is no point of the space.
    """

    def __init__(self, settings: EvaluatorSettings, space: Space):
        assert settings.path is not None
        self._settings, self._space, self._path = settings, space, Path(settings.path).expanduser()
        self._accuracies: dict[str, list[float]] = {}
        self.points: list[Point] = []
        self.fingerprint = self._digest()
        for row in self._read().to_dict("records"):
            self._add({str(name): value for name, value in row.items()})
        if not self.points:
            raise DataError("a table must hold at least one network", value=str(self._path))

    @property
    def n_seeds(self) -> int:
        """Accuracies per network."""
        return len(self._settings.accuracy)

    @property
    def data(self) -> PreparedData:
        """What stands for the pictures in a trial's identity: the table itself; it cannot be opened."""
        spec = self._space.decode(self.points[0])
        return PreparedData(
            folder="",
            name=self._path.name,
            fingerprint=self.fingerprint,
            side=spec.resolution,
            channels=spec.in_channels,
            class_names=tuple(map(str, range(spec.num_classes))),
            n_train=0,
            n_val=0,
            native_side=None,
        )

    def answer(self, request: TrialRequest) -> TrialRecord:
        """The record of a network: seed k is the accuracy in column k.

        Raises:
            TrialError: the table lacks the network or the seed, or the cell is empty.
        """
        found = self._accuracies.get(request.spec.fingerprint)
        if found is None or not 0 <= request.seed < len(found):
            raise TrialError(f"the table has no accuracy of {request.spec.name} with seed {request.seed}")
        accuracy = found[request.seed]
        if math.isnan(accuracy):
            raise TrialError(f"the table's accuracy of {request.spec.name} with seed {request.seed} is empty")
        return replace(promised_record(request), accuracy=accuracy, device="table")

    def _digest(self) -> str:
        try:
            return hashlib.sha256(self._path.read_bytes()).hexdigest()[:16]
        except OSError as error:
            raise DataError("evaluator.path must be a readable file", value=str(self._path)) from error

    def _read(self) -> pd.DataFrame:
        import pandas as pd

        s = self._settings
        try:
            # uncompressed, because a small archive may unpack to more than there is memory
            frame = pd.read_csv(self._path, dtype={s.code: str}, compression=None)
        except (ValueError, OSError, OverflowError, RecursionError) as error:
            raise DataError("a result table must be a CSV file", value=str(error)) from error
        wanted = list(dict.fromkeys([s.code, *s.accuracy, *filter(None, (s.macs, s.params))]))
        if missing := [name for name in wanted if name not in frame.columns]:
            raise DataError(
                f"a result table must have the column{'s' * (len(missing) > 1)} {', '.join(missing)}",
                value=f"columns {', '.join(map(str, frame.columns))}",
                way_out="name its columns with evaluator.code, accuracy, macs and params",
            )
        for name in s.accuracy:
            frame[name] = pd.to_numeric(frame[name], errors="coerce") * s.accuracy_scale
        return frame[wanted]

    def _add(self, row: dict[str, Any]) -> None:
        point = self._point(str(row[self._settings.code]))
        spec = self._space.decode(point)
        accuracies = [float(row[name]) for name in self._settings.accuracy]
        if any(not (math.isnan(value) or 0 <= value <= 1) for value in accuracies):
            raise DataError(
                "accuracies of a table must lie in 0..1 after scaling",
                value=accuracies,
                way_out="set evaluator.accuracy_scale (0.01 for per cent)",
            )
        if spec.fingerprint not in self._accuracies:
            self._check_cost(point, row)
            self._accuracies[spec.fingerprint] = accuracies
            self.points.append(point)

    def _point(self, code: str) -> Point:
        if isinstance(self._space, LayerSpace):
            return self._space.point_of_code(code)
        choices = [len(dimension.choices) for dimension in self._space.dimensions]
        parts = code.split()
        if len(parts) != len(choices) or any(
            not (part.isascii() and part.isdecimal() and len(part) < 10) or int(part) >= n
            for part, n in zip(parts, choices, strict=False)
        ):
            raise SpecError(f"a code of this space is {len(choices)} indices with blanks between", value=code)
        return tuple(map(int, parts))

    def _check_cost(self, point: Point, row: dict[str, Any]) -> None:
        """Refuse a table whose networks are not the space's, which their cost shows."""
        from scalesearch.arch.cost import cost_of

        cost = cost_of(self._space.decode(point))
        for name, counted in ((self._settings.macs, cost.macs), (self._settings.params, cost.params)):
            if name is not None and _number(row[name]) != counted:
                raise DataError(
                    f"the table's {name} must equal the counted {counted}",
                    value=f"{row[name]} for {row[self._settings.code]}",
                    way_out="choose the space that the table was made with (space=...)",
                )


def _number(cell: object) -> float:
    """A cell's number; NaN, which equals nothing, for anything else."""
    try:
        return float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan
