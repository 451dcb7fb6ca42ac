"""Accuracy against realised cost."""

import math

import pandas as pd
import pytest
from grid_tables import BASELINE_MACS, row, standings

from scalesearch.report.accuracy import accuracy_data, accuracy_title, draw_accuracy
from scalesearch.report.scales import count_ticks


def data(frame=None, **options):
    return accuracy_data(standings() if frame is None else frame, baseline_macs=BASELINE_MACS, **options)


def test_values_in_percent_and_ratios():
    first = data(ratio=2.0, tolerance=0.05).iloc[0]
    assert first["macs"] == 192_027_000
    assert first["realised_ratio"] == pytest.approx(1.92027)
    assert (first["accuracy"], first["low"], first["high"]) == pytest.approx((81.2, 80.2, 82.2))
    assert (first["target_macs"], first["target_low"], first["target_high"]) == pytest.approx((200e6, 190e6, 210e6))


def test_missing_stays_missing():
    frame = data()
    assert frame.iloc[4][["accuracy", "low", "high"]].isna().all()
    assert frame[["target_macs", "target_low", "target_high"]].isna().all(axis=None)


def by_gid(figure, gid):
    return [artist for artist in figure.axes[0].get_children() if artist.get_gid() == gid]


def test_marks_target_and_tolerance():
    figure = draw_accuracy(data(ratio=2.0, tolerance=0.05))
    count = {gid: sum(len(c.get_offsets()) for c in by_gid(figure, gid)) for gid in ("best", "tied", "failed")}
    assert count == {"best": 1, "tied": 2, "failed": 1}
    assert by_gid(figure, "target")[0].get_xdata()[0] == 200e6
    assert len(by_gid(figure, "tolerance")) == 1
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert sorted(texts) == ["depth only", "efficientnet", "width only + uniform"]
    assert "dashed: target 200M ± 5 %" in figure.texts[1].get_text()


def test_nothing_is_drawn_for_what_is_not_known():
    figure = draw_accuracy(data())
    assert by_gid(figure, "target") == by_gid(figure, "tolerance") == []
    low, _ = figure.axes[0].get_ylim()
    # 0 % would stand for the missing accuracy
    assert low > 50


def test_one_seed_gives_no_bars():
    frame = standings().assign(accuracy_low=math.nan, accuracy_high=math.nan)
    figure = draw_accuracy(data(frame, ratio=2.0))
    assert "one seed gives no interval" in figure.texts[1].get_text()


def test_interval_of_two_seeds_does_not_flatten_the_figure():
    frame = standings()
    frame.loc[1, ["accuracy_low", "accuracy_high"]] = [0.2, 1.4]
    low, high = draw_accuracy(data(frame)).axes[0].get_ylim()
    assert 70 < low < 77
    assert 81.2 < high < 90


def test_titles():
    assert accuracy_title(data()) == "4 candidates at 1.92–2.00× the cost reach 77.0 to 81.2 %"
    one = pd.DataFrame([row(2.0, 1.0, 1.0, 0.812, "best")])
    assert accuracy_title(data(one)) == "1 candidate at 2.00× the cost reaches 81.2 %"
    none = pd.DataFrame([row(2.0, 1.0, 1.0, None, "failed")])
    assert accuracy_title(data(none)) == "No candidate has an accuracy"
    assert draw_accuracy(data(none)).axes


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (735e6, 812e6, ["740M", "760M", "780M", "800M"]),
        (771.9e6, 772.6e6, ["772.0M", "772.2M", "772.4M", "772.6M"]),
        (90e6, 1.1e9, ["100M", "150M", "200M", "300M", "500M", "700M", "1.0G"]),
        (1e4, 1e9, ["10K", "100K", "1.0M", "10M", "100M", "1.0G"]),
    ],
)
def test_ticks_are_few_round_and_different(low, high, labels):
    ticks, found = count_ticks(low, high)
    assert found == labels
    assert all(low <= tick <= high for tick in ticks)
