"""`scalesearch report`: finished runs drawn again, and side by side."""

import json
import re
import shutil
import sqlite3
from base64 import b64encode
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from made_runs import axes_run, edit_summary, files_of, grid_run, search_run

from scalesearch.report.comparison_page import comparability, differing_settings
from scalesearch.store.ledger import Ledger

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs folder with one finished run of each kind; do not write to it."""
    runs = tmp_path_factory.mktemp("made") / "runs"
    grid_run(runs, data={"name": "made", "fingerprint": "d", "classes": 10, "n_train": 900, "n_val": 100})
    search_run(runs)
    axes_run(runs)
    return runs


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    """A copy of it in the current folder."""
    shutil.copytree(made, tmp_path / "runs")
    return tmp_path / "runs"


def one_line(text: str) -> bool:
    return text.startswith("error: ") and text.count("\n") == 1 and "Traceback" not in text


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("grid/first", {"landscape", "ranking", "accuracy_macs"}),
        ("search/first", {"progress", "front", "genes"}),
        ("axes/first", {"axes", "together", "iso_cost", "gain"}),
    ],
)
def test_draws_a_run_again_and_touches_nothing_else(run: Run, runs: Path, name: str, figures: set[str]) -> None:
    before = files_of(runs / name)
    code, out, err = run("report", name, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"report": str(runs / name / "report.html"), "runs": [str(runs / name)]}
    after = files_of(runs / name)
    drawn = {f"figures/{figure}.{kind}" for figure in figures for kind in ("png", "pdf", "csv")}
    assert set(after) - set(before) == drawn | {"report.html"}
    assert {name: after[name] for name in before} == before  # the ledger too
    assert b"data:image/png;base64," in after["report.html"]


def test_out_leaves_the_folder_alone(run: Run, runs: Path, tmp_path: Path) -> None:
    before = files_of(runs)
    assert run("report", "grid/first", "--out", "page.html")[:2] == (0, "report: page.html\n")
    assert "<h1>Scaling grid" in (tmp_path / "page.html").read_text()
    assert files_of(runs) == before
    code, _, err = run("report", "grid/first", "--out", "absent/page.html")
    assert (code, one_line(err)) == (2, True)


def test_runs_side_by_side(run: Run, runs: Path, tmp_path: Path) -> None:
    config = runs / "search/first/config.yaml"
    config.write_text(config.read_text().replace("seed: 0", "seed: 7").replace("epochs: 1", "epochs: 4"))
    before = files_of(runs)
    code, out, _ = run("report", "grid/first", "search/first")
    assert (code, out) == (0, "report: comparison.html\n")
    assert files_of(runs) == before
    page = (tmp_path / "comparison.html").read_text()
    for words in (
        "2 runs of grid and search, all on made.",
        "A tie between 3 of 4 candidates",
        "s093 leads with objective 0.8457",
        "The networks were trained differently (proxy.epochs)",
        "grid/first: The proxy is too coarse.",
    ):
        assert words in page
    assert re.search(r"seed</td>\s*<td[^>]*>0</td>\s*<td[^>]*>7</td>", page)
    assert "learning_rate</td>" not in page  # it does not differ
    assert page.count("data:image/png;base64,") == 6
    assert not re.search(r"https?://|/home|<script[^>]", page)
    assert page.count("<script>") == 1  # its own, whose hash the policy names
    assert 'class="alarm"' not in page


def test_mixed_data_sets_are_said_loudly(run: Run, runs: Path, tmp_path: Path) -> None:
    for name in ("search/first/figures/front.png", "axes/first/figures/axes.png"):
        (runs / name).parent.mkdir()
        (runs / name).write_bytes(b"a picture")
    assert run("report", "search/first", "axes/first", "--out", "both.html")[0] == 0
    page = (tmp_path / "both.html").read_text()
    alarm = re.search(r'<p class="alarm" role="alert">(.*?)</p>', page, re.DOTALL)
    assert alarm is not None
    assert "different data sets: made, fashion_mnist" in alarm[1]
    assert "2 runs of search and axes, of which accuracies cannot be compared." in page
    assert page.count(b64encode(b"a picture").decode()) == 2  # drawn figures are taken as they are


def test_the_same_name_for_other_pictures_is_an_alarm() -> None:
    one, other = ({"data": {"name": "mine", "fingerprint": text}} for text in "ab")
    alarms, notes = comparability([one, other], [{}, {}])
    assert "different pictures under the same name, mine" in alarms[0]
    assert (comparability([one, one], [{}, {}]), notes) == (([], []), [])


def test_pictures_stored_at_another_size_are_the_same_pictures() -> None:
    one, other = ({"data": {"name": "mine", "fingerprint": text, "source": "s"}} for text in "ab")
    assert comparability([one, other], [{}, {}]) == ([], [])
    unknown = {"data": {"name": "mine", "fingerprint": "c"}}
    assert len(comparability([one, unknown], [{}, {}])[0]) == 1


def test_settings_that_differ_are_those_both_have() -> None:
    one, other = "a: {b: 1, c: [1, 2]}\nonly: 1\nruns_dir: x\n", "a: {b: 2, c: [1, 2]}\nruns_dir: y\n"
    assert differing_settings([one, other]) == [{"a.b": "1"}, {"a.b": "2"}]


@pytest.mark.parametrize(
    "broken",
    [
        "foreign",
        "another program's",
        "newer ledger",
        "newer kind",
        "other summary",
        "unfinished",
        "extended",
        "absent table",
    ],
)
def test_what_cannot_be_reported_is_one_line(run: Run, runs: Path, broken: str) -> None:
    folder = runs / "grid/first"
    words = {
        "foreign": "a run is a folder",
        "another program's": "a run's ledger must be one that this scalesearch reads",
        "newer ledger": "this scalesearch reads",
        "newer kind": "there are reports of grid, search, axes, run, got 'wonder'",
        "other summary": "must be those of this scalesearch (KeyError: 'baseline')",
        "unfinished": "scalesearch resume",
        "extended": "a run must be finished, got",
        "absent table": "this run must hold standings.csv",
    }[broken]
    if broken == "foreign":
        (folder / "ledger.db").unlink()
    elif broken == "another program's":
        (folder / "ledger.db").unlink()
        with closing(sqlite3.connect(folder / "ledger.db")) as file, file:
            file.execute("CREATE TABLE trials (trial_id INTEGER, number INTEGER)")  # Optuna's, say
    elif broken == "newer ledger":
        with Ledger.create_or_open(folder / "ledger.db") as ledger:
            ledger.set_meta("schema", "99")
    elif broken == "newer kind":
        edit_summary(folder, verb="wonder")
    elif broken == "other summary":
        edit_summary(folder, baseline=None)
    elif broken == "extended":
        with closing(sqlite3.connect(folder / "ledger.db")) as file, file:
            file.execute("DELETE FROM meta WHERE key = 'finished_at'")
    elif broken == "unfinished":
        (folder / "summary.json").unlink()
    else:
        (folder / "standings.csv").unlink()
    before = files_of(folder)
    code, out, err = run("report", "grid/first")
    assert (code, out) == (2, "")
    assert words in err
    assert one_line(err), err
    assert files_of(folder) == before
    if broken not in ("other summary", "absent table"):
        code, _, err = run("report", "search/first", "grid/first")
        assert (code, one_line(err)) == (2, True)


def test_a_run_without_its_settings_is_reported_all_the_same(run: Run, runs: Path, tmp_path: Path) -> None:
    (runs / "axes/first/config.yaml").unlink()
    assert run("report", "axes/first")[0] == 0
    assert "config.yaml could not be read" in (runs / "axes/first/report.html").read_text()
    assert run("report", "axes/first", "grid/first")[0] == 0
    both = (tmp_path / "comparison.html").read_text()
    assert "config.yaml could not be read" in both
    assert "Not known, because config.yaml is missing or broken in axes/first." in both
    assert "the runs have the same settings" not in both
    assert "trained differently" not in both


def test_runs_lists_and_exports(run: Run, runs: Path, tmp_path: Path) -> None:
    assert run("runs")[1].splitlines()[0].split()[:2] == ["run", "status"]
    assert [row["name"] for row in json.loads(run("runs", "--json")[1])] == ["first"] * 3
    code, out, _ = run("runs", "export", "grid/first", "--to", "csv", "--out", "trials.csv")
    assert (code, out) == (0, f"{tmp_path / 'trials.csv'}\n")
    assert "alpha" in (tmp_path / "trials.csv").read_text().splitlines()[0]
    for arguments, words in (
        (("grid/first", "--to", "csv", "--out", "trials.csv"), "never replaces"),
        (("grid/first", "--to", "excel", "--out", "x"), "unknown export"),
        (("grid/absent", "--to", "csv", "--out", "x"), "a run is a folder"),
        (("grid/first", "--to", "csv"), "--out"),
    ):
        code, _, err = run("runs", "export", *arguments)
        assert (code, one_line(err)) == (2, True)
        assert words in err
    assert not list(tmp_path.glob(".*.tmp"))
