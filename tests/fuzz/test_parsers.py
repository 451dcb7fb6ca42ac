"""Every parser of what users and files say: spoilt inputs raise errors of ours and nothing else.

150 inputs each here; `make fuzz` gives every parser 100,000. Pictures and archives: test_data_parsers.py.
"""

from __future__ import annotations

import ast
import json
import keyword
import sqlite3
from dataclasses import fields
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from spoil import INPUTS, ODD_VALUES, fuzz, spoilt_bytes, spoilt_json, spoilt_text, spoilt_values

from scalesearch.arch.catalog import load_spec
from scalesearch.arch.space import make_space
from scalesearch.arch.spec import NetSpec, StageSpec
from scalesearch.config import compose, grid_settings, search_settings
from scalesearch.config.scale import parse_budgets, parse_phis
from scalesearch.emit.layout import docstring, one_line
from scalesearch.emit.model_card import escape_markdown
from scalesearch.emit.naming import family_name, function_names
from scalesearch.emit.weights import load_weights, save_weights
from scalesearch.errors import ScaleSearchError
from scalesearch.nets.build import build_net
from scalesearch.search.result_table import EvaluatorSettings, ResultTable
from scalesearch.store import run_list
from scalesearch.store.driver_lock import Holder
from scalesearch.store.ledger import Ledger
from scalesearch.store.rows import COLUMNS, digest_of, row_of
from scalesearch.store.shared import adopted_from
from scalesearch.store.stored_values import stored_value
from scalesearch.studies import sessions as session_notes
from scalesearch.studies.budget import decided_budget
from scalesearch.studies.search_log import SearchLog
from scalesearch.train.checkpoint import decode_checkpoint, encode_checkpoint
from scalesearch.trial import TrialRecord
from scalesearch.units import parse_count

SMALL = NetSpec("small", 32, 8, (StageSpec("conv", 3, 2, 8, 1), StageSpec("mbconv", 3, 1, 8, 2, 2.0, 0.25)), 16, 3)


def test_units() -> None:
    good = ["400M", "0.4G", "4e8", "400 M", ".5T", "1e18"]

    def make(random: Random) -> object:
        return random.choice(ODD_VALUES) if random.random() < 0.1 else spoilt_text(random, good)

    fuzz("units", make, parse_count)  # type: ignore[arg-type]


def test_phi_ranges() -> None:
    fuzz("phi", lambda random: spoilt_text(random, ["0:7", "-2:3", "0:2:0.5", "0,0.5,1", "3"]), parse_phis)


def test_budgets() -> None:
    fuzz("budgets", lambda random: spoilt_text(random, ["100M,400M,1.6G", "1e9", "200M,1G"]), parse_budgets)


def test_specs() -> None:
    good = SMALL.to_dict()
    older = {**good, "schema": 1}
    fuzz("spec JSON", lambda random: spoilt_json(random, random.choice((good, older))), NetSpec.from_json)


def test_settings() -> None:
    good = compose("grid", ["data=synthetic"])
    fuzz("settings", lambda random: spoilt_values(random, good), grid_settings)


def test_overrides() -> None:
    good = ["proxy.epochs=2", "ratio=1.5", "data=synthetic", "engine.slots=4", "rules=[fast,uniform]", "+a.b={c:1}",
            "minutes=null", "data.path='a b'", "seed=0,1", "baseline=x.json"]  # fmt: skip

    def parse(text: str) -> object:
        return grid_settings(compose("grid", [text]))

    fuzz("overrides", lambda random: spoilt_text(random, good), parse, inputs=INPUTS if INPUTS > 1000 else 50)


def test_result_tables(quick_disk: Path) -> None:
    chosen = search_settings(compose("search", ["space=nas_bench_macro", "data=synthetic"]))
    space = make_space(load_spec(chosen.base), chosen.space)
    good = b"arch,a,b\n22212220,91.5,92\n00000000,90,\n02012100,93.13,1e1\n"
    settings = EvaluatorSettings("table", path=str(quick_disk / "t.csv"), accuracy=("a", "b"), accuracy_scale=0.01,
                                 macs="b")  # fmt: skip
    no_cost = EvaluatorSettings("table", path=str(quick_disk / "t.csv"), accuracy=("a", "b"), accuracy_scale=0.01)

    def parse(content: bytes) -> object:
        (quick_disk / "t.csv").write_bytes(content)
        return ResultTable(no_cost if len(content) % 4 else settings, space)

    fuzz("result tables", lambda random: spoilt_bytes(random, good), parse)


GOOD_ROW = row_of(TrialRecord("k", "f", "r", "d", 0, 1, "done", accuracy=0.5, macs=3, seconds=1.5, device="cpu"))


def test_ledger_rows() -> None:
    """Rows as SQLite may hold them, whatever their columns promise; the digest fits, as a forger would see to."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(f"CREATE TABLE trials ({', '.join(COLUMNS)}, digest)")
    connection.execute("CREATE TABLE meta (key, value, digest)")
    odd = [value for value in ODD_VALUES if type(value) in (int, float, str, type(None))]
    odd = [*(v for v in odd if not isinstance(v, int) or -(2**63) <= v < 2**63), b"", b"\x80\x04.", b"\xff"]

    def make(random: Random) -> dict[str, Any]:
        return {**GOOD_ROW, **{random.choice(list(COLUMNS)): random.choice(odd) for _ in range(random.randint(1, 3))}}

    def parse(row: dict[str, Any]) -> object:
        connection.execute("DELETE FROM trials")
        try:
            digest = digest_of(row)
        except TypeError:
            digest = "0" * 16
        try:
            values = [*row.values(), digest]
            connection.execute(f"INSERT INTO trials VALUES ({', '.join('?' * len(values))})", values)
        except UnicodeEncodeError:  # SQLite itself takes no half of a surrogate pair
            return None
        ledger = Ledger(connection, Path("made"), tuple(COLUMNS))
        return ledger.records()

    fuzz("ledger rows", make, parse)


def test_stored_values(quick_disk: Path) -> None:
    """What studies keep in a ledger beside its rows; the digest fits, as a forger would see to."""
    path = quick_disk / "grid" / "x" / "ledger.db"
    path.parent.mkdir(parents=True)
    entry = {"number": 0, "point": [1, 2], "fingerprint": "f", "rung": 0, "key": None, "told": 0, "duplicates": 0,
             "over_budget": 0, "cost": 1.5, "skipped": ""}  # fmt: skip
    good = {
        "created_at": 1.8e9, "sessions": [{"started": 1.0, "slots": 2, "ended": 5.0}], "shared:k": ["grid/y", 1.5],
        "budget": {"minutes": 5.0, "trainings": 7}, "ask/0000000": entry,
    }  # fmt: skip
    with Ledger.create_or_open(path) as ledger:
        ledger.commit(TrialRecord("k", "f", "r", "d", 0, 1, "done", accuracy=0.5))

        def make(random: Random) -> tuple[str, str]:
            key = random.choice(list(good))
            return key, spoilt_json(random, good[key])

        def parse(pair: tuple[str, str]) -> object:
            key, text = pair
            ledger._noted.clear()
            ledger._connection.execute("DELETE FROM meta WHERE key = ?", (key,))
            try:
                values = (key, text, digest_of({key: text}))
                ledger._connection.execute("INSERT INTO meta VALUES (?, ?, ?)", values)
            except UnicodeEncodeError:  # SQLite itself takes no half of a surrogate pair
                return None
            try:
                sessions = session_notes._stored(ledger)
                session_notes.wall_seconds(ledger.records(), sessions)
                decided_budget(ledger, 5.0, 2, [1.0], at_least=1, at_most=9)
                stored_value(ledger, "created_at", run_list._moment, None)
                return adopted_from(ledger), SearchLog(ledger).entries
            finally:
                ledger._connection.execute("DELETE FROM meta WHERE key = ?", (key,))

        fuzz("stored values", make, parse)


def test_ledger_files(quick_disk: Path) -> None:
    path = quick_disk / "ledger.db"
    with Ledger.create_or_open(path) as ledger:
        ledger.commit(TrialRecord("k", "f", "r", "d", 0, 1, "done", accuracy=0.5))
        ledger._connection.execute("PRAGMA journal_mode = DELETE")
    good = path.read_bytes()

    def parse(content: bytes) -> object:
        path.write_bytes(content)
        with Ledger.open_readonly(path, undriven=True, lock_timeout=0) as ledger:
            return ledger.records()

    fuzz("ledger files", lambda random: spoilt_bytes(random, good), parse)


def test_checkpoints() -> None:
    import hashlib

    good = encode_checkpoint({"epoch": 1, "net": {"w": torch.zeros(2)}, "rows": [1.0, None, "a"]})
    body = good[: good.rindex(b"\nscalesearch")]

    def make(random: Random) -> bytes:
        if random.random() < 0.2:
            return spoilt_bytes(random, good)
        spoilt = spoilt_bytes(random, body)
        return spoilt + b"\nscalesearch sha256 " + hashlib.sha256(spoilt).hexdigest().encode() + b"\n"

    fuzz("checkpoints", make, lambda content: decode_checkpoint(content, "x"))


def test_weights(quick_disk: Path) -> None:
    pytest.importorskip("safetensors")
    path = quick_disk / "w.safetensors"
    save_weights(build_net(SMALL), path)
    whole = path.read_bytes()
    path.with_name("w.safetensors.sha256").unlink()
    length = int.from_bytes(whole[:8], "little")

    def make(random: Random) -> bytes:
        header = spoilt_bytes(random, whole[8 : 8 + length])
        told = len(header) if random.random() < 0.8 else random.getrandbits(random.choice((8, 32, 64)))
        return told.to_bytes(8, "little") + header + whole[8 + length :]

    def parse(content: bytes) -> object:
        path.write_bytes(content)
        return load_weights(path, SMALL)

    fuzz("safetensors", make, parse)


def test_names_in_emitted_code() -> None:
    """Whatever a network is called: a Python name, a docstring that stays one, Markdown that stays text."""

    def parse(name: str) -> object:
        if name.isprintable() and name.strip() and name.lstrip()[0] not in "=+-@" and len(name) <= 200:
            specs = [SMALL.with_(name=name), SMALL.with_(name=name + "x"), SMALL]
            names = function_names(specs)
            assert len(set(names)) == 3
            for one in (*names, family_name(specs)):
                assert one.isidentifier()
                assert not keyword.iskeyword(one)
        else:
            with pytest.raises(ScaleSearchError):
                SMALL.with_(name=name)
        module = ast.parse(docstring([one_line(name), f"    {one_line(name)}"]))
        assert [type(node) for node in module.body] == [ast.Expr]
        assert "\n" not in escape_markdown(name)
        if not name:
            SMALL.with_(name=name)
        return None

    goods = ['x"""\nimport os\n"""', "a\\", "net'); import os #", "{{7*7}}", "b0", "<img src=x>", "class", "torch", ""]
    fuzz("emitted names", lambda random: spoilt_text(random, goods), parse)


def test_drivers_notes(quick_disk: Path) -> None:
    good = {"pid": 12, "host": "h", "since": 1.5, "ticks": "7"}

    def parse(text: str) -> object:
        (quick_disk / "driver.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        holder = Holder.noted_in(quick_disk)
        if holder is None:
            raise ScaleSearchError("no note")
        return str(holder), holder.is_alive

    fuzz("drivers' notes", lambda random: spoilt_json(random, good), parse)


def test_every_field_of_a_record_is_fuzzed() -> None:
    assert set(GOOD_ROW) == {field.name for field in fields(TrialRecord)}
    assert json.dumps(GOOD_ROW)
