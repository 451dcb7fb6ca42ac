"""Taking trainings from other runs: only exact, successful answers of the same kind of device."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from scalesearch.store.ledger import Ledger
from scalesearch.store.shared import adopt_shared, adopted_from

sys.path.insert(0, str(Path(__file__).parent.parent / "engine"))
from trial_stubs import request, steady

WANTED = [request(seed) for seed in range(4)]


def ledger_of(runs: Path, name: str) -> Ledger:
    folder = runs / "grid" / name
    folder.mkdir(parents=True)
    return Ledger.create_or_open(folder / "ledger.db")


def rows(*seeds: int, **changes: object):  # type: ignore[no-untyped-def]
    return [replace(steady(request(seed)), device="cpu", started_at=1.0, **changes) for seed in seeds]


def filled(runs: Path, name: str, *records) -> None:  # type: ignore[no-untyped-def]
    with ledger_of(runs, name) as other:
        for record in records:
            other.commit(record)


def test_rows_of_other_runs_are_copied_with_their_source(tmp_path: Path) -> None:
    filled(tmp_path, "a", *rows(0, 1, 9))
    filled(tmp_path, "b", *rows(1, 2))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with ledger_of(tmp_path, "own") as own:
        found = adopt_shared(own, WANTED, tmp_path, device="cpu")
        assert own.records() == rows(0, 1, 2)
        sources = {WANTED[0].key: "grid/a", WANTED[1].key: "grid/a", WANTED[2].key: "grid/b"}
        assert found.sources == adopted_from(own) == sources
        assert found.notices == ("2 trainings taken from grid/a", "1 trainings taken from grid/b")
        assert adopt_shared(own, WANTED, tmp_path, device="cpu").sources == {}
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "own" not in path.parts}
    assert after == before  # others are only read


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "failed", "accuracy": None, "error": "diverged"},
        {"accuracy": None},
        {"device": "cuda:0"},
        {"device": None},
        {"fingerprint": "0" * 16},
        {"recipe": "0" * 16},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_no_answer_stays_where_it_is(tmp_path: Path, changes: dict[str, object]) -> None:
    filled(tmp_path, "a", *[replace(record, **changes) for record in rows(0)])  # type: ignore[arg-type]
    with ledger_of(tmp_path, "own") as own:
        assert adopt_shared(own, WANTED, tmp_path, device="cpu").sources == {}
        assert own.records() == []


def test_the_runs_own_rows_say_which_device_it_is(tmp_path: Path) -> None:
    filled(tmp_path, "a", *rows(0))
    with ledger_of(tmp_path, "own") as own:
        assert adopt_shared(own, WANTED, tmp_path, device=None).sources == {}
        own.commit(replace(rows(3)[0], device="cuda:0"))
        assert adopt_shared(own, WANTED, tmp_path, device="cpu").sources == {}
    with ledger_of(tmp_path, "third") as own:
        own.commit(rows(3)[0])
        assert set(adopt_shared(own, WANTED, tmp_path, device=None).sources) == {WANTED[0].key}


def test_rows_of_another_version_are_not_taken(tmp_path: Path) -> None:
    filled(tmp_path, "a", *rows(0))
    with ledger_of(tmp_path, "own") as own:
        own.set_meta("scalesearch", "0.0.1")
        assert adopt_shared(own, WANTED, tmp_path, device="cpu").sources == {}


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    broken = tmp_path / "grid" / "broken"
    broken.mkdir(parents=True)
    (broken / "ledger.db").write_bytes(b"no ledger")
    filled(tmp_path, "c", *rows(0))
    with ledger_of(tmp_path, "own") as own:
        found = adopt_shared(own, WANTED, tmp_path, device="cpu")
    assert set(found.sources) == {WANTED[0].key}
    assert "trainings of grid/broken cannot be shared" in found.notices[0]


def test_a_note_whose_row_was_trained_later_claims_nothing(tmp_path: Path) -> None:
    """The driver died between note and row, and then trained the unit itself."""
    with ledger_of(tmp_path, "own") as own:
        own.set_meta(f"shared:{WANTED[0].key}", '["grid/a", 1.0]')
        assert adopted_from(own) == {}
        own.commit(replace(rows(0)[0], started_at=2.0))
        assert adopted_from(own) == {}
