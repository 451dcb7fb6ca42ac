"""Names of outcomes and the finding in words."""

import math

import pandas as pd
import pytest

from scalesearch.report.marks import OUTCOMES, finding, mark_of, rule_label


@pytest.mark.parametrize(
    ("marks", "words"),
    [
        ("best", "1 candidate at 2× the cost: nothing to compare with"),
        ("best told", "2 candidates at 2× the cost: one winner"),
        ("best tied told", "3 candidates at 2× the cost: a tie of 2"),
        ("best tied tied", "3 candidates at 2× the cost: all tied"),
        ("best tied failed", "3 candidates at 2× the cost: a tie of 2 (1 without a result)"),
        ("best undecided", "2 candidates at 2× the cost: 1 not decided yet"),
        ("failed failed", "2 candidates at 2× the cost: no result"),
    ],
)
def test_finding(marks, words):
    names = ["told apart" if mark == "told" else mark for mark in marks.split()]
    assert finding(pd.DataFrame({"mark": names}), ratio=2.0) == words


def test_marks():
    assert mark_of("tied", 0.8).name == "tied"
    assert mark_of("waiting", 0.8).name == "undecided"
    assert mark_of("tied", math.nan).name == mark_of("best", None).name == mark_of("failed", 0.3).name == "failed"
    assert len({mark.colour for mark in OUTCOMES.values()}) == len(OUTCOMES)


def test_rule_labels():
    assert rule_label("latency_aware") == "latency aware"
    assert rule_label("") == ""
    assert rule_label("uniform+efficientnet+depth_only", width=16) == "uniform +\nefficientnet +…"
    assert all(len(line) <= 26 for line in rule_label("x" * 500).split("\n"))
    assert rule_label("x" * 500).count("\n") == 1
