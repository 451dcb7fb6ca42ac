"""Figures as bytes."""

import struct

import matplotlib
import pytest
from grid_tables import standings, summary

from scalesearch.report.grid_figures import grid_figures
from scalesearch.report.render import to_pdf, to_png


@pytest.fixture(scope="module")
def figures():
    return grid_figures(standings(), summary())


def test_names_and_frames(figures):
    assert list(figures) == ["landscape", "ranking", "accuracy_macs"]
    assert all(len(frame) == 5 for frame, _ in figures.values())
    # the target of the summary reaches the figure, and its tolerance only where MACs are constrained
    assert figures["accuracy_macs"][0]["target_high"].iloc[0] == pytest.approx(210e6)
    nominal, _ = grid_figures(standings(), {**summary(), "constraint": "nominal"})["accuracy_macs"]
    assert nominal["target_macs"].iloc[0] == 200e6
    assert nominal["target_high"].isna().all()


def test_png_is_the_same_every_time_whatever_the_readers_settings_are(figures):
    again = grid_figures(standings(), summary())
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        other = to_png(again["landscape"][1], dpi=80)
    png = to_png(figures["landscape"][1], dpi=80)
    assert png == other
    assert png.startswith(b"\x89PNG")
    assert b"Software" not in png
    width, height = struct.unpack(">II", png[16:24])
    assert (width, height) == (592, 496)


def test_pdf_has_no_date(figures):
    pdf = to_pdf(figures["ranking"][1])
    assert pdf.startswith(b"%PDF")
    assert b"CreationDate" not in pdf
    assert pdf == to_pdf(grid_figures(standings(), summary())["ranking"][1])


def test_no_window_or_global_state(figures):
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []
