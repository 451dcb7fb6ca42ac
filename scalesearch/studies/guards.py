"""What a run refuses because its rows would not belong together."""

from __future__ import annotations

from collections.abc import Iterable

from scalesearch.data.prepared import PreparedData
from scalesearch.errors import RunFolderError
from scalesearch.store.ledger import Ledger
from scalesearch.trial import TrialRecord

__all__ = ["guard_data", "guard_device"]


def guard_device(records: Iterable[TrialRecord]) -> None:
    """Refuse to compare trainings of different kinds of devices, because precision differs between them.

    Raises:
        RunFolderError: the records name more than one kind.
    """
    kinds = sorted({record.device.split(":")[0] for record in records if record.device})
    if len(kinds) > 1:
        raise RunFolderError(
            "a run is trained on one kind of device", value=" and ".join(kinds), way_out="choose another --name"
        )


def guard_data(ledger: Ledger, data: PreparedData) -> None:
    """Refuse to continue a run on other pictures: its rows would not belong together."""
    stored = ledger.get_meta("data_fingerprint")
    if stored is None:
        ledger.set_meta("data_fingerprint", data.fingerprint)
    elif stored != data.fingerprint:
        raise RunFolderError(
            "a run continues on the pictures it was started with",
            value=f"data {data.fingerprint} after {stored}",
            way_out="restore the data set, or choose another --name",
        )
