"""No file that a user may receive runs code: a malicious sample of each kind, and a sentinel that must stay absent."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fault_records import Tally

from scalesearch.arch.catalog import catalog_spec, load_spec
from scalesearch.config import compose, grid_settings
from scalesearch.config.resume import resumed_values
from scalesearch.data.prepare import check_source
from scalesearch.data.settings import DataSettings
from scalesearch.data.shards import Shards
from scalesearch.emit.weights import load_weights
from scalesearch.errors import ConfigError, DataError, InputError, LedgerError, ScaleSearchError
from scalesearch.store.ledger import Ledger
from scalesearch.store.run import load_run
from scalesearch.store.run_folder import RunFolder
from scalesearch.train.checkpoint import read_checkpoint
from scalesearch.trial import TrialRecord


class Touch:
    """Unpickling it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


@pytest.fixture
def sentinel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that malicious samples try to make."""
    monkeypatch.setenv("SCALESEARCH_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "sentinel"
    yield path
    assert not path.exists(), "code from a file ran"


def test_the_sentinel_would_appear(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Touch(tmp_path / "sentinel")))
    assert (tmp_path / "sentinel").exists()


def yaml_texts(path: Path) -> list[str]:
    command = f"touch {path}"
    return [
        f"!!python/object/apply:os.system ['{command}']",
        f"name: !!python/object/apply:os.system ['{command}']",
        f"name: !!python/object/new:subprocess.Popen [['touch', '{path}']]",
        f"_target_: os.system\ncommand: {command}",
        f"name: synthetic\nroot:\n  _target_: pathlib.Path.touch\n  _args_: ['{path}']",
        f"name: ${{python:{command}}}",
        f"name: ${{hydra:{path}}}",
        f"defaults:\n  - override hydra/launcher: {path}\nname: x",
        "name: &a [*a]",
        "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nname: *c",
    ]


@pytest.mark.fault(32)
def test_config_files(sentinel: Path, tmp_path: Path, tally: Tally) -> None:
    (tmp_path / "conf" / "data").mkdir(parents=True)
    for text in yaml_texts(sentinel):
        (tmp_path / "conf" / "data" / "evil.yaml").write_text(text)
        with pytest.raises(InputError) as caught:
            grid_settings(compose("grid", ["data=evil"], config_dir=tmp_path / "conf"))
        assert "\n" not in str(caught.value)
        tally.tries += 1


@pytest.mark.fault(32)
@pytest.mark.parametrize(
    "override",
    ["recipe._target_=os.system", "+_target_=os.system", "data.path=${python:1}", "+recipe={_target_:os.system}"],
)
def test_overrides(sentinel: Path, override: str) -> None:
    with pytest.raises(InputError):
        grid_settings(compose("grid", [override, "data=synthetic"]))


@pytest.mark.fault(32)
def test_config_of_a_run_folder(sentinel: Path, tmp_path: Path, tally: Tally) -> None:
    RunFolder.plan(tmp_path, "grid", "a").open({"seed": 0}, "seed: 0").close()
    for text in yaml_texts(sentinel):
        (tmp_path / "grid" / "a" / "config.yaml").write_text(text)
        with pytest.raises(InputError):
            grid_settings(resumed_values("grid", load_run(tmp_path / "grid" / "a").config, []))
        tally.tries += 1


@pytest.mark.parametrize(
    "address", ["10.1.2.3:6379", "ray://evil.example:10001", "evil.example:1", "[2001:db8::1]:6379"]
)
def test_a_run_folder_does_not_choose_the_cluster(address: str) -> None:
    """A cluster's answers are unpickled, so who names the cluster can run code here."""
    stored = compose("grid", ["data=synthetic", f"engine.address='{address}'"])
    with pytest.raises(ConfigError, match=r"named again.*engine\.address="):
        resumed_values("grid", stored, [])
    values = resumed_values("grid", stored, [f"engine.address='{address}'"])
    assert values["engine"]["address"] == address
    for ours in ("auto", "127.0.0.1:6379", "localhost:6379"):
        assert resumed_values("grid", {**stored, "engine": {**stored["engine"], "address": ours}}, [])
    assert resumed_values("grid", stored, ["engine=serial"])["engine"]["name"] == "serial"


def test_spec_files(sentinel: Path, tmp_path: Path) -> None:
    for change in (
        {"activation": f"__import__('os').system('touch {sentinel}')"},
        {"name": {"__reduce__": "os.system"}},
        {"stages": "!!python/object/apply:os.system"},
        {"_target_": "os.system"},
    ):
        path = tmp_path / "spec.json"
        path.write_text(json.dumps({**catalog_spec("mobilenet_v2").to_dict(), **change}))
        with pytest.raises(InputError):
            load_spec(path)


@pytest.mark.fault(32)
def test_checkpoints(sentinel: Path, tmp_path: Path, tally: Tally) -> None:
    buffer = io.BytesIO()
    torch.save({"weight": Touch(sentinel)}, buffer)
    for body in (
        buffer.getvalue(),
        pickle.dumps(Touch(sentinel)),
        b"cos\nsystem\n(S'touch " + str(sentinel).encode() + b"'\ntR.",
    ):
        signed = body + b"\nscalesearch sha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n"
        for content in (body, signed):
            (tmp_path / "last.pt").write_bytes(content)
            with pytest.raises(InputError, match="must be whole"):
                read_checkpoint(tmp_path / "last.pt")
            tally.tries += 1


def test_weights(sentinel: Path, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    evil = pickle.dumps(Touch(sentinel))
    header = json.dumps({"__metadata__": {"spec": f"__import__('os').system('touch {sentinel}')"}}).encode()
    for content in (evil, len(evil).to_bytes(8, "little") + evil, (2**63).to_bytes(8, "little") + b"{}",
                    len(header).to_bytes(8, "little") + header):  # fmt: skip
        (tmp_path / "w.safetensors").write_bytes(content)
        with pytest.raises(InputError):
            load_weights(tmp_path / "w.safetensors", catalog_spec("mobilenet_v2"))


def test_pictures_in_an_npz(sentinel: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", jpeg=np.array([Touch(sentinel)], dtype=object), offset=[0], label=[], split=[],
             classes=["a"])  # fmt: skip
    with pytest.raises(DataError):
        check_source(DataSettings("npz_jpeg", path=str(tmp_path / "p.npz")))


def test_cifar_archives_and_folders(sentinel: Path, tmp_path: Path) -> None:
    evil = pickle.dumps({b"data": Touch(sentinel)})
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "batches.meta"):
        (folder / name).write_bytes(evil)
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(folder, arcname=folder.name)
    for root in (folder, tmp_path / "cifar-10-python.tar.gz"):
        with pytest.raises(DataError):
            check_source(DataSettings("cifar10", root=str(root)))


def hostile_sql(path: Path) -> dict[str, str]:
    return {
        "a trigger": "CREATE TRIGGER t AFTER INSERT ON trials BEGIN DELETE FROM trials; END",
        "a view in the place of meta": "ALTER TABLE meta RENAME TO m; CREATE VIEW meta AS SELECT * FROM m",
        "a virtual table": "CREATE VIRTUAL TABLE notes USING fts5(x)",
        "an extension": f"CREATE VIEW v AS SELECT load_extension('{path}.so')",
    }


def filled(path: Path) -> None:
    with Ledger.create_or_open(path) as ledger:
        ledger.commit(TrialRecord("k", "f", "r", "d", 0, 1, "done", accuracy=0.5))


@pytest.mark.parametrize("kind", hostile_sql(Path()))
def test_ledgers_hold_data_and_no_sql(sentinel: Path, tmp_path: Path, kind: str) -> None:
    filled(tmp_path / "ledger.db")
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as file:
        file.executescript(hostile_sql(sentinel)[kind])
    for call in (Ledger.create_or_open, Ledger.open_readonly):
        with pytest.raises(LedgerError, match="tables and indexes alone"):
            call(tmp_path / "ledger.db")


def test_ledgers_load_no_extension(tmp_path: Path) -> None:
    filled(tmp_path / "ledger.db")
    with Ledger.create_or_open(tmp_path / "ledger.db") as ledger, pytest.raises(sqlite3.OperationalError):
        ledger._connection.execute("SELECT load_extension('/tmp/x.so')")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("accuracy", "<script>"),
        ("seed", "one"),
        ("seed", 1.5),
        ("error", b"\x80\x04."),
        ("status", "won"),
        ("final", "yes"),
    ],
)
def test_ledgers_hold_values_of_the_columns_types(tmp_path: Path, column: str, value: object) -> None:
    """The digest of a forged row fits; its types must too."""
    from scalesearch.store.rows import COLUMNS, digest_of

    filled(tmp_path / "ledger.db")
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as file, file:
        file.execute(f"UPDATE trials SET {column} = ?", (value,))
        row = dict(zip(COLUMNS, file.execute(f"SELECT {', '.join(COLUMNS)} FROM trials").fetchone(), strict=True))
        with_digest = digest_of(row) if not isinstance(value, bytes) else "0" * 16
        file.execute("UPDATE trials SET digest = ?", (with_digest,))
    with pytest.raises(LedgerError), Ledger.open_readonly(tmp_path / "ledger.db", undriven=True) as ledger:
        ledger.records()


def test_shards(sentinel: Path, tmp_path: Path) -> None:
    good = {"format": 1, "classes": ["a", "b"], "channels": 3, "native_side": 8, "parts": {"train": [], "val": []}}
    for change in (
        {"parts": {"train": [["../../etc/passwd.tar", 1, "0"]], "val": []}},
        {"parts": {"train": [["/etc/passwd.tar", 1, "0"]], "val": []}},
        {"classes": [{"__reduce__": "os.system"}]},
        {"classes": "ab"},
        {"channels": 1e400},
        {"native_side": 10**30},
    ):
        (tmp_path / "shards.json").write_text(json.dumps(good | change))
        with pytest.raises(DataError):
            Shards.open(tmp_path)
    (tmp_path / "shards.json").write_text("[" * 100_000)
    with pytest.raises(DataError):
        Shards.open(tmp_path)


def test_result_tables(sentinel: Path, tmp_path: Path) -> None:
    """pandas reads pickles, archives and addresses too, but not through this door."""
    from scalesearch.arch.space import LayerSpace  # noqa: F401  (imported first, because the table needs a space)
    from scalesearch.search.result_table import EvaluatorSettings, ResultTable

    space: Any = None
    for name, content in {
        "t.csv": pickle.dumps(Touch(sentinel)),
        "t.csv.pkl": pickle.dumps(Touch(sentinel)),
        "t.csv.gz": pickle.dumps(Touch(sentinel)),
        "t.csv.zip": b"PK\x03\x04",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ScaleSearchError):
            ResultTable(EvaluatorSettings("table", path=str(tmp_path / name), accuracy=("a",)), space)


def test_emit_removes_no_file_outside_its_folder(tmp_path: Path) -> None:
    """A manifest that names what the last emit wrote may come with a foreign folder."""
    from scalesearch.emit.folder import Order, staged
    from scalesearch.errors import RunFolderError
    from scalesearch.store.results import MANIFEST_FILE

    victim, out, order = tmp_path / "victim", tmp_path / "out", Order(("net",), ("torch",))
    victim.write_text("mine")
    out.mkdir()
    for name in ("../victim", str(victim), "a/../../victim"):
        content = {"writer": "scalesearch emit", "order": order.to_dict(), "files": {name: []}}
        (out / MANIFEST_FILE).write_text(json.dumps(content))
        with pytest.raises(RunFolderError), staged(out, order) as stage:
            (stage / "net.py").write_text("x = 1\n")
        assert victim.read_text() == "mine"


def test_a_run_folder_with_links_writes_nowhere_else(tmp_path: Path) -> None:
    from scalesearch.errors import RunFolderError

    (tmp_path / "elsewhere").mkdir()
    with RunFolder.plan(tmp_path, "grid", "a").open({"seed": 0}) as run:
        (run.path / "figures").symlink_to(tmp_path / "elsewhere")
        (run.path / "report.html").symlink_to(tmp_path / "elsewhere" / "page")
        with pytest.raises(RunFolderError, match="inside its own folder"):
            run.write_text("figures/plane.csv", "x")
        with pytest.raises(RunFolderError, match="inside its own folder"):
            run.write_text("report.html", "x")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("pid", [0, -1, 10**30, "9" * 5000, "1; rm", None])
def test_a_foreign_drivers_note(tmp_path: Path, pid: object) -> None:
    from scalesearch.store.driver_lock import Holder

    (tmp_path / "driver.json").write_text(json.dumps({"pid": pid, "host": "h", "since": 0, "ticks": None}))
    assert Holder.noted_in(tmp_path) is None
    (tmp_path / "driver.json").write_text(json.dumps({"pid": 1, "host": "\x1b[2J", "since": 0, "ticks": None}))
    assert Holder.noted_in(tmp_path) is None


def test_files_named_with_control_characters_do_not_command_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[2Jb.json").write_text("{")
    for name in ("a\x1b[2Jb.json", "\x1b]0;owned\x07.json"):
        done = subprocess.run(
            [sys.executable, "-m", "scalesearch", "cost", name], capture_output=True, cwd=tmp_path,
            env={**os.environ}, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert b"\x1b" not in done.stderr
        assert b"\x07" not in done.stderr
