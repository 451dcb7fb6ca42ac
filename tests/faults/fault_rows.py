"""The faults that every run must survive: what is tried, and what the tool does."""

from __future__ import annotations

from typing import Final

__all__ = ["ENGINES", "ROWS"]

#: number -> (fault, what the tool does)
ROWS: Final[dict[int, tuple[str, str]]] = {
    1: ("kill -9 of the driver at random moments", "resume trains what is missing"),
    2: ("kill -9 between a result and the next use of its slot", "a result is stored before anything is decided on it"),
    3: ("kill -9 while the ledger is created", "the ledger gets its name when it is complete"),
    4: ("kill -9 of a worker", "a new worker, the trial is tried again"),
    5: ("a trial that always crashes", "failed after `max_attempts`, the run goes on"),
    6: ("a trial that takes all memory", "its worker is killed; tried again, then failed"),
    7: ("no GPU memory (torch's error, raised without a GPU)", "tried again, then failed"),
    8: ("a trial that hangs", "ended after `trial_timeout`, tried again, then failed (not with engine=serial)"),
    9: ("a loss that is NaN or infinite", 'failed, "diverged at step k", in no mean and no fit'),
    10: ("Ctrl-C, once and twice", "exit 130 with the line that resumes; twice ends at once"),
    11: ("SIGTERM", "the same, exit 143"),
    12: ("disk full at a checkpoint", "the checkpoint before stays, one line, resume goes on"),
    13: ("disk full under the ledger", "one line, exit 1, what is stored stays"),
    14: ("torn, flipped or empty checkpoint", "refused by its digest"),
    15: ("damaged ledger", "refused and left as it is, never started anew"),
    16: ("locked ledger", "waits five seconds, then names the process that holds it"),
    17: ("two drivers in one folder", "the second is refused at once"),
    18: ("the lock of a dead driver", "taken over, and said"),
    19: ("resume with changed settings", "refused with the difference"),
    20: ("resume of a seeded run", "equals the run that was not interrupted, nothing is drawn twice"),
    21: ("the wall clock jumps by years", "durations and timeouts use another clock"),
    22: ("a target that is no number", "exit 2, one line"),
    23: ("a target out of reach", "exit 2 with the range that can be reached"),
    24: ("a constraint nothing satisfies", "exit 2 with the nearest point"),
    25: ("a resolution under the minimum", "exit 2, one line"),
    26: ("nothing feasible", "exit 2 with a table of the closest"),
    27: ("a wrong, `+` or `~` override", "exit 2, one line"),
    28: ("more cores, GPUs or slots than there are", "exit 2 before anything starts"),
    29: ("truncated, empty or oversized picture", "exit 2 with the file's name"),
    30: ("empty or one-class data set", "exit 2 before Ray starts"),
    31: ("archive with `../` or links", "nothing outside is read or written"),
    32: ("malicious pickle, YAML tag or `_target_`", "refused, nothing is called"),
    33: ("output folder read-only, absent or foreign", "exit 2 at the start"),
    34: ("object storage that does not answer", "one line after a bounded wait"),
    35: ("torchvision or timm broken or absent", "needed by their own formats only"),
    36: ("Ray absent", "engine=serial works, the others name the package"),
    37: ("proposals that repeat themselves", "the stored result answers"),
    38: ("a late result after a retry", "ignored"),
    39: ("no terminal, NO_COLOR, C locale", "plain text, no control characters"),
    40: ("a thousand trials of a millisecond", "under 20 ms of the driver's CPU each (ray)"),
}

_ALL: Final = ("ray", "serial", "tune")
#: row -> engines with which it must be tried; the other rows have nothing to do with engines
ENGINES: Final[dict[int, tuple[str, ...]]] = {
    **dict.fromkeys((1, 2, 5, 7, 9, 10, 11, 21, 40), _ALL),
    **dict.fromkeys((4, 6, 8, 28, 38), ("ray", "tune")),
    **dict.fromkeys((13, 16, 17, 37), ("ray", "serial")),
    **dict.fromkeys((12, 36), ("serial",)),
}
