"""Reports of hostile runs: every text of every table and summary is shown as text, and no browser runs any of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from chromium import CHROMIUM, Chromium
from made_runs import axes_run, grid_run, search_run

from scalesearch.report.comparison_page import comparison_page
from scalesearch.report.redraw import page_of
from scalesearch.store.run import load_run

MARK = "pwned"
EVIL = (
    f"<script>document.documentElement.id='{MARK}'</script>"
    f"\"'><img src=x onerror=\"document.documentElement.id='{MARK}'\">"
    "</style></title></pre><svg/onload=x()>{{ 7 * 7 }}{% raw %}"
)


class Reader(HTMLParser):
    """Tags and attributes of a page, and its text."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def spoil(value: Any) -> Any:
    """The same values with something hostile after every text; dates, keys and choices of ours are kept."""
    if isinstance(value, dict):
        return {key: part if key in _KEPT else spoil(part) for key, part in value.items()}
    if isinstance(value, list):
        return [spoil(part) for part in value]
    return f"{value} {EVIL}" if isinstance(value, str) else value


# words that the report itself chooses by
_KEPT = {
    "verb", "constraint", "outcome", "status", "judged_by", "fingerprint", "kind", "curve", "rule_of", "evidence",
    "axis", "state", "cost", "baseline_fingerprint", "law", "verdict", "name_of", "a", "b", "curves",
}  # fmt: skip
_TEXTS = ("rule", "why", "error", "refused", "note", "sentence")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Pages of runs whose texts are hostile, by kind."""
    root = tmp_path_factory.mktemp("hostile")
    pages, runs = {}, []
    for make in (grid_run, search_run, axes_run):
        folder = make(root)
        summary = json.loads((folder / "summary.json").read_text())
        for key in ("sentence", "warnings", "notes"):
            if key in summary:
                summary[key] = spoil(summary[key])
        for key in ("data", "baseline", "base", "recipe", "proxy"):
            if isinstance(summary.get(key), dict):
                summary[key] = spoil(summary[key])
        (folder / "summary.json").write_text(json.dumps(summary))
        (folder / "config.yaml").write_text(json.dumps({"note": EVIL, "data": {"name": EVIL}}))
        for path in folder.glob("*.csv"):
            frame = pd.read_csv(path)
            for column in (column for column in _TEXTS if column in frame):
                frame[column] = [f"{value} {EVIL}" for value in frame[column].astype(object).fillna("")]
            frame.to_csv(path, index=False)
        runs.append(load_run(folder))
        pages[runs[-1].verb] = page_of(runs[-1])
    pages["comparison"] = comparison_page(runs)
    return pages


@pytest.mark.parametrize("kind", ["grid", "search", "axes", "comparison"])
def test_texts_stay_texts(hostile: dict[str, str], kind: str) -> None:
    page = hostile[kind]
    read = Reader(page)
    assert read.text.count(f"<script>document.documentElement.id='{MARK}'</script>") >= 1, "nothing hostile got in"
    assert not {"svg", "iframe", "object", "embed", "link", "base", "form"} & set(read.tags)
    assert read.tags.count("script") <= 1, "our own, for sorting"
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    sources = [value or "" for name, value in read.attributes if name in ("src", "href")]
    assert all(value.startswith(("data:image/png;base64,", "#")) for value in sources), sources
    assert "{{ 7 * 7 }}" in read.text, "templates of others are text too"
    assert page.count("<title>") == 1


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")
def test_no_script_of_a_run_runs_in_a_browser(hostile: dict[str, str], browser: Chromium, tmp_path: Path) -> None:
    for kind, page in hostile.items():
        (tmp_path / f"{kind}.html").write_text(page, encoding="utf-8")
        browser.open((tmp_path / f"{kind}.html").as_uri(), width=1200)
        assert browser.value("document.documentElement.id") == "", kind
        assert browser.value("document.querySelectorAll('img[onerror], svg').length") == 0, kind
        own = [(tmp_path / f"{kind}.html").as_uri()]
        assert [address for address in browser.requests if not address.startswith("data:")] == own
    # and the mark would be there if one had run
    (tmp_path / "control.html").write_text(f"<!DOCTYPE html><html><body>{EVIL}</body></html>", encoding="utf-8")
    browser.open((tmp_path / "control.html").as_uri(), width=1200)
    assert browser.value("document.documentElement.id") == MARK
