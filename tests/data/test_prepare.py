from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from pictures_made_here import noise

from scalesearch.data import cache, parallel, source
from scalesearch.data import prepare as prepare_module
from scalesearch.data.parallel import Crew
from scalesearch.data.prepare import check_source, prepare
from scalesearch.data.registry import SOURCES
from scalesearch.data.settings import DataSettings
from scalesearch.errors import ConfigError, DataError, UnknownNameError

ROOT = Path(__file__).resolve().parents[2]
FILES = ["prepared.json", "train_images.npy", "train_labels.npy", "val_images.npy", "val_labels.npy"]
TINY = DataSettings("synthetic", size=40, classes=4, side=16)


def folders(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache" / "prepared").iterdir())


def test_decoding_needs_neither_torch_nor_the_rest_of_the_house():
    loaded = "import sys, scalesearch.data.prepare; print([m for m in ('torch', 'ray', 'hydra') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", loaded], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_name_suggests_a_known_one():
    with pytest.raises(UnknownNameError, match="did you mean cifar10"):
        prepare(DataSettings("cifar"), side=32)


@pytest.mark.parametrize("arguments", [{"side": 0}, {"side": 8, "workers": 0}])
def test_sides_and_workers_are_positive(arguments):
    with pytest.raises(DataError, match="at least 1"):
        prepare(TINY, **arguments)


def test_prepared_data_is_small_and_travels(tmp_path):
    data = prepare(TINY, side=16, workers=1)
    sent = pickle.dumps(data)

    assert len(sent) < 1000
    assert pickle.loads(sent) == data
    images, labels = pickle.loads(sent).train()
    assert isinstance(images, np.memmap)
    assert not images.flags.writeable
    assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
    assert sorted(path.name for path in Path(data.folder).iterdir()) == FILES


def test_a_second_call_decodes_nothing(make_folder, monkeypatch):
    settings = make_folder({"a": 3, "b": 3})
    first = prepare(settings, side=8, workers=1)

    def decode(*args, **kwargs):
        raise AssertionError("decoded again")

    monkeypatch.setattr(source, "decode", decode)
    assert prepare(settings, side=8, workers=1) == first
    with pytest.raises(AssertionError):
        prepare(settings, side=9, workers=1)


def test_side_split_and_fraction_are_part_of_the_fingerprint_and_excess_side_is_not():
    base = prepare(TINY, side=16, workers=1)
    others = [
        prepare(TINY, side=12, workers=1),
        prepare(replace(TINY, split_seed=1), side=16, workers=1),
        prepare(replace(TINY, val_fraction=0.3), side=16, workers=1),
    ]

    assert len({base.fingerprint, *(other.fingerprint for other in others)}) == 4
    assert prepare(TINY, side=64, workers=1) == base
    # the same pictures and split, stored smaller, are known as such
    assert [other.source == base.source for other in others] == [True, False, False]


def test_a_declared_split_makes_fraction_and_seed_irrelevant(make_npz):
    settings = make_npz()
    other = replace(settings, val_fraction=0.5, split_seed=4)

    assert prepare(settings, side=8, workers=1) == prepare(other, side=8, workers=1)


def test_the_fingerprint_does_not_depend_on_workers_or_release():
    # a new number here means that every ledger starts again: raise _FORMAT or _VERSION knowingly
    data = prepare(TINY, side=16, workers=3)

    assert data.fingerprint == "4c05d3ff6f9b15de3a6ab8a18c42404c"


def test_progress_counts_every_picture(make_folder):
    settings = make_folder({"a": 70, "b": 70})
    told: list[tuple[str, int, int]] = []

    prepare(settings, side=4, workers=2, progress=lambda *step: told.append(step))

    assert told == [(stage, done, 140) for stage in ("reading", "decoding") for done in (64, 128, 140)]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", ["missing", "cut", "empty"])
def test_a_damaged_cache_is_built_again(tmp_path, file, damage):
    data = prepare(TINY, side=16, workers=1)
    expected = data.val()[0].copy()
    path = Path(data.folder, file)
    content = path.read_bytes()
    path.unlink() if damage == "missing" else path.write_bytes(content[:-1] if damage == "cut" else b"")

    assert prepare(TINY, side=16, workers=1) == data

    assert path.read_bytes() == content
    assert (data.val()[0] == expected).all()
    assert len(folders(tmp_path)) == 1


def test_an_interrupted_build_leaves_nothing(tmp_path):
    def stop(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(TINY, side=16, workers=1, progress=stop)
    assert folders(tmp_path) == []


def test_publishing_is_one_rename(tmp_path, monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(cache.os, "rename", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare(TINY, side=16, workers=1)
    assert folders(tmp_path) == []


KILLED = """
import os, signal, sys
from scalesearch.data import prepare as module
from scalesearch.data.settings import DataSettings
# killed at the last moment: every file written and sealed, nothing published
module.seal = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
module.prepare(DataSettings("synthetic", size=40, classes=4, side=16), side=16, workers=1)
"""


def test_a_killed_build_is_never_taken_for_complete(tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED], env=environment(), check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [name.startswith(".building-") for name in folders(tmp_path)] == [True]

    data = prepare(TINY, side=16, workers=1)

    assert data.train()[0].shape == (36, 16, 16, 3)
    # what the dead left is swept once it is a day old, because until then it may be at work
    assert len(folders(tmp_path)) == 2
    dead = next((tmp_path / "cache" / "prepared").glob(".building-*"))
    os.utime(dead, (time.time() - 2 * 86400,) * 2)
    prepare(TINY, side=12, workers=1)
    assert not dead.exists()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def test_the_loser_of_a_race_keeps_what_the_winner_published(tmp_path):
    winners = []

    def meanwhile(stage: str, done: int, total: int) -> None:
        if not winners:
            winners.append(prepare(TINY, side=16, workers=1))
            winners.append(os.stat(winners[0].folder).st_ino)

    loser = prepare(TINY, side=16, workers=1, progress=meanwhile)

    assert loser == winners[0]
    assert os.stat(loser.folder).st_ino == winners[1]
    assert folders(tmp_path) == [Path(loser.folder).name]


RACER = """
import sys, time
from pathlib import Path
from scalesearch.data.prepare import prepare
from scalesearch.data.settings import DataSettings
gate, me = Path(sys.argv[1]), sys.argv[2]
def wait(stage, done, total):
    # both have found no cache and hold a temporary folder before either goes on
    (gate / me).touch()
    while len(list(gate.iterdir())) < 2:
        time.sleep(0.005)
data = prepare(DataSettings("synthetic", size=400, classes=4, side=16), side=16, workers=1, progress=wait)
print(data.fingerprint, int(data.train()[0].astype(int).sum()), int(data.val()[1].sum()))
"""


def test_two_processes_at_once(tmp_path):
    gate = tmp_path / "gate"
    gate.mkdir()
    command = [sys.executable, "-c", RACER, str(gate)]
    racers = [
        subprocess.Popen([*command, me], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for me in "ab"
    ]
    try:
        told = [racer.communicate(timeout=60) for racer in racers]
    finally:
        for racer in racers:
            racer.kill()

    assert [racer.returncode for racer in racers] == [0, 0], told
    assert told[0][0] == told[1][0] != ""
    assert len(folders(tmp_path)) == 1


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(DataError, match=r"cache folder .* must be writable, got .*; set data\.cache_dir="):
        prepare(replace(TINY, cache_dir=str(tmp_path / "file")), side=16, workers=1)


def test_too_little_room_is_told_before_decoding(tmp_path, monkeypatch):
    usage = cache.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda folder: usage._replace(free=10_000))

    with pytest.raises(DataError, match=r"need 1 MB in .*/prepared, got '0 MB free"):
        prepare(TINY, side=16, workers=1)
    assert folders(tmp_path) == []


def test_a_disk_that_fills_up(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prepare_module, "write_labels", full)
    with pytest.raises(DataError, match=r"must fit into .*/prepared, got .*No space left"):
        prepare(TINY, side=16, workers=1)
    assert folders(tmp_path) == []


def test_prepared_data_that_went_away():
    data = prepare(TINY, side=16, workers=1)
    Path(data.folder, "val_images.npy").unlink()

    data.train()
    with pytest.raises(DataError, match=r"val_images\.npy must be readable, got .*; delete that folder and run"):
        data.val()


@pytest.mark.parametrize("change", [{"val_fraction": 1.0}, {"val_fraction": -0.1}, {"split_seed": -1}])
def test_settings_out_of_range(change):
    with pytest.raises(ConfigError, match=r"data\."):
        DataSettings(**{"name": "synthetic", **change})


def test_cache_folder(monkeypatch, tmp_path):
    assert TINY.cache_folder == tmp_path / "cache"
    assert replace(TINY, cache_dir="/else").cache_folder == Path("/else")
    monkeypatch.delenv("SCALESEARCH_CACHE")
    assert TINY.cache_folder == Path.home() / ".cache" / "scalesearch"


def test_every_source_has_a_config_file_that_fits():
    files = {path.stem: path for path in (ROOT / "conf" / "data").glob("*.yaml")}

    assert set(files) == set(SOURCES)
    for name, path in files.items():
        text = path.read_text(encoding="utf-8")
        settings = DataSettings(**yaml.safe_load(text))
        assert settings.name == name
        assert text.startswith("# ")
        assert f"data={name}" in text.splitlines()[0]
    assert check_source(DataSettings(**yaml.safe_load(files["synthetic"].read_text()))).n_train == 1800


def test_results_come_in_order_whatever_the_threads_do():
    def slow_first(item: int) -> int:
        time.sleep(0.02 if item == 0 else 0)
        return item * item

    assert list(Crew(4).map("x", slow_first, range(500))) == [item * item for item in range(500)]


def test_failures_stop_early_and_are_listed(monkeypatch):
    seen = []

    def fail(item: int) -> int:
        seen.append(item)
        raise DataError(f"picture {item} must be readable")

    with pytest.raises(DataError, match=r"picture 0 must be readable \(and many more like it\)") as caught:
        list(Crew(1).map("x", fail, range(100_000)))

    assert len(caught.value.table.splitlines()) == parallel._MOST_FAILURES
    assert len(seen) < 2000


def test_arrays_of_colour_are_resized_like_files(tmp_path):
    index = source.Index(("a", "b"), np.array([0, 1]))
    pictures = source.ArrayPictures(index, noise(0, 2, 20, 20, 3))

    assert pictures.read(1, 10, 3).shape == (10, 10, 3)
    assert (pictures.read(1, 20, 3) == noise(0, 2, 20, 20, 3)[1]).all()
