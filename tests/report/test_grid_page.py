"""The page of a grid."""

import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from grid_tables import row, standings, summary

from scalesearch.report.grid_page import grid_page

PNG = b"\x89PNG\r\n\x1a\n"


class Reader(HTMLParser):
    """Tags, attributes that load something, and tables as lists of rows of text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.links, self.tables, self.open = [], [], [], None
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "action", "srcset", "data")]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.open = tag

    def handle_endtag(self, tag):
        if tag == self.open:
            self.open = None

    def handle_data(self, data):
        self.text += data
        if self.open:
            self.tables[-1][-1][-1] += data


def page(frame=None, **changed):
    return grid_page({**summary(), **changed}, standings() if frame is None else frame, {"landscape": PNG}, "seed: 0\n")


def test_says_the_outcome_and_the_settings():
    read = Reader(page())
    assert "A tie between 3 of 4 candidates: efficientnet (1.20, 1.10, 1.15) leads." in read.text
    for words in ("100M multiply-adds", "mini, rescaled from efficientnet_b0", "2 times the baseline within 5 %"):
        assert words in read.text
    assert "The proxy is too coarse." in read.text
    assert "2 lattice points realise this very network (α from 1.2 to 1.25, β = 1.1, γ = 1.15)" in read.text
    assert "busy 91 % of it" in read.text
    assert "accuracy × (MACs / 200M)^w, w = −0.07" in read.text
    hard = Reader(page(objective={"below": 0.0, "above": -1.0})).text
    assert "w = 0 up to 200M and −1 beyond it" in hard
    assert "seed: 0" in read.text


def test_tables():
    leaders, family, candidates = Reader(page()).tables
    assert [cells[0] for cells in leaders] == ["", "leads", "tied", "tied"]
    by_head = dict(zip(candidates[0], candidates[1], strict=True))
    assert by_head == {
        "#": "1", "outcome": "best", "rule": "efficientnet", "α": "1.200", "β": "1.100", "γ": "1.150", "px": "258",
        "MACs": "192M", "ratio": "1.920×", "accuracy": "81.2 %", "95 % interval": "80.2 – 82.2 %",
        "objective": "0.8120", "P(best)": "0.25", "seeds": "3", "params": "5.29M", "fvcore MACs": "195M",
        "nominal": "1.92", "why": "",
    }  # fmt: skip
    # fingerprints are for machines
    assert candidates[2][-1] == "0.0040 behind (1.20, 1.10, 1.15)"
    failed = dict(zip(candidates[0], candidates[5], strict=True))
    assert [failed[name] for name in ("accuracy", "95 % interval", "objective", "P(best)", "fvcore MACs")] == ["–"] * 5
    assert family[1] == ["1", "×1.200", "×1.100", "×1.150", "258", "1.92×", "264", "2.01×", "201M"]


def test_the_caption_says_what_the_candidates_cost():
    assert "Every candidate costs about the same, 1.92 to 2.00 times the baseline." in Reader(page()).text
    far = pd.concat([standings(), pd.DataFrame([row(2.0, 1.2, 1.0, 0.7, "told apart")])], ignore_index=True)
    nominal = Reader(page(far, constraint="nominal")).text
    assert "The constraint is nominal, so that candidates really cost 1.92 to 2.88 times the baseline." in nominal
    assert "about the same" not in nominal


def test_networks_that_share_the_winners_proxy_are_no_region():
    winner = {**summary()["winner"], "region": [[1.2, 1.1, 1.15]], "folded": ["net_a", "net_b"]}
    text = Reader(page(winner=winner)).text
    assert "net_a and net_b share its proxy, so that the training could not tell them apart." in text
    assert "realise this very network" not in text
    assert "share its proxy" not in Reader(page()).text
    assert "net_a shares its proxy" in Reader(page(winner={**winner, "folded": ["net_a"]})).text


def test_paths_of_this_machine_are_shortened():
    config = """
baseline: /home/someone/nets/mine.json
data: {name: imagefolder, path: /home/someone/cats and dogs/set, root: null, cache_dir: /home/someone/cache}
engine: {address: 'head:6379'}
runs_dir: /home/someone/runs
"""
    text = Reader(grid_page(summary(), standings(), {}, config)).text
    assert "/home" not in text
    for line in ("baseline: mine.json", "  path: set", "  root: null", "  cache_dir: cache", "runs_dir: runs"):
        assert f"{line}\n" in text
    assert "address: head:6379" in text
    assert (
        "baseline: efficientnet_b0" in Reader(grid_page(summary(), standings(), {}, "baseline: efficientnet_b0")).text
    )


@pytest.mark.parametrize("config", ["width: [", "just text", ""])
def test_a_config_file_that_was_spoilt_costs_no_page(config):
    assert "config.yaml could not be read" in Reader(grid_page(summary(), standings(), {}, config)).text


def test_needs_nothing_from_outside():
    text = page()
    read = Reader(text)
    assert read.links == ["data:image/png;base64,iVBORw0KGgo="]
    assert not {"link", "iframe", "object", "a"} & set(read.tags)
    assert read.tags.count("script") == 1
    assert text.count('<table class="sortable">') == 3
    assert not re.search(r"https?://|//[a-z]|@import|url\(", text)


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}"])
def test_every_text_is_escaped(text):
    first, *others = standings().to_dict("records")
    frame = pd.DataFrame([{**first, "rule": text, "outcome": text, "why": text}, *others])
    base = summary()
    changed = {
        "sentence": text,
        "depth_rounding": text,
        "baseline": {**base["baseline"], "name": text, "rescaled_from": text},
        "winner": {**base["winner"], "rules": [text]},
        "warnings": [text],
        "data": {**base["data"], "name": text},
    }
    made = grid_page({**base, **changed}, frame, {text: PNG}, json.dumps({"note": text}))
    read = Reader(made)
    assert read.tags.count("script") == 1
    assert read.tags.count("img") == 1
    assert text in read.text
    assert "<script>alert" not in made


def test_a_lone_winner_without_ties_or_warnings():
    base = summary()
    made = page(
        pd.DataFrame([row(1.2, 1.1, 1.15, 0.8, "best")]),
        ties=[],
        sentence="efficientnet is best",
        seed_sd=None,
        slot_utilisation=None,
        warnings=[],
        winner={**base["winner"], "accuracy_ci95": [None, None], "region": [], "p_best": None},
    )
    read = Reader(made)
    assert "Warnings" not in read.text
    assert "efficientnet is best." in read.text
    assert read.tables[0][1][:2] == ["winner", "efficientnet"]
    assert "nan" not in read.text
    assert "None" not in read.text


def test_many_ties_are_cut_with_a_note():
    made = page(ties=[summary()["ties"][0]] * 30)
    assert "19 more are tied; the table of all candidates has them." in Reader(made).text
    assert len(Reader(made).tables[0]) == 13
