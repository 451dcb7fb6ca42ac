"""One law over all axes: log(error) = c0 + c_w log(width) + c_d log(depth) + c_r log(resolution), error = 1 - accuracy.

A power law error ~ width^c_w * depth^c_d * resolution^c_r has no floor, so it describes a range, not a limit: do not
read it far beyond the networks it was fitted to. It fits the published MobileNetV1 and V2 tables with R2 .994 and
.993 (`reference_tables.mobilenet_width_resolution`). `curvature=True` adds squares and products of the logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalesearch.analysis.regression import Estimate, number_rows, regress
from scalesearch.analysis.usable import check_comparable, check_confidence, require_columns, usable_rows

__all__ = ["AXES", "JointLaw", "design_of", "fit_joint_law", "log_coordinates", "term_names"]

AXES = ("width", "depth", "resolution")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class JointLaw:
    """A fitted law; see `fit_joint_law`."""

    terms: Mapping[str, Estimate]  # by axis, "width*depth" for products, "1" for the intercept; empty if not identified
    axes: tuple[str, ...]  # those that vary in the data
    centre: Mapping[str, float]  # geometric mean of each axis: curvature is taken around it
    r2: float | None
    residual_sd: float | None  # of log(error)
    lack_of_fit: float | None  # p value against the noise between seeds; None without networks with several seeds
    n_rows: int
    n_networks: int
    n_seeds: int
    n_dropped: int
    identified: bool
    why: str  # one sentence: what stands in the way, or what to be careful about; "" if nothing

    def error_at(self, table: pd.DataFrame) -> Floats:
        """Predicted error of the rows of a table with the columns of `axes`; NaN without a law or without a size.

        Raises:
            DataError: a column is missing.
        """
        if not self.identified:
            return np.full(len(table), math.nan)
        rows = log_coordinates(table, self.axes) - np.log([self.centre[axis] for axis in self.axes])
        curvature = any("*" in name for name in self.terms)
        coefficients = [self.terms[name].value for name in term_names(self.axes, curvature)]
        return np.asarray(np.exp(design_of(rows, curvature) @ coefficients), dtype=np.float64)


def fit_joint_law(trials: pd.DataFrame, *, curvature: bool = False, confidence: float = 0.95) -> JointLaw:
    """Fit the law to trainings.

    Args:
        trials: one row per training: width, depth, resolution (multipliers or sizes, positive), accuracy (0..1,
            below 1), and `seed` where there are several. An axis that does not vary is left out. Rows with missing
            values are dropped and counted.
        curvature: add squares and products of the logarithms around their mean.
        confidence: of the intervals (t, on the residual sd; on the lack-of-fit mean square where there is misfit).

    Returns:
        A law; with `identified` False and a sentence in `why` where the data cannot tell the coefficients apart.

    Raises:
        DataError: a column is missing, no row is usable, or trials of several data sets or recipes are mixed.
    """
    check_confidence(confidence)
    check_comparable(trials, "a joint law")
    with_error = trials.assign(error=1 - trials["accuracy"]) if "accuracy" in trials.columns else trials
    rows, dropped = usable_rows(with_error, [*AXES, "accuracy", "error"], "a joint law", positive=[*AXES, "error"])
    axes = tuple(axis for axis in AXES if np.ptp(np.log(rows[axis])) > 1e-9)
    logs = log_coordinates(rows, axes)
    seed = rows["seed"].to_numpy() if "seed" in rows.columns else np.zeros(len(rows))
    seeds = pd.factorize(seed)[0].astype(np.int64)
    network = number_rows(logs) if axes else np.zeros(len(rows), dtype=np.int64)
    fit = regress(design_of(logs - logs.mean(axis=0), curvature), np.log(rows["error"].to_numpy()), network, seeds)
    names = term_names(axes, curvature)
    n_networks = int(network.max()) + 1
    identified, why = _judge(axes, names, n_networks, fit.full_rank, fit.df, fit.misfit, fit.r2)
    half = fit.half_widths(np.eye(len(names)), confidence)
    return JointLaw(
        terms=_terms(names, fit.coefficients, half) if identified else {},
        axes=axes,
        centre=dict(zip(axes, np.exp(logs.mean(axis=0)).tolist(), strict=True)),
        r2=fit.r2,
        residual_sd=fit.sd,
        lack_of_fit=fit.lack_of_fit,
        n_rows=len(rows),
        n_networks=n_networks,
        n_seeds=int(seeds.max()) + 1,
        n_dropped=dropped,
        identified=identified,
        why=why,
    )


def log_coordinates(table: pd.DataFrame, axes: Sequence[str]) -> Floats:
    """(N, len(axes)) natural logarithms of the axes; NaN where there is no positive number."""
    require_columns(table, axes, "a law over width, depth and resolution")
    sizes = table[list(axes)].to_numpy(dtype=np.float64)
    return np.log(np.where(sizes > 0, sizes, math.nan))


def design_of(rows: Floats, curvature: bool) -> Floats:
    """(N, p) columns of `term_names` for centred logarithms (N, k)."""
    columns = [np.ones(len(rows)), *rows.T]
    if curvature:
        columns += [rows[:, i] * rows[:, j] for i, j in combinations_with_replacement(range(rows.shape[1]), 2)]
    return np.column_stack(columns)


def term_names(axes: Sequence[str], curvature: bool) -> list[str]:
    """Names of the columns of `design_of`."""
    products = [f"{a}*{b}" for a, b in combinations_with_replacement(axes, 2)] if curvature else []
    return ["1", *axes, *products]


def _terms(names: Sequence[str], values: Floats, half: Floats) -> dict[str, Estimate]:
    def term(value: float, width: float) -> Estimate:
        return Estimate(value, value - width, value + width) if math.isfinite(width) else Estimate(value, None, None)

    return {name: term(float(v), float(h)) for name, v, h in zip(names, values, half, strict=True)}


def _judge(
    axes: Sequence[str], names: Sequence[str], networks: int, full_rank: bool, df: int, misfit: bool, r2: float | None
) -> tuple[bool, str]:
    if not axes:
        return False, "no joint law: width, depth and resolution are the same in every row"
    if networks < len(names):
        return False, f"no joint law: {len(names)} coefficients need at least as many networks, got {networks}"
    if not full_rank:
        return False, f"no joint law: {', '.join(axes)} were not varied independently of each other"
    if r2 is None:
        return False, "no joint law: the accuracy is the same in every row"
    if df <= 0:
        return True, "no intervals: as many coefficients as trainings"
    if misfit:
        return True, "the law does not describe the data (lack of fit): read intervals as a summary, not as a law"
    return True, ""
