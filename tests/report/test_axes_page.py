"""The page of a study of axes."""

import json
import math
import re

import pytest
from axes_made import usual
from test_grid_page import PNG, Reader

from scalesearch.report.axes_page import axes_page
from scalesearch.report.page_parts import as_sentence


def page(curves=None, comparisons=None, pictures=None, **changed):
    made, _, compared, summary = usual()
    shown = made if curves is None else curves
    table = compared if comparisons is None else comparisons
    config = "seed: 0\nruns_dir: /home/someone/runs\n"
    return axes_page({**summary, **changed}, shown, table, pictures or {"axes": PNG}, config)


def test_says_the_outcome_and_the_settings():
    text = Reader(page()).text
    for words in (
        "How efficientnet_b0 pays to grow: width, depth, resolution, and all three",
        "Points of accuracy per doubling of cost are known.",
        as_sentence(usual()[3]["comparison_sentence"]),
        "The proxy is too coarse.",
        "386M multiply-adds, 5.29M parameters, 224 px",
        "120; 4 taken from grid/first",
        "R² 0.970 over 20 networks.",
        "runs_dir: runs",
    ):
        assert words in text
    assert "/home" not in text


def test_tables():
    _, fits, comparisons, _ = usual()
    lines, compared, law, points = Reader(page()).tables
    first = dict(zip(lines[0], lines[1], strict=True))
    assert first["curve"] == "width"
    assert first["points per doubling"] == f"{fits['trend'][0]:+.2f}"
    assert len(compared) == 1 + len(comparisons)
    assert compared[1][:2] == ["0.35×", comparisons["curve"][0]]
    assert law[1] == ["width", "−0.210", "−0.250 to −0.170"]
    assert law[2][2] == "–"
    assert len(points) == 1 + 4 * 7 + 2


def test_one_script_and_nothing_from_elsewhere():
    made = page()
    assert Reader(made).tags.count("script") == 1
    assert not re.search(r"https?://|@import|url\(", made)
    assert made.count('<table class="sortable">') == 3


def test_points_that_were_not_trained_say_why():
    curves = usual()[0].copy()
    curves["kept"] = curves["kept"].astype(object)
    curves.loc[0, ["kept", "reason", "accuracy_mean", "accuracy_low"]] = [False, "out of reach", math.nan, math.nan]
    rows = Reader(page(curves)).tables[-1]
    assert rows[1][-1] == "out of reach"
    assert rows[1][9] == "–"


def test_without_comparisons_law_and_check():
    law = {"identified": False, "why": "no joint law: width was not varied", "terms": {}}
    text = Reader(page(comparisons=usual()[2].iloc[:0], joint_law=law)).text
    assert "Nothing was compared" in text
    assert "No joint law: width was not varied." in text
    fidelity = {"epochs": 6, "sentence": "the proxy ranks well", "width_bias_sentence": "no width bias"}
    assert "Check against 6 epochs: the proxy ranks well. No width bias." in Reader(page(fidelity=fidelity)).text


def test_missing_numbers_are_dashes():
    fits = [{**fit, "trend": None, "trend_low": None, "knee": None, "knee_state": "not known", "identified": False}
            for fit in usual()[3]["fits"]]  # fmt: skip
    text = Reader(page(fits=fits, seed_sd=None, wall_seconds=None, slot_utilisation=None)).text
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b", text)


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}"])
def test_every_text_is_escaped(text):
    curves, comparisons = usual()[0].assign(curve=text, name=text), usual()[2].assign(curve=text, verdict=text)
    fits = [{**fit, "curve": text} for fit in usual()[3]["fits"]]
    changed = {"sentence": text, "warnings": [text], "fits": fits, "comparison_sentence": text}
    made = page(curves, comparisons, {text: PNG}, **changed, joint_law={"terms": {}, "why": json.dumps(text)})
    read = Reader(made)
    assert read.tags.count("script") == 1
    assert read.tags.count("img") == 1
    assert text in read.text
    assert "<script>alert" not in made
