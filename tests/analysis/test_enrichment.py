"""Fisher's exact test."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from scalesearch.analysis.enrichment import draw_probability


def test_by_hand():
    # all three lie in the four chosen of sixteen: (4 * 3 * 2) of (16 * 15 * 14) ordered places
    assert draw_probability(3, 3, 4, 16) == pytest.approx(2 * 24 / 3360)
    assert draw_probability(1, 1, 1, 2) == 1.0
    assert draw_probability(0, 0, 3, 10) == 1.0
    assert draw_probability(3, 10, 3, 10) == 1.0


@given(st.data())
def test_agrees_with_scipy(data):
    n = data.draw(st.integers(1, 300))
    n_with, n_chosen = data.draw(st.integers(0, n)), data.draw(st.integers(0, n))
    n_both = data.draw(st.integers(max(0, n_with + n_chosen - n), min(n_with, n_chosen)))
    law = hypergeom(n, n_with, n_chosen)
    expected = min(1.0, 2 * min(law.cdf(n_both), law.sf(n_both - 1)))
    assert draw_probability(n_both, n_with, n_chosen, n) == pytest.approx(expected, rel=1e-6, abs=1e-12)
