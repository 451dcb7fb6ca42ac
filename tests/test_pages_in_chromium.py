"""Every kind of report in a real browser: wide and narrow, sorted by a click, and without any request."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import CHROMIUM, Chromium
from made_runs import axes_run, grid_run, search_run

from scalesearch.report.comparison_page import comparison_page
from scalesearch.report.redraw import page_of
from scalesearch.store.run import load_run

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")

LONG = f"efficientnet_b0_{'da8ba42d_400M_' * 4}resolution_1.45x"
KINDS = ("grid", "search", "axes", "comparison")
WIDTHS = (1400, 390)

# a table's column as text, and a click on its head
COLUMN = (
    "Array.from(document.querySelectorAll('table.sortable')[{t}].tBodies[0].rows, r => r.cells[{c}].textContent.trim())"
)
CLICK = "document.querySelectorAll('table.sortable')[{t}].tHead.rows[0].cells[{c}].querySelector('button').click()"
# what sticks out of the window, tables that scroll by themselves aside
OUTSIDE = """Array.from(document.querySelectorAll('body *'))
  .filter(e => !e.closest('.wide, pre') && e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.outerHTML)"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One page of each kind."""
    folder = tmp_path_factory.mktemp("pages")
    # searched networks have names without a blank that are wider than a telephone
    words = {"sentence": f"a tie: {LONG} leads", "warnings": [f"trainings failed and are left out, of {LONG}"]}
    runs = [load_run(make(folder / "runs", **words)) for make in (grid_run, search_run, axes_run)]
    texts = {run.verb: page_of(run) for run in runs} | {"comparison": comparison_page(runs)}
    for kind, text in texts.items():
        (folder / f"{kind}.html").write_text(text, encoding="utf-8")
    return {kind: folder / f"{kind}.html" for kind in texts}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_fits_its_window_and_asks_for_nothing(browser: Chromium, pages: dict[str, Path], kind: str, width: int) -> None:
    browser.open(pages[kind].as_uri(), width=width)
    assert browser.value("innerWidth") == width
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert browser.value(OUTSIDE) == []
    pictures = browser.value("Array.from(document.images, i => i.complete && i.naturalWidth > 0)")
    assert len(pictures) > 0
    assert all(pictures)
    assert [address for address in browser.requests if not address.startswith("data:")] == [pages[kind].as_uri()]
    assert browser.complaints == []


@pytest.mark.parametrize("kind", ["grid", "search", "axes"])
def test_tables_sort_on_click(browser: Chromium, pages: dict[str, Path], kind: str) -> None:
    browser.open(pages[kind].as_uri(), width=1400)
    heads = browser.value(
        "Array.from(document.querySelectorAll('table.sortable'), t => Array.from(t.tHead.rows[0].cells, c => "
        "[c.textContent.trim(), c.classList.contains('words')]))"
    )
    assert heads
    for table, columns in enumerate(heads):
        column = next(c for c, (text, words) in enumerate(columns) if text and not words)
        place = {"t": table, "c": column}
        browser.value(CLICK.format(**place))  # numbers begin with the largest
        falling = [number(text) for text in browser.value(COLUMN.format(**place))]
        assert falling == sorted(falling, reverse=True), columns[column]
        browser.value(CLICK.format(**place))
        rising = [number(text) for text in browser.value(COLUMN.format(**place))]
        known = [value for value in rising if value != MISSING]
        assert known == sorted(known), columns[column]
        assert sorted(rising) == sorted(falling), columns[column]


MISSING = float("-inf")


def number(text: str) -> float:
    """The first number of a cell; an empty cell is last whichever way a column is sorted."""
    found = "".join(c for c in text.replace("−", "-").split(" ")[0] if c in "0123456789.-")
    scale = {"K": 1e3, "M": 1e6, "G": 1e9}.get(text[-1:], 1.0)
    return float(found) * scale if found.strip("-.") else MISSING
