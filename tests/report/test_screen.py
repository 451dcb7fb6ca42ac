"""Terminal output: tables that line up, lines that say what happens, and the live table's content."""

import io
import time
from pathlib import Path

import pytest
from grid_tables import summary
from rich.console import Console

from scalesearch.arch.catalog import catalog_spec
from scalesearch.report.live import LiveScreen
from scalesearch.report.screen import LineScreen, open_screen
from scalesearch.report.tables import candidate_table, cost_report, cost_table, grid_words, run_table
from scalesearch.store.run_list import RunInfo

ROW = {
    "alpha": 1.2,
    "beta": 1.1,
    "gamma": 1.15,
    "nominal_product": 1.92,
    "realised_ratio": 2.573,
    "macs": 992_700_000,
    "params": 9_000_000,
    "resolution": 258,
    "kept": "false",
    "region": "1.2 1.1 1.15; 1.25 1.1 1.15",
    "rule": "efficientnet",
    "reason": "costs 2.573x, 28.6% over the ratio",
}


KEPT = {**ROW, "kept": "true", "reason": ""}


def test_candidate_table_lines_up_and_says_what_it_leaves_out() -> None:
    lines = candidate_table([ROW, KEPT, ROW, KEPT, ROW], others=2).splitlines()
    assert lines[0].split()[:3] == ["alpha", "beta", "gamma"]
    assert "993M" in lines[1]
    assert lines[1].index("2.573") == lines[3].index("2.573")
    assert lines[1].split()[8:10] == ["yes", "2"]
    assert [line.split()[8] for line in lines[1:-1]] == ["yes", "yes", "no", "no"]
    assert lines[-1] == "... and 1 more that are not kept; all of them are in candidates.csv"
    assert len(candidate_table([ROW] * 8 + [KEPT] * 40).splitlines()) == 49


def test_grid_words_say_the_ratio_that_was_asked_for() -> None:
    words = grid_words({**summary(), "ratio": 1.5}, Path("run"))
    assert "counted MACs reach 1.5^phi times the baseline's" in words
    assert "double" not in words


def test_cost_table_shows_exact_totals_and_fvcore_where_asked() -> None:
    report = cost_report(catalog_spec("mobilenet_v2"))
    assert "300,774,272" in cost_table(report)
    assert "fvcore" not in cost_table(report)
    assert "301,000,000" in cost_table({**report, "fvcore_macs": 1, "fvcore_total": 301_000_000})


def test_run_table() -> None:
    info = RunInfo(Path("x"), "grid", "a", "interrupted", started=0.0, trials_done=3, trials_failed=0)
    line = run_table([info], "runs").splitlines()[1]
    assert line.split()[:2] == ["grid/a", "interrupted"]
    assert run_table([], "here") == "no runs in here"


def test_lines_count_trainings_and_bound_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    screen = LineScreen()
    with screen:
        screen.estimated(10.0, 12, 2, None, "minutes=3")
        screen.round(1, 4, 8, 0, 12, None)
        screen.reused(object())
        screen.trained("x", 0, 0.5, 2.0, None)
        screen.trained("y", 0, None, None, "diverged at step 3")
    err = capsys.readouterr().err.splitlines()
    assert err[0] == "at most 12 trainings of about 10 s on 2 slots: about 1 min 0 s"
    assert err[1] == "smaller: minutes=3"
    assert err[2] == "round 1: 4 candidates in the race, 8 trainings"
    assert err[3].startswith("[2/12] x seed 0: accuracy 0.5000 in 2.0 s; at most 20 s left")
    assert err[4].startswith("[3/12] y seed 0: failed: diverged at step 3")


def test_a_budget_in_minutes_is_said_where_it_cuts(capsys: pytest.CaptureFixture[str]) -> None:
    LineScreen().estimated(60.0, 10, 1, 5.0, "minutes=3")
    assert "cut to fit about 5 min" in capsys.readouterr().err


def test_no_terminal_gets_lines() -> None:
    assert isinstance(open_screen(), LineScreen)


def test_the_live_table_shows_progress_and_takes_text_literally() -> None:
    screen = LiveScreen()
    out = io.StringIO()
    screen._console = screen._live.console = Console(file=out, force_terminal=True, width=100, highlight=False)
    with screen:
        screen.say("a [bold]note[/bold]")
        screen.round(2, 3, 4, 5, 9, (0.75, "(1.00, 1.45, 1.00) width_only"))
        screen.trained("[red]x", 1, 0.5, 1.0, None)
        time.sleep(0.3)
    shown = out.getvalue()
    assert "a [bold]note[/bold]" in shown
    assert "6/9 trainings" in shown
    assert "[red]x seed 1: accuracy 0.5000" in shown
    assert "best so far: (1.00, 1.45, 1.00) width_only (objective 0.7500)" in shown
