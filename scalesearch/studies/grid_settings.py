"""What a grid study is asked to do: one frozen value."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from scalesearch.arch.catalog import load_spec
from scalesearch.arch.iso_cost import IsoCostSettings
from scalesearch.arch.proxy import ProxySettings
from scalesearch.data.settings import DataSettings
from scalesearch.engine.settings import EngineSettings
from scalesearch.errors import ConfigError, UnknownNameError
from scalesearch.objective import Objective
from scalesearch.search.race_settings import RaceSettings
from scalesearch.train.recipe import Recipe

__all__ = ["JUDGES", "GridSettings"]

JUDGES: Final = ("race", "surface")


@dataclass(frozen=True, slots=True)
class GridSettings:
    """Settings of `scalesearch grid`; conf/grid.yaml says what each means.

    Raises:
        ConfigError: minutes or seed out of range.
        UnknownNameError: evidence is none of JUDGES.
    """

    target_macs: int
    data: DataSettings
    baseline: str = "efficientnet_b0"
    iso_cost: IsoCostSettings = IsoCostSettings()  # noqa: RUF009 - frozen
    objective: Objective = Objective()  # noqa: RUF009 - frozen
    proxy: ProxySettings = ProxySettings()  # noqa: RUF009 - frozen
    recipe: Recipe = Recipe()  # noqa: RUF009 - frozen
    engine: EngineSettings = EngineSettings()  # noqa: RUF009 - frozen
    race: RaceSettings = RaceSettings()  # noqa: RUF009 - frozen
    evidence: str = "race"
    minutes: float | None = 8.0
    seed: int = 0
    verify: bool = True
    runs_dir: str = "runs"

    def __post_init__(self) -> None:
        if self.minutes is not None and not 0 < self.minutes < 1e6:
            raise ConfigError("minutes must be positive", value=self.minutes, way_out="or null for no limit")
        if not 0 <= self.seed < 2**31:
            raise ConfigError("seed must lie in 0..2147483647", value=self.seed)
        if self.evidence not in JUDGES:
            raise UnknownNameError.of("evidence", self.evidence, JUDGES)

    def identity(self) -> dict[str, Any]:
        """What a resumed run must share with its first start: everything that changes a single result.

        Left out are where things lie, how they are executed, and how much is trained in all.
        """
        values = asdict(replace(self, race=replace(self.race, max_trainings=None)))
        for key in ("engine", "minutes", "runs_dir", "verify"):
            del values[key]
        if self.evidence == "race":  # runs that were started before there was a choice have no such key
            del values["evidence"]
        for key in ("path", "root", "cache_dir"):
            del values["data"][key]
        # a file is known by what it holds, not by where it lies
        values["baseline"] = load_spec(self.baseline).fingerprint
        return values
