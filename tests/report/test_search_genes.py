"""What the best networks have in common."""

import pandas as pd
import pytest
from search_made import many, trial

from scalesearch.analysis.enrichment import draw_probability
from scalesearch.report.search_genes import draw_genes, genes_data, genes_title


def eight(**genes):
    """Eight networks, the first the best, with one value each of every gene."""
    return pd.DataFrame(
        [
            trial(i + 1, 0.9 - 0.01 * i, 4e8, **{f"gene.{name}": values[i] for name, values in genes.items()})
            for i in range(8)
        ]
    )


def test_shares_among_the_best_quarter():
    data = genes_data(eight(**{"stage1.kernel_size": list("33555577"), "stage2.op": ["conv"] * 8}))
    assert data["dimension"].unique().tolist() == ["kernel_size"]  # nothing differs in op
    assert data["choice"].tolist() == ["3", "5", "7"]
    assert data["share_top"].tolist() == [1.0, 0.0, 0.0]
    assert data["share_all"].tolist() == [0.25, 0.5, 0.25]
    assert data["difference"].tolist() == [0.75, -0.5, -0.25]
    assert data[["top", "all"]].iloc[0].tolist() == [2, 8]
    assert data["p"].iloc[0] == pytest.approx(draw_probability(2, 2, 2, 8))


def test_longer_trainings_rank_first_and_count_once():
    rows = [
        trial(1, 0.9, 4e8, **{"gene.layer1.op": "a"}),
        trial(2, 0.8, 4e8, fingerprint="x", **{"gene.layer1.op": "b"}),
        trial(3, 0.7, 4e8, fingerprint="x", epochs=3, **{"gene.layer1.op": "b"}),
        trial(4, 0.6, 4e8, **{"gene.layer1.op": "a"}),
        trial(5, float("nan"), 4e8, **{"gene.layer1.op": "a"}),
        trial(6, 0.99, 4e8, phase="final", **{"gene.layer1.op": "a"}),
    ]
    data = genes_data(pd.DataFrame(rows)).set_index("choice")
    assert data["n_all"].to_dict() == {"a": 2, "b": 1}
    assert data["n_top"].to_dict() == {"a": 0, "b": 1}


def test_numbers_are_ordered_as_numbers():
    data = genes_data(eight(**{"stage1.repeats": ["0", "+1", "-1", "10", "2", "0", "0", "0"]}))
    assert data["choice"].tolist() == ["-1", "0", "+1", "2", "10"]


@pytest.mark.parametrize(("stages", "dimensions"), [(7, 6), (8, 1)])
def test_a_tile_for_every_choice(stages, dimensions):
    data = genes_data(many(60, stages=stages, dimensions=dimensions))
    figure = draw_genes(data)
    tiles = [patch for patch in figure.axes[0].patches if patch.get_gid() == "tile"]
    assert len(tiles) == len(data)
    assert max(tile.get_x() + tile.get_width() for tile in tiles) <= figure.get_figwidth()
    lefts = {tile.get_x() for tile in tiles}
    assert len(lefts) == data[["dimension", "choice"]].drop_duplicates().shape[0]


def test_titles():
    clear = eight(**{"stage1.op": list("aabbbbbb")})
    twenty = pd.concat([clear] * 20, ignore_index=True)
    twenty["fingerprint"] = range(len(twenty))
    assert genes_title(genes_data(twenty)) == "stage1 op = a: 100 % of the best, 25 % of all"
    assert genes_title(genes_data(clear)) == "No choice stands out among the best networks"
    nothing = genes_data(clear.iloc[:1])
    assert nothing.empty
    assert genes_title(nothing) == "No choice differs between the trained networks"
    assert draw_genes(nothing).texts
    assert genes_data(pd.DataFrame([trial(1, 0.8, 4e8)])).empty
