"""A run's folder: checked first, created lazily, driven by one, continued only with its own settings."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalesearch.errors import LedgerError, RunFolderError
from scalesearch.store.atomic import write_atomic
from scalesearch.store.driver_lock import DriverLock
from scalesearch.store.ledger import Ledger
from scalesearch.store.reading import read_ledger
from scalesearch.store.run import load_run
from scalesearch.store.run_folder import RunFolder
from scalesearch.store.run_list import list_runs
from scalesearch.trial import TrialRecord

REPOSITORY = Path(__file__).parents[2]
SETTINGS = {"target": 400, "proxy": {"width": 0.25, "epochs": 1}, "seeds": (1, 2)}
DRIVER = (
    "import sys; from scalesearch.store.run_folder import RunFolder\n"
    "run = RunFolder.plan(sys.argv[1], 'grid', 'one').open({}); print('open', flush=True); sys.stdin.read()\n"
)


def open_run(runs: Path, name: str = "one", **changes: object) -> RunFolder:
    return RunFolder.plan(runs, "grid", name).open(SETTINGS | changes)


def test_planning_writes_nothing(tmp_path: Path) -> None:
    assert RunFolder.plan(tmp_path / "runs", "grid", "one").path == tmp_path / "runs" / "grid" / "one"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a b", "-x", ".x", "ä", "x" * 101, "a\n", "a\x00", 3])
def test_odd_names_are_refused(tmp_path: Path, name: object) -> None:
    with pytest.raises(RunFolderError, match="a run's name must be"):
        RunFolder.plan(tmp_path, "grid", name)  # type: ignore[arg-type]


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(RunFolderError, match="a file is in the way"):
        RunFolder.plan(tmp_path / "runs", "grid", "one")
    (tmp_path / "grid").mkdir()
    (tmp_path / "grid" / "one").symlink_to("/does/not/exist")
    with pytest.raises(RunFolderError, match="a file is in the way"):
        RunFolder.plan(tmp_path, "grid", "one")


def test_a_read_only_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(RunFolderError, match="must be writable"):
        RunFolder.plan(tmp_path, "grid", "one")


def test_a_folder_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(RunFolderError, match="must be writable"):
        RunFolder.plan("/proc", "grid", "one").open({})


def test_foreign_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "grid" / "one").mkdir(parents=True)
    (tmp_path / "grid" / "one" / "thesis.tex").write_text("")
    with pytest.raises(RunFolderError, match=r"holds thesis\.tex"):
        RunFolder.plan(tmp_path, "grid", "one")
    with pytest.raises(RunFolderError, match="a run is a folder"):
        load_run(tmp_path / "grid" / "one")


def test_files_are_written_whole_and_without_leftovers(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        run.write_text("notes.txt", "old")
        run.write_text("notes.txt", "new")
        run.write_json(
            "summary.json", {"x": np.float32(0.5), "n": np.int64(3), "nan": float("nan"), "t": (1, None, True)}
        )
        frame = pd.DataFrame({"a": [1, 2], "b": [0.5, None]})
        run.write_frame("figures/plane.csv", frame)
        run.write_frame("trials.parquet", frame)
        assert json.loads((run.path / "summary.json").read_text()) == {
            "x": 0.5,
            "n": 3,
            "nan": None,
            "t": [1, None, True],
        }
        pd.testing.assert_frame_equal(load_run(run.path).frame("trials.parquet"), frame)
        assert (run.path / "figures" / "plane.csv").read_text() == "a,b\n1,0.5\n2,\n"
        assert (run.path / "notes.txt").read_text() == "new"
    names = {path.name for path in run.path.rglob("*") if path.is_file()}
    assert names == {"driver.lock", "ledger.db", "notes.txt", "summary.json", "plane.csv", "trials.parquet"}


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_second_driver_is_refused_with_the_first_ones_name(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DRIVER, str(tmp_path)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as driver:
        assert driver.stdout is not None
        driver.stdout.readline()
        with pytest.raises(RunFolderError, match=f"process {driver.pid} on "):
            RunFolder.plan(tmp_path, "grid", "one").open({})
        with pytest.raises(RunFolderError, match=f"process {driver.pid} on "):
            RunFolder.plan(tmp_path, "grid", "one").precheck({})
        assert [run.status for run in list_runs(tmp_path)] == ["running"]
        driver.kill()
        driver.wait()
    assert [run.status for run in list_runs(tmp_path)] == ["interrupted"]
    names = {path.name for path in (tmp_path / "grid" / "one").iterdir()}
    RunFolder.plan(tmp_path, "grid", "one").precheck({})
    assert {path.name for path in (tmp_path / "grid" / "one").iterdir()} == names, "the dead driver's, no more"
    with RunFolder.plan(tmp_path, "grid", "one").open({}) as run:
        assert f"took over the lock of process {driver.pid}" in run.notices[0]
    with RunFolder.plan(tmp_path, "grid", "one").open({}) as run:
        assert run.notices == (), "a clean end leaves nothing to take over"


def test_two_drivers_in_one_process_are_refused_too(tmp_path: Path) -> None:
    with open_run(tmp_path):
        with pytest.raises(RunFolderError, match="one driver at a time"):
            open_run(tmp_path)
        with pytest.raises(RunFolderError, match="one driver at a time"):
            RunFolder.plan(tmp_path, "grid", "one").precheck(SETTINGS)


def state(folder: Path) -> dict[str, tuple[int, int]]:
    found = sorted(folder.rglob("*"))
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


def test_prechecks_write_nothing_and_let_go(tmp_path: Path) -> None:
    folder = RunFolder.plan(tmp_path / "runs", "grid", "one")
    folder.precheck(SETTINGS)
    assert list(tmp_path.iterdir()) == [], "a new run has nothing to check"
    with folder.open(SETTINGS) as run:
        run.ledger.commit(TrialRecord("1", "f", "r", "d", 0, 1, "done"))
    before, opened = state(tmp_path), os.listdir("/proc/self/fd")
    folder.precheck(SETTINGS)
    with pytest.raises(RunFolderError, match="target"):
        folder.precheck(SETTINGS | {"target": 1})
    assert state(tmp_path) == before
    assert len(os.listdir("/proc/self/fd")) == len(opened)
    with folder.open(SETTINGS) as run:
        assert run.ledger.done_keys() == {"1"}
    (run.path / "ledger.db").write_bytes(b"")
    before = state(tmp_path)
    with pytest.raises(LedgerError, match="put back a copy"):
        folder.precheck(SETTINGS)
    assert state(tmp_path) == before
    (run.path / "ledger.db").unlink()
    folder.precheck({})  # a driver that was killed before it made the ledger has decided nothing


def test_no_driver_starts_during_a_precheck(tmp_path: Path) -> None:
    open_run(tmp_path).close()
    with DriverLock(tmp_path / "grid" / "one").undriven():
        RunFolder.plan(tmp_path, "grid", "one").precheck(SETTINGS)
        with pytest.raises(RunFolderError, match="one driver at a time"):
            open_run(tmp_path)
    open_run(tmp_path).close()


def test_a_run_with_a_ledger_has_its_configuration(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from scalesearch.store.run_folder import RunFolder\n"
        "os.link = lambda *names: os.kill(os.getpid(), signal.SIGKILL)\n"
        "RunFolder.plan(sys.argv[1], 'grid', 'one').open({'target': 1}, 'seed: 1\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=REPOSITORY, check=False)
    assert done.returncode == -signal.SIGKILL
    folder = RunFolder.plan(tmp_path, "grid", "one")
    assert not (folder.path / "ledger.db").exists()
    assert (folder.path / "config.yaml").read_text() == "seed: 1\n", "first the configuration, then the ledger"
    folder.open(SETTINGS, "seed: 2\n").close()
    assert load_run(folder.path).config == {"seed": 2}
    folder.open(SETTINGS, "seed: 2\nminutes: 3\n").close()
    with pytest.raises(RunFolderError, match="target"):
        folder.open(SETTINGS | {"target": 1}, "seed: 4\n")
    assert load_run(folder.path).config == {"seed": 2, "minutes": 3}, "a refused start changes nothing"
    folder.open(SETTINGS).close()
    assert load_run(folder.path).config == {"seed": 2, "minutes": 3}


def test_other_settings_are_refused_with_the_difference(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        run.ledger.commit(TrialRecord("1", "f", "r", "d", 0, 1, "done"))
    with open_run(tmp_path, seeds=[1, 2]) as run:
        assert run.ledger.done_keys() == {"1"}, "equal settings continue"
    others = {"proxy": {"width": 0.5, "epochs": 1, "ema": True}, "target": 300}
    with pytest.raises(RunFolderError) as caught:
        open_run(tmp_path, **others)
    with pytest.raises(RunFolderError) as early:
        RunFolder.plan(tmp_path, "grid", "one").precheck(SETTINGS | others)
    assert (str(early.value), early.value.table) == (str(caught.value), caught.value.table)
    assert caught.value.table.splitlines() == [
        "proxy.ema: absent -> true",
        "proxy.width: 0.25 -> 0.5",
        "target: 400 -> 300",
    ]
    assert "another --name" in str(caught.value)
    assert "\n" not in str(caught.value)
    with open_run(tmp_path):
        pass  # the refusal released the lock


def test_runs_are_listed_with_their_state(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "none") == []
    with open_run(tmp_path, "a") as run:
        run.ledger.commit(TrialRecord("1", "f", "r", "d", 0, 1, "done"))
        run.ledger.commit(TrialRecord("2", "f", "r", "d", 0, 1, "failed"))
        run.write_json("summary.json", {"winner": {"alpha": 1.2}})
        run.finish()
    open_run(tmp_path, "b").close()
    open_run(tmp_path, "c").close()
    (tmp_path / "grid" / "c" / "ledger.db").write_bytes(b"")
    runs = {run.name: run for run in list_runs(tmp_path)}
    assert {name: run.status for name, run in runs.items()} == {"a": "finished", "b": "interrupted", "c": "unreadable"}
    assert (runs["a"].trials_done, runs["a"].trials_failed, runs["a"].winner) == (1, 1, {"alpha": 1.2})
    assert "resume" in runs["b"].note
    with open_run(tmp_path, "a"):
        pass
    assert {run.name: run.status for run in list_runs(tmp_path)}["a"] == "finished", "repeated without new work"
    with open_run(tmp_path, "a") as run:
        run.ledger.commit(TrialRecord("3", "f", "r", "d", 0, 1, "done"))
    assert {run.name: run.status for run in list_runs(tmp_path)}["a"] == "interrupted"


def test_load_run(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        run.ledger.commit(TrialRecord("1", "f", "r", "d", 5, 1, "done", accuracy=0.5))
    loaded = load_run(str(run.path))
    assert (loaded.verb, loaded.name, loaded.path) == ("grid", "one", run.path)
    assert loaded.trials["trained_seed"].tolist() == [5]
    for part in ("summary", "candidates", "config"):
        with pytest.raises(RunFolderError, match="repeat the command that started it, with --name one"):
            getattr(loaded, part)
    (run.path / "config.yaml").write_text("engine: {name: ray}\n")
    for part in ("summary", "candidates"):
        with pytest.raises(RunFolderError, match="scalesearch resume"):
            getattr(loaded, part)
    (run.path / "candidates.csv").write_text("alpha,kept\n1.2,true\n")
    (run.path / "summary.json").write_text('{"ratio": 2}')
    assert loaded.candidates["alpha"].tolist() == [1.2]
    assert loaded.config == {"engine": {"name": "ray"}}
    assert loaded.summary == {"ratio": 2}
    (run.path / "config.yaml").write_text("!!python/object/apply:os.system ['true']\n")
    with pytest.raises(RunFolderError, match="plain YAML"):
        _ = loaded.config


def test_readers_leave_no_file_beside_a_ledger(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        run.ledger.commit(TrialRecord("1", "f", "r", "d", 5, 1, "done", accuracy=0.5))
    before = set(run.path.iterdir())
    assert [found.trials_done for found in list_runs(tmp_path)] == [1]
    assert len(load_run(run.path).trials) == 1
    assert set(run.path.iterdir()) == before
    with open_run(tmp_path) as run:  # under a driver, readers see what is committed meanwhile
        run.ledger.commit(TrialRecord("2", "f", "r", "d", 5, 1, "done", accuracy=0.5))
        assert len(load_run(run.path).trials) == 2


def test_a_driver_that_starts_while_its_ledger_is_opened_is_read_as_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_run(tmp_path) as run:
        run.ledger.commit(TrialRecord("1", "f", "r", "d", 5, 1, "done", accuracy=0.5))
    ways, drivers, real = list[bool](), list[RunFolder](), Ledger.open_readonly

    def starts_then_opens(path: Path, *, undriven: bool = False, lock_timeout: float = 5.0) -> Ledger:
        ways.append(undriven)
        if len(ways) == 1:
            drivers.append(open_run(tmp_path))
        return real(path, undriven=undriven, lock_timeout=lock_timeout)

    monkeypatch.setattr(Ledger, "open_readonly", starts_then_opens)
    with read_ledger(run.path) as ledger:
        drivers[0].ledger.commit(TrialRecord("2", "f", "r", "d", 5, 1, "done", accuracy=0.5))
        assert ledger.done_keys() == {"1", "2"}
    assert ways == [True, False]
    drivers[0].close()


def test_trials_are_never_stale_and_no_column_means_two_things(tmp_path: Path) -> None:
    trained = TrialRecord("1", "proxy", "r", "d", 10_005, 1, "done", 0.5, macs=7, resolution=32)
    table = pd.DataFrame({"fingerprint": ["candidate"], "seed": [5], "macs": [800], "trained_macs": [7]})
    with open_run(tmp_path) as run:
        run.ledger.commit(trained)
        run.write_frame("trials.parquet", table)
        assert load_run(run.path).trials["trained_fingerprint"].tolist() == ["proxy"], "not finished yet"
        run.finish()
        pd.testing.assert_frame_equal(load_run(run.path).trials, table)
    with open_run(tmp_path):
        pd.testing.assert_frame_equal(load_run(run.path).trials, table)
    with open_run(tmp_path) as run:
        run.ledger.commit(replace(trained, key="2"))
        extended = load_run(run.path).trials
    assert extended["key"].tolist() == ["1", "2"]
    assert extended["trained_macs"].tolist() == [7, 7]
    assert extended["trained_seed"].tolist() == [10_005] * 2
    parts = ("fingerprint", "macs", "fvcore_macs", "params", "activations", "resolution", "seed")
    assert not set(parts) & set(extended.columns)
    assert {f"trained_{part}" for part in parts} <= set(extended.columns)
    with open_run(tmp_path, "b") as run:
        run.ledger.commit(trained)
        run.finish()
    assert load_run(run.path).trials["key"].tolist() == ["1"], "a study without such a table"


def test_torn_files_of_a_killed_driver_are_removed(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        (run.path / ".summary.json.abc.tmp").write_text("{")
    with open_run(tmp_path):
        assert not list(run.path.glob(".*"))
