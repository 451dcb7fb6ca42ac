"""What a study's table of trainings takes from their records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from scalesearch.errors import TrialError
from scalesearch.trial import TrialRecord

__all__ = ["all_failed", "record_columns"]

_RESULT: Final = ("status", "accuracy", "loss", "train_loss", "error", "epochs", "steps", "n_train", "n_val", "device")
# of the network that was trained for another one; the table's own columns of these names are that other one's
_TRAINED: Final = ("seed", "fingerprint", "resolution", "macs", "fvcore_macs", "params", "activations")
_ORIGIN: Final = ("key", "recipe", "data")
_TIMING: Final = ("train_seconds", "seconds", "started_at", "finished_at", "worker", "attempt")


def record_columns(record: TrialRecord) -> dict[str, Any]:
    """The result, the network that was trained as `trained_*`, where the row belongs, and its times."""
    return {
        **{name: getattr(record, name) for name in _RESULT},
        **{f"trained_{name}": getattr(record, name) for name in _TRAINED},
        **{name: getattr(record, name) for name in (*_ORIGIN, *_TIMING)},
    }


def all_failed(records: Iterable[TrialRecord]) -> TrialError:
    """The error of a study that has no result at all, with what its trainings said."""
    errors = {record.error for record in records}
    return TrialError(f"every training failed: {'; '.join(sorted(filter(None, errors)))[:300]}")
