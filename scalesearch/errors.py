"""Every error scalesearch raises on purpose.

ScaleSearchError
├── InputError              the user's input was wrong                      exit 2
│   ├── UnitError           a quantity such as "400M" could not be read
│   ├── UnknownNameError    a name that no registry holds
│   ├── SpecError           a network that cannot exist
│   ├── ConfigError         an override, config file or option
│   ├── DataError           a data set that is missing, broken or unusable
│   ├── BudgetError         a cost target that cannot be met
│   ├── ResourceError       more cores, GPUs or nodes than there are
│   ├── RunFolderError      a run folder that cannot be used
│   └── MissingPackageError an optional package that is absent or broken
├── TrialError              a trial failed in a way it can name             recorded
│   └── DivergedError       the loss became NaN or infinite
├── LedgerError             the ledger is corrupt or locked                 exit 1
│   └── NewerSchemaError    it was written by a newer scalesearch           exit 2
├── EngineError             an engine lost its workers for good             exit 1
├── VerificationError       the closed form and fvcore disagree             exit 1
└── InterruptedRun          SIGINT or SIGTERM; what was committed is kept   exit 130 or 143
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "BudgetError",
    "ConfigError",
    "DataError",
    "DivergedError",
    "EngineError",
    "InputError",
    "InterruptedRun",
    "LedgerError",
    "MissingPackageError",
    "NewerSchemaError",
    "ResourceError",
    "RunFolderError",
    "ScaleSearchError",
    "SpecError",
    "TrialError",
    "UnitError",
    "UnknownNameError",
    "VerificationError",
]


class ScaleSearchError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what the CLI returns."""

    exit_code = 1


class InputError(ScaleSearchError):
    """The user's input was wrong.

    Args:
        rule: what must hold, for example "target FLOPs must be positive".
        value: what was given instead; omitted from the message when None.
        way_out: what to do, in the imperative.
        table: rows that help to choose (shown below the line by the CLI).
    """

    exit_code = 2

    def __init__(self, rule: str, *, value: object = None, way_out: str = "", table: str = ""):
        self.rule, self.value, self.way_out, self.table = rule, value, way_out, table
        got = "" if value is None else f", got {_one_line(value)}"
        way = f"; {way_out}" if way_out else ""
        super().__init__(_one_line_text(f"{rule}{got}{way}"))


class UnitError(InputError):
    """A quantity such as "400M" could not be read."""


class UnknownNameError(InputError):
    """A name that no registry holds."""

    @classmethod
    def of(cls, kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
        """The error for `name` not being one of the `known` names of a `kind` of thing."""
        names = sorted(known)
        near = difflib.get_close_matches(str(name), names, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(names)}"
        return cls(f"unknown {kind}", value=name, way_out=hint)


class SpecError(InputError):
    """A network that cannot exist."""


class ConfigError(InputError):
    """An override, config file or option."""


class DataError(InputError):
    """A data set that is missing, broken or unusable."""


class BudgetError(InputError):
    """A cost target that cannot be met."""


class ResourceError(InputError):
    """More cores, GPUs or nodes than there are."""


class RunFolderError(InputError):
    """A run folder that cannot be used."""


class MissingPackageError(InputError):
    """An optional package that is absent or broken."""


class TrialError(ScaleSearchError):
    """A trial failed in a way it can name; recorded in the ledger, the run goes on."""


class DivergedError(TrialError):
    """The loss became NaN or infinite."""


class LedgerError(ScaleSearchError):
    """The ledger is corrupt, locked by another process, or from a newer version."""


class NewerSchemaError(LedgerError):
    """A ledger of a newer scalesearch; nothing is wrong with it."""

    exit_code = 2


class EngineError(ScaleSearchError):
    """An engine lost its workers for good."""


class VerificationError(ScaleSearchError):
    """The closed form and fvcore disagree: a bug in scalesearch, never to be ignored."""


class InterruptedRun(ScaleSearchError):
    """The run was interrupted by a signal; everything committed is kept."""

    def __init__(self, signal_number: int, message: str = ""):
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number
        super().__init__(message or f"interrupted by signal {signal_number}")


def _one_line(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _one_line_text(text: str) -> str:
    return " ".join(text.split())
