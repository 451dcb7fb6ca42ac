"""A run's folder, `runs/VERB/NAME/`: checked before the run, created lazily, driven by one process at a time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from io import BytesIO
from numbers import Integral, Real
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from scalesearch.errors import RunFolderError
from scalesearch.store.atomic import write_atomic
from scalesearch.store.driver_lock import LOCK_FILE, NOTE_FILE, DriverLock
from scalesearch.store.ledger import Ledger
from scalesearch.store.results import SUMMARY_FILE
from scalesearch.store.room import check_room
from scalesearch.store.run_paths import OTHER_NAME, run_path, writing

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CONFIG_FILE", "LEDGER_FILE", "SUMMARY_FILE", "RunFolder", "plain_json"]

LEDGER_FILE: Final = "ledger.db"
CONFIG_FILE: Final = "config.yaml"

# what a driver that was killed while it created the folder may leave behind
_BEFORE_LEDGER: Final = frozenset({LOCK_FILE, NOTE_FILE, CONFIG_FILE})


class RunFolder:
    """Where one run keeps what it finds. `plan` checks and writes nothing, `open` creates, `close` releases.

    Attributes:
        path: the folder.
        verb: the command, for example "grid".
        name: the run's name.
        notices: lines worth telling the user, for example that a dead driver's lock was taken over.
    """

    def __init__(self, path: Path, verb: str, name: str):
        self.path, self.verb, self.name = path, verb, name
        self.notices: tuple[str, ...] = ()
        self._lock = DriverLock(path)
        self._ledger: Ledger | None = None

    @classmethod
    def plan(cls, runs_dir: str | Path, verb: str, name: str) -> RunFolder:
        """The folder of a run, after every check that needs no writing.

        Raises:
            RunFolderError: a name with other characters than letters, digits and ._-, a file in the way,
                a folder that is not a run, or one that cannot be written.
        """
        path = run_path(runs_dir, verb, name)
        _check_is_run(path)
        return cls(path, verb, name)

    def precheck(self, settings: Mapping[str, Any]) -> bool:
        """Refuse what `open` would refuse, before expensive work and without writing; a new run has nothing to check.

        Returns:
            Whether the run is finished: then nothing is left to train, unless it is given more to do.

        Raises:
            RunFolderError: another driver is at work, or the settings differ from those of the first start.
            LedgerError: the ledger is damaged or newer.
        """
        check_room(self.path)
        with self._lock.undriven():
            _check_is_run(self.path)
            if (self.path / LEDGER_FILE).exists():
                with Ledger.open_readonly(self.path / LEDGER_FILE, undriven=True) as ledger:
                    self._check_settings(ledger.get_meta("settings"), _as_text(settings))
                    return ledger.is_finished
        return False

    def open(self, settings: Mapping[str, Any], config_yaml: str | None = None) -> Self:
        """Create or continue the run.

        Args:
            settings: every setting that changes results, as plain JSON types; stored at the first start and
                compared at each later one.
            config_yaml: what config.yaml shall hold; written before the ledger, so that a run with a ledger can
                be resumed whenever its driver was killed, and replaced when a run goes on.

        Raises:
            RunFolderError: another driver is at work, the settings differ from those of the first start, or
                the folder cannot be written.
            LedgerError: the ledger is damaged, locked or newer.
        """
        with writing(self.path):
            check_room(self.path)
            self.path.mkdir(parents=True, exist_ok=True)
            left_behind = self._lock.acquire()
        try:
            if left_behind is not None:
                self.notices += (f"took over the lock of {left_behind}, which ended without releasing it",)
            _check_is_run(self.path)
            for torn in self.path.rglob(".*.tmp"):  # of a driver that was killed while writing
                torn.unlink(missing_ok=True)
            is_new = not (self.path / LEDGER_FILE).exists()
            if is_new and config_yaml is not None:
                self.write_text(CONFIG_FILE, config_yaml)
            self._ledger = Ledger.create_or_open(self.path / LEDGER_FILE)
            self._guard_settings(_as_text(settings))
            if not is_new and config_yaml is not None:
                self.write_text(CONFIG_FILE, config_yaml)
        except BaseException:
            self.close()
            raise
        return self

    @property
    def ledger(self) -> Ledger:
        """The run's ledger; only between `open` and `close`."""
        assert self._ledger is not None, "open() comes first"
        return self._ledger

    def write_text(self, name: str, text: str) -> Path:
        """Write a file of the run in one step; `name` may hold folders ("figures/plane.csv")."""
        return self._write(name, text.encode())

    def write_bytes(self, name: str, content: bytes) -> Path:
        """The same for bytes."""
        return self._write(name, content)

    def write_json(self, name: str, value: Any) -> Path:
        """The same for JSON; NaN and infinities are written as null."""
        return self._write(name, (json.dumps(plain_json(value), indent=2, allow_nan=False) + "\n").encode())

    def write_frame(self, name: str, frame: pd.DataFrame) -> Path:
        """The same for a table, as the suffix of `name` says: .csv or .parquet; the index is left out."""
        if name.endswith(".csv"):
            return self._write(name, frame.to_csv(index=False).encode())
        assert name.endswith(".parquet"), name
        buffer = BytesIO()
        frame.to_parquet(buffer, index=False)
        return self._write(name, buffer.getvalue())

    def finish(self) -> None:
        """Mark the run as finished, until new work is committed; it can still be opened again."""
        self.ledger.mark_finished()

    def close(self) -> None:
        """Close the ledger and release the folder; further calls do nothing."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, name: str, content: bytes) -> Path:
        path = self.path / name
        if not path.resolve().is_relative_to(self.path.resolve()):  # a foreign folder with links in it
            raise RunFolderError(
                "a run writes inside its own folder only", value=str(path.resolve()), way_out="remove the link there"
            )
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, content)
        return path

    def _guard_settings(self, wanted: str) -> None:
        """Store the settings at the first start; refuse others later."""
        stored = self.ledger.get_meta("settings")
        self._check_settings(stored, wanted)
        if stored is None:
            for key, value in (("verb", self.verb), ("name", self.name), ("settings", wanted)):
                self.ledger.set_meta(key, value)

    def _check_settings(self, stored: str | None, wanted: str) -> None:
        """Refuse other settings than those of the first start, because rows would not belong together."""
        if stored is not None and stored != wanted:
            differences = _differences(json.loads(stored), json.loads(wanted))
            raise RunFolderError(
                f"a run continues with the settings it was started with; {self.verb}/{self.name} has others",
                value=", ".join(differences[:3]) + (f" and {len(differences) - 3} more" * (len(differences) > 3)),
                way_out=f"repeat the old settings, or {OTHER_NAME}",
                table="\n".join(differences),
            )


def _as_text(settings: Mapping[str, Any]) -> str:
    return json.dumps(plain_json(dict(settings)), sort_keys=True)


def plain_json(value: Any) -> Any:
    """Plain JSON types: tuples become lists, NumPy numbers Python's, NaN and infinities None."""
    if isinstance(value, Mapping):
        return {str(key): plain_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(part) for part in value]
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else None
    return value.item() if type(value).__module__ == "numpy" else str(value)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Lines "key: old -> new" for every setting that differs, keys of nested settings joined by dots."""
    before, after = dict(_flat(old)), dict(_flat(new))
    return [
        f"{key}: {before.get(key, 'absent')} -> {after.get(key, 'absent')}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key, "absent") != after.get(key, "absent")
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value)


def _check_is_run(path: Path) -> None:
    """Refuse a folder with other people's files in it, and a run that lost its ledger."""
    if not path.exists() or (path / LEDGER_FILE).exists():
        return
    others = sorted(
        entry.name for entry in path.iterdir() if not entry.name.startswith(".") and entry.name not in _BEFORE_LEDGER
    )
    if others:
        raise RunFolderError(
            f"a run folder must be empty or hold its {LEDGER_FILE}, but {path} holds {others[0]}",
            way_out=f"put the ledger back, or {OTHER_NAME}",
        )
