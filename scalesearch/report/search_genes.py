"""What the best networks of a search have in common: every choice's share among them against its share among all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from scalesearch.analysis.enrichment import draw_probability
from scalesearch.report.render import INK, MUTED, new_figure, style
from scalesearch.report.search_marks import searched

__all__ = ["draw_genes", "genes_data", "genes_title"]

PREFIX: Final = "gene."
_TOP: Final = 0.25  # of the networks are called the best
_CLEAR: Final = 0.01  # probability below which a tile stands out by itself
_SURE: Final = 0.05  # probability below which the title names one, times the number of tiles (Bonferroni)
_WIDTH: Final = 7.4  # inches of the figure, as of all others
_LEFT: Final = 0.95  # inches for the names of stages
_GAP: Final = 0.13  # inches between dimensions
_ROW: Final = 0.3  # inches
_WIDEST: Final = 0.95  # inches of a tile
_COLOURS: Final = LinearSegmentedColormap.from_list("rarer to commoner", ["#d98c3f", "#ffffff", "#5b9fd0"])


def genes_data(trials: pd.DataFrame) -> pd.DataFrame:
    """The frame behind the figure: one row per stage, dimension and choice.

    Networks are ranked by how long they were trained, then by objective: a search trains longer what did well. The
    best quarter of the ranked networks, at least one, is compared with all of them.

    Args:
        trials: with `fingerprint, epochs, objective`, and a text column `gene.STAGE.DIMENSION` (or `gene.STAGE`) per
            dimension of the space.

    Returns:
        `stage, dimension, choice`, in the order of the columns; `n_top, n_all` networks with that choice of
        `top, all` networks; `share_top, share_all, difference`, and `p`, how likely a draw of the best at random would
        differ as much (Fisher's exact test). A network that lacks a dimension counts as having none of its choices.
        Dimensions without two choices are left out.
    """
    ranked = searched(trials)
    ranked = ranked[ranked["objective"].notna()]
    ranked = ranked.sort_values(["epochs", "objective"], ascending=False, kind="stable")
    ranked = ranked.drop_duplicates("fingerprint")
    n = len(ranked)
    top = ranked.head(math.ceil(_TOP * n))
    genes = [str(column) for column in trials.columns if str(column).startswith(PREFIX)]
    varied = {_parts(gene)[1] for gene in genes if ranked[gene].nunique() > 1}
    rows = []
    for gene in genes:
        stage, dimension = _parts(gene)
        if dimension not in varied:
            continue
        for choice in _in_order(ranked[gene].dropna().astype(str).unique().tolist()):
            counts = (int((part[gene].astype(str) == choice).sum()) for part in (top, ranked))
            rows.append((stage, dimension, choice, *counts, len(top), n))
    columns = ["stage", "dimension", "choice", "n_top", "n_all", "top", "all"]
    return _compared(pd.DataFrame(rows, columns=columns))


def draw_genes(data: pd.DataFrame) -> Figure:
    """Draw what `genes_data` returned: rows are stages, columns the choices of each dimension."""
    if data.empty:
        return _nothing()
    stages = list(dict.fromkeys(data["stage"]))
    columns = [
        (dimension, choice)
        for dimension in dict.fromkeys(data["dimension"])
        for choice in _in_order(data.loc[data["dimension"] == dimension, "choice"].unique().tolist())
    ]
    n_gaps = data["dimension"].nunique() - 1
    tile = min(_WIDEST, (_WIDTH - _LEFT - 0.2 - _GAP * n_gaps) / len(columns))
    size = min(8.5, 26 * tile)
    heads, upright = _head_height([choice for _, choice in columns], tile, size)
    above, below = 0.92 + heads, 0.42
    height = above + below + _ROW * len(stages)
    with style():
        figure = new_figure(_WIDTH, height)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, _WIDTH)
        axes.set_ylim(height, 0)
        axes.set_axis_off()
        left = _lefts(columns, tile)
        for i, stage in enumerate(stages):
            axes.text(
                _LEFT - 0.1, above + _ROW * (i + 0.5), stage.replace("_", " "), ha="right", va="center", fontsize=8.5
            )
        _draw_heads(axes, columns, left, tile, above, size, upright=upright, heads=heads)
        places = {(str(row.stage), str(row.dimension), str(row.choice)): row for row in data.itertuples()}
        for (stage, dimension, choice), row in places.items():
            x, y = left[columns.index((dimension, choice))], above + _ROW * stages.index(stage)
            _draw_tile(axes, x, y, tile, float(row.share_top), float(row.difference), float(row.p), size)  # type: ignore[arg-type]
        _draw_title(figure, data, height)
    return figure


def genes_title(data: pd.DataFrame) -> str:
    """The finding in words."""
    if data.empty:
        return "No choice differs between the trained networks"
    sure = data[(data["p"] < _SURE / len(data)) & (data["difference"] > 0)]
    if sure.empty:
        n = int((data["p"] < _CLEAR).sum())
        if n == 0:
            return "No choice stands out among the best networks"
        expected = max(1, round(_CLEAR * len(data)))
        return f"{n} of {len(data)} shares stand{'s' if n == 1 else ''} out; chance alone makes up to {expected}"
    row = sure.sort_values("p", kind="stable").iloc[0]
    where = " ".join(filter(None, (str(row["stage"]), str(row["dimension"])))).replace("_", " ")
    choice = str(row["choice"]).replace("_", " ")
    amount = f"{_percent(row['share_top'])} of the best, {_percent(row['share_all'])} of all"
    return f"{where} = {choice}: {amount}"


def _compared(data: pd.DataFrame) -> pd.DataFrame:
    """Shares, how far they differ, and how likely that is by chance."""
    data["share_top"] = data["n_top"] / data["top"]
    data["share_all"] = data["n_all"] / data["all"]
    data["difference"] = data["share_top"] - data["share_all"]
    counts = data[["n_top", "n_all", "top", "all"]].to_numpy(dtype=int).tolist()
    data["p"] = [draw_probability(*row) for row in counts]
    return data


def _parts(gene: str) -> tuple[str, str]:
    stage, _, dimension = gene.removeprefix(PREFIX).partition(".")
    return stage, dimension


def _in_order(choices: Sequence[str]) -> list[str]:
    """Numbers by size, then words by name."""

    def key(choice: str) -> tuple[int, float, str]:
        try:
            return 0, float(choice), choice
        except ValueError:
            return 1, 0.0, choice

    return sorted(choices, key=key)


def _head_height(choices: Sequence[str], tile: float, size: float) -> tuple[float, bool]:
    """Inches that the names of choices take, word under word where each fits its tile, upright elsewhere."""
    letter = 0.6 * size / 72
    words = [choice.split("_") for choice in choices]
    if max(len(word) for parts in words for word in parts) * letter <= tile:
        return 0.06 + max(map(len, words)) * 1.25 * size / 72, False
    return 0.08 + 0.93 * letter * max(map(len, choices)), True


def _lefts(columns: Sequence[tuple[str, str]], tile: float) -> list[float]:
    """Left edges of the tiles, in inches."""
    lefts, x = [], _LEFT
    for i, (dimension, _) in enumerate(columns):
        if i and dimension != columns[i - 1][0]:
            x += _GAP
        lefts.append(x)
        x += tile
    return lefts


def _draw_heads(
    axes: Axes, columns: Sequence[tuple[str, str]], left: Sequence[float], tile: float, above: float, size: float,
    *, upright: bool, heads: float,
) -> None:  # fmt: skip
    for (_, choice), x in zip(columns, left, strict=True):
        words = choice.replace("_", " " if upright else "\n")
        axes.text(
            x + tile / 2, above - 0.06, words, ha="center", va="bottom", fontsize=size, color=MUTED,
            rotation=90 if upright else 0,
        )  # fmt: skip
    for dimension in dict.fromkeys(dimension for dimension, _ in columns):
        own = [x for (name, _), x in zip(columns, left, strict=True) if name == dimension]
        middle = (own[0] + own[-1] + tile) / 2
        words = dimension.replace("_", " ").replace(" size", "").replace(" ratio", "")
        axes.text(middle, above - heads - 0.06, words, ha="center", va="bottom", fontsize=9, fontweight="bold")


def _draw_tile(axes: Axes, x: float, y: float, tile: float, top: float, change: float, p: float, size: float) -> None:
    clear = p < _CLEAR
    colour = _COLOURS(0.5 + max(-0.5, min(0.5, change)))
    axes.add_patch(Rectangle((x, y), tile, _ROW, facecolor=colour, edgecolor="white", linewidth=1.2, gid="tile"))
    axes.text(
        x + tile / 2, y + _ROW / 2, f"{100 * top:.0f}", ha="center", va="center_baseline", fontsize=size,
        fontweight="bold" if clear else "normal", color=INK if clear else MUTED,
    )  # fmt: skip


def _draw_title(figure: Figure, data: pd.DataFrame, height: float) -> None:
    n_top, n = int(data["top"].iloc[0]), int(data["all"].iloc[0])
    figure.text(0.03, 1 - 0.33 / height, genes_title(data), fontsize=12.5, fontweight="bold")
    best = "the best network" if n_top == 1 else f"the best {n_top} networks"
    figure.text(
        0.03, 1 - 0.57 / height, f"numbers: share in %, among {best} of {n}; blue: commoner than among all, orange: "
        "rarer", fontsize=9, color=MUTED,
    )  # fmt: skip
    note = "Bold: a draw at random would differ as much in fewer than 1 of 100 cases, for each tile by itself."
    figure.text(0.03, 0.13 / height, note, fontsize=8, color=MUTED)


def _nothing() -> Figure:
    with style():
        figure = new_figure(_WIDTH, 1.1)
        figure.text(0.03, 0.6, genes_title(pd.DataFrame()), fontsize=12.5, fontweight="bold")
        figure.text(0.03, 0.3, "at least two networks with a result are needed", fontsize=9, color=MUTED)
    return figure


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
