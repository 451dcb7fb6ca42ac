"""The networks of a grid as one smooth law sees them: candidates and cheaper networks with sizes, trainings as rows.

Sizes are those of the stand-ins that are trained, after all rounding: blocks, geometric mean of the stages' widths,
input side in px. Cheaper networks are scalings of the same baseline around the candidates' mean that cost less than
every candidate: they tell the law's slopes for less training, and can win nothing.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, Final

import pandas as pd

from scalesearch.arch.cost import cost_of
from scalesearch.arch.scaling import Multipliers
from scalesearch.arch.solve import scaled_by
from scalesearch.arch.spec import NetSpec
from scalesearch.errors import SpecError
from scalesearch.studies.grid_work import GridWork
from scalesearch.studies.racing import RaceWork, Unit
from scalesearch.studies.trainings import stand_in
from scalesearch.trial import TrialRecord, TrialRequest

__all__ = ["SurfaceWork"]

# times the candidates' mean; depth varies more, because a step of it changes the cost least
_DEPTHS: Final = (0.5, 0.7, 1.0, 1.4)
_SIDES: Final = (0.65, 0.8, 1.0, 1.2)
_MANY: Final = 1_000_000  # pictures, where a record does not say how many it was judged on
_CHEAPEST: Final = 0.2  # part of a candidate's cost; what is cheaper lies too far off to tell about candidates


@dataclass(frozen=True)
class SurfaceWork(RaceWork):
    """A grid's trainings as evidence on one law.

    Attributes:
        grid: candidates, their stand-ins, and how a training is judged.
        with_cheaper: whether cheaper networks may be trained beside the candidates.
    """

    grid: GridWork
    with_cheaper: bool = True

    @cached_property
    def cheaper(self) -> Mapping[str, NetSpec]:
        """Networks that may be trained beside the candidates, at full size, by fingerprint."""
        return {full.fingerprint: full for full, _ in self._cheaper}

    @cached_property
    def trained(self) -> Mapping[str, NetSpec]:
        """The stand-in of every network, candidates first, by the full-size network's fingerprint."""
        candidates = {name: self.grid.proxies.of[name] for name in self.grid.candidates}
        return candidates | {full.fingerprint: proxy for full, proxy in self._cheaper}

    def full(self, fingerprint: str) -> NetSpec:
        """A network at full size."""
        candidate = self.grid.candidates.get(fingerprint)
        return self.cheaper[fingerprint] if candidate is None else candidate.spec

    def candidates(self, without: Collection[str] = ()) -> pd.DataFrame:
        """The table of candidates that `judge_surface` takes; the price is the objective at accuracy 1."""
        names = [name for name in self.grid.candidates if name not in without]
        rows = [{**self._row(name), "price": self._price(name)} for name in names]
        return pd.DataFrame(rows, columns=["candidate", "depth", "width", "resolution", "price"])

    def pool(self, without: Collection[str] = ()) -> pd.DataFrame:
        """The table of networks that may be trained, for `next_trials`."""
        rows = [self._row(name) for name in self.trained if name not in without]
        return pd.DataFrame(rows, columns=["candidate", "depth", "width", "resolution"])

    def trials(self, records: Mapping[Unit, TrialRecord]) -> pd.DataFrame:
        """One row per training, failed ones too (accuracy NaN), in the order of `records`."""
        rows = [
            {
                **self._row(name),
                "seed": seed,
                "accuracy": _below_one(record),
                "data": record.data,
                "recipe": record.recipe,
            }
            for (name, seed), record in records.items()
        ]
        columns = ["candidate", "depth", "width", "resolution", "seed", "accuracy", "data", "recipe"]
        return pd.DataFrame(rows, columns=columns).astype({"accuracy": float, "seed": int})

    def failed(self, records: Mapping[Unit, TrialRecord]) -> frozenset[str]:
        """Networks whose failures outnumber their successes by race.max_failures: out of the pool, and no evidence."""
        balance: dict[str, int] = {}
        for (name, _), record in records.items():
            balance[name] = balance.get(name, 0) + (1 if record.accuracy is None else -1)
        at_most = self.grid.settings.race.max_failures
        return frozenset(name for name, surplus in balance.items() if surplus >= at_most)

    def request(self, fingerprint: str, seed: int) -> TrialRequest:
        """The trial of one unit; a candidate's is the same as in a race."""
        grid = self.grid
        return TrialRequest(self.trained[fingerprint], grid.recipe, grid.data, seed=grid.settings.seed * 10_000 + seed)

    def value(self, fingerprint: str, record: TrialRecord) -> float | None:
        """The objective of a candidate's training; None for a failed one, and for a network that is no candidate."""
        return self.grid.value(fingerprint, record) if fingerprint in self.grid.candidates else None

    def name(self, fingerprint: str) -> str:
        """A short name for lines."""
        return self.grid.name(fingerprint) if fingerprint in self.grid.candidates else self.cheaper[fingerprint].name

    @cached_property
    def _cheaper(self) -> tuple[tuple[NetSpec, NetSpec], ...]:
        """(network, stand-in) of what is cheaper than every candidate and trains as a network of its own."""
        grid = self.grid
        if not self.with_cheaper or len(grid.candidates) < 2:
            return ()
        taken = {proxy.fingerprint for proxy in grid.proxies.of.values()}
        cheapest = min(candidate.cost.macs for candidate in grid.candidates.values())
        found = []
        for full in self._scalings():
            proxy = self._stand_in(full)
            within = _CHEAPEST * cheapest <= cost_of(full).macs < cheapest
            if proxy is None or not within or proxy.fingerprint in taken:
                continue
            taken.add(proxy.fingerprint)
            found.append((full, proxy))
        return tuple(found)

    def _scalings(self) -> Iterator[NetSpec]:
        """The baseline scaled around the candidates' geometric mean of alpha, beta and gamma."""
        grid = self.grid
        points = [candidate.coefficients for candidate in grid.candidates.values()]
        logs = [[math.log(x) for x in (point.alpha, point.beta, point.gamma)] for point in points]
        depth, width, side = (math.exp(math.fsum(column) / len(logs)) for column in zip(*logs, strict=True))
        for d, w, r in product(_DEPTHS, _SIDES, _SIDES):
            at = Multipliers(round(depth * d, 3), round(width * w, 3), round(side * r, 3))
            try:
                yield scaled_by(grid.grid.baseline, at, grid.settings.iso_cost.rounding)
            except SpecError:  # too small to be written down
                continue

    def _stand_in(self, full: NetSpec) -> NetSpec | None:
        """As for candidates; None where it cannot exist, or needs larger pictures than were prepared."""
        grid = self.grid
        try:
            proxy = stand_in(full, grid.settings.proxy, grid.data, grid.grid.baseline.resolution)
        except SpecError:
            return None
        return proxy if proxy.resolution <= grid.proxies.largest_side else None

    def _row(self, fingerprint: str) -> dict[str, Any]:
        net = self.trained[fingerprint]
        width = math.exp(math.fsum(math.log(w) for w in net.widths) / len(net.widths))
        return {"candidate": fingerprint, "depth": net.depth, "width": width, "resolution": net.resolution}

    def _price(self, fingerprint: str) -> float:
        grid = self.grid
        return grid.settings.objective(1.0, grid.candidates[fingerprint].cost.macs, grid.target_cost)


def _below_one(record: TrialRecord) -> float:
    """The accuracy, NaN for a failed training; no error at all counts as half a picture, because its log must exist."""
    if record.accuracy is None:
        return math.nan
    return min(record.accuracy, 1 - 0.5 / (record.n_val or _MANY))
