"""The page and the words of a search."""

import base64
import hashlib
import json
import math
import re
from pathlib import Path

import pandas as pd
import pytest
from search_made import entries, few, finalists, summary
from test_grid_page import PNG, Reader

from scalesearch.errors import UnknownNameError
from scalesearch.report.metrics import budget_words, metric_of
from scalesearch.report.search_page import search_page
from scalesearch.report.search_words import search_words, space_words


def page(table=None, **changed):
    shown = finalists() if table is None else table
    return search_page(summary(**changed), shown, few(), {"front": PNG}, "seed: 0\nruns_dir: /home/someone/runs\n")


def test_says_the_outcome_and_the_settings():
    text = Reader(page()).text
    assert "s093 leads with objective 0.8457; efficientnet_b0 is told apart from it." in text
    for words in (
        "Search for a baseline at 400M multiply-adds",
        "402,000,000, equal to fvcore's count",
        "84.6 % (4 seeds, 95 % interval 84.0 to 85.2 %)",
        "320M to 440M; networks outside were not trained",
        "accuracy × (MACs / 400M)^w, w = −0.07",
        "5 trainings, 1 of them without a result",
        "The proxy is too coarse.",
        "runs_dir: runs",
    ):
        assert words in text
    assert "/home" not in text


def test_tables():
    compared, stages, front = Reader(page()).tables
    assert dict(zip(compared[0], compared[1], strict=True)) == {
        "outcome": "best", "network": "s093", "MACs": "402M", "params": "5.29M", "activations": "6.75M",
        "accuracy": "84.6 %", "95 % interval": "84.0 – 85.2 %", "objective": "0.8457", "P(best)": "0.40", "seeds": "4",
    }  # fmt: skip
    assert compared[3][1] == "efficientnet_b0 (base)"
    assert compared[4][5:9] == ["–"] * 4
    assert stages[2] == ["2", "mbconv e6 k5 se0.25 s2 40x2"]
    assert front[1] == ["s093", "402M", "85.1 %", "0.8507", "1"]


def test_the_one_script_is_the_one_its_policy_allows():
    text = page()
    read = Reader(text)
    assert read.tags.count("script") == 1
    assert read.links == ["data:image/png;base64,iVBORw0KGgo="]
    inside = re.search(r"<script>(.*?)</script>", text, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert not re.search(r"https?://|@import|url\(", text)
    assert text.count('<table class="sortable">') == 2


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}"])
def test_every_text_is_escaped(text):
    best = {**summary()["best"], "name": text, "stages": [text]}
    table = finalists().assign(name=text, outcome=text)
    front = [{"name": text, "cost": 4e8, "accuracy": 0.8, "objective": 0.8, "epochs": 1}]
    changed = {"sentence": text, "warnings": [text], "strategy": text, "best": best, "front": front}
    changed |= {"data": {"name": text}, "baseline": {"name": text}}
    made = search_page(summary(**changed), table, few(), {text: PNG}, json.dumps({"note": text}))
    read = Reader(made)
    assert read.tags.count("script") == 1
    assert read.tags.count("img") == 1
    assert text in read.text
    assert "<script>alert" not in made


def test_without_finals():
    best = {**summary()["best"], "accuracy_ci95": [None, None], "p_best": None, "seeds": 1}
    changed = {"finalists": [], "baseline": None, "best": best, "warnings": [], "slot_utilisation": None, "front": []}
    changed |= {"window_low": 0.0, "window_high": math.inf}
    text = Reader(page(pd.DataFrame(), **changed)).text
    assert "No network was trained again with more seeds" in text
    assert "No training of the search has a result." in text
    assert "84.6 % (1 seed)" in text
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b", text)
    words = search_words(summary(**changed), Path("run"))
    assert "finalist" not in words
    assert not re.search(r"\bnan\b|\bNone\b", words)


def test_latency():
    table = finalists().assign(cost=12.3456)
    text = Reader(page(table, cost="latency", target=20.0, window_low=10.0, window_high=22.0, front=[])).text
    assert "Search for a baseline at 20 ms" in text
    assert "12.3 ms" in text
    assert "10 ms to 22 ms; networks outside were not trained" in text
    found = search_words(summary(cost="latency", finalists=[{**e, "cost": 12.3456} for e in entries()]), Path("run"))
    assert "12.3 ms" in found


def test_words():
    lines = search_words(summary(n_finals=16), Path("runs/search/first")).splitlines()
    assert lines[:2] == [summary()["sentence"], "note: the proxy is too coarse"]
    assert lines[4].split() == ["s093", "best", "402M", "0.8457", "84.60%", "84.00%", "to", "85.20%", "0.40", "4"]
    assert lines[6].endswith("base")
    assert "s093: 402,000,000 multiply-adds (equal to fvcore), 5,290,000 parameters" in lines
    assert "  mbconv e6 k5 se0.25 s2 40x2" in lines
    assert (
        "124 asked for, 120 trained, 16 trained for the finals, 3 without a result, 4 duplicates and 17 over the "
        "budget passed over; 18 min 50 s, slots busy 94% of the time"
    ) in lines
    assert lines[-2:] == [
        "next: scalesearch grid --baseline runs/search/first/best.json",
        "report: runs/search/first/report.html",
    ]


def test_a_count_that_differs_is_said():
    best = {**summary()["best"], "fvcore_macs": 402_000_001}
    assert "(fvcore: 402,000,001)" in search_words(summary(best=best), Path("run"))
    assert "402,000,000; fvcore: 402,000,001" in Reader(page(best=best)).text


def test_words_for_a_plan():
    overview = {
        "dimensions": {"stage1.op": ["conv", "mbconv_e6"], "stage1.repeats": [-1, 0, 1]},
        "reach": {"macs": [48_500_000, 2_000_000_000]},
        "drawn": 200,
        "drawn_macs": [202_000_000, 345_000_000, 439_000_000],
    }
    lines = space_words("a space", overview).splitlines()
    assert lines[0] == "a space"
    assert "stage1.op       conv mbconv_e6" in lines
    assert "stage1.repeats  -1 0 1" in lines
    assert lines[-1] == "200 networks drawn within the budget: 202M to 439M MACs, half of them up to 345M"


def test_metrics():
    assert metric_of("macs").format(385_814_752) == "386M"
    assert metric_of("latency").format(4.208) == "4.21 ms"
    with pytest.raises(UnknownNameError, match="did you mean params"):
        metric_of("parms")
    macs = metric_of("macs")
    assert [budget_words(macs, *b) for b in [(3e8, 4e8), (0.0, 4e8), (3e8, math.inf), (None, None)]] == [
        "300M to 400M", "up to 400M", "from 300M", "",
    ]  # fmt: skip
