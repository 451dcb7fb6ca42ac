"""Trainings that other runs have already done: equal content has an equal key, so its row can be taken as it is.

Other runs are only read. A row is taken where network, recipe, data and seed agree, it succeeded, on the same kind of
device, under the same version of scalesearch; what cannot be read is passed over and said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scalesearch.errors import LedgerError
from scalesearch.store.ledger import Ledger
from scalesearch.store.reading import read_ledger
from scalesearch.store.run_folder import LEDGER_FILE
from scalesearch.store.stored_values import stored_items
from scalesearch.trial import TrialRecord, TrialRequest

__all__ = ["Adoption", "adopt_shared", "adopted_from"]

_META: Final = "shared:"
_LOCK_TIMEOUT: Final = 0.5


@dataclass(frozen=True, slots=True)
class Adoption:
    """What was taken: the run it came from ("grid/first") by trial key, and lines worth telling the user."""

    sources: Mapping[str, str]
    notices: tuple[str, ...]


def adopt_shared(
    ledger: Ledger, requests: Sequence[TrialRequest], runs_dir: str | Path, *, device: str | None
) -> Adoption:
    """Commit copies of other runs' rows that answer a request which the ledger cannot answer yet.

    Args:
        ledger: of the run that wants them; it notes where each came from.
        requests: all that the run may train.
        runs_dir: the other runs are `runs_dir/VERB/NAME`.
        device: the kind of device that the run trains on, "cpu" or "cuda"; rows that the ledger holds already decide
            before it. None is not known: then only a ledger with rows of its own takes others.

    Raises:
        LedgerError: the run's own ledger cannot be read or written.
    """
    wanted = {request.key: request for request in requests}
    for key in ledger.done_keys():
        wanted.pop(key, None)
    own = {_kind(record) for record in ledger.records() if record.device}
    kind = own.pop() if len(own) == 1 else device if not own else None
    sources: dict[str, str] = {}
    notices: list[str] = []
    for path in _others(ledger.path, runs_dir) if kind is not None else ():
        if not wanted:
            break
        name = f"{path.parent.parent.name}/{path.parent.name}"
        try:
            found = _answers(path, wanted, kind, ledger.get_meta("scalesearch"))
        except LedgerError as error:
            notices.append(f"trainings of {name} cannot be shared: {error}")
            continue
        for record in found:
            del wanted[record.key]
            # before the row: a note without its row is no claim, a row without its note would be
            ledger.set_meta(f"{_META}{record.key}", json.dumps([name, record.started_at]))
            ledger.commit(record)
            sources[record.key] = name
    notices += [f"{n} trainings taken from {name}" for name, n in _counts(sources).items()]
    return Adoption(sources, tuple(notices))


def adopted_from(ledger: Ledger) -> dict[str, str]:
    """The run that each adopted row came from, by trial key; also those of earlier sessions."""
    found = stored_items(ledger, _META, lambda note: (str(note[0]), note[1]))
    notes = {meta.removeprefix(_META): note for meta, note in found}
    if not notes:
        return {}
    started = {record.key: record.started_at for record in ledger.records()}
    # a driver may have died between note and row, and the row been trained later
    return {key: name for key, (name, at) in notes.items() if key in started and started[key] == at}


def _others(own: Path, runs_dir: str | Path) -> list[Path]:
    """Ledgers of all other runs, in the order of their names."""
    ledgers = sorted(Path(runs_dir).expanduser().glob(f"*/*/{LEDGER_FILE}"))
    return [path for path in ledgers if path.resolve() != own.resolve()]


def _answers(
    path: Path, wanted: Mapping[str, TrialRequest], kind: str | None, version: str | None
) -> list[TrialRecord]:
    """The rows of another ledger that can be taken."""
    with read_ledger(path.parent, lock_timeout=_LOCK_TIMEOUT) as other:
        if other.get_meta("scalesearch") != version:
            return []
        rows = [record for record in other.records() if record.key in wanted]
    return [row for row in rows if _kind(row) == kind and _is_answer(row, wanted[row.key])]


def _is_answer(record: TrialRecord, request: TrialRequest) -> bool:
    """Whether a row is a success of exactly this network, recipe, data and seed."""
    asked = (request.spec.fingerprint, request.recipe.fingerprint, request.data.fingerprint, request.seed)
    return (
        record.status == "done"
        and record.accuracy is not None
        and (record.fingerprint, record.recipe, record.data, record.seed) == asked
    )


def _kind(record: TrialRecord) -> str:
    """ "cpu" or "cuda": results differ between them, because precision does."""
    return (record.device or "").split(":")[0]


def _counts(sources: Mapping[str, str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in sources.values():
        counts[name] = counts.get(name, 0) + 1
    return counts
