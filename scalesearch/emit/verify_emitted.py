"""Every emitted module is imported in a clean process and must be the networks that it claims to be."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scalesearch.arch.cost import cost_of
from scalesearch.arch.spec import NetSpec
from scalesearch.emit.layout import LINE_LENGTH
from scalesearch.errors import MissingPackageError, VerificationError

__all__ = ["Verified", "is_formatted", "verify_emitted"]

_SCRIPT: Final = Path(__file__).with_name("clean_process.py")
_SECONDS: Final = 900  # a family of very large networks on one busy core
_WORTH_TWO: Final = 4  # networks


@dataclass(frozen=True, slots=True)
class Verified:
    """A network of an emitted module, as counted in the clean process (MACs of convolutions and linear layers)."""

    name: str
    params: int
    macs: int


def verify_emitted(path: Path, specs: Sequence[NetSpec], names: Sequence[str], *, library: str) -> tuple[Verified, ...]:
    """Import `path` in a process that cannot see scalesearch; build, run and count every network.

    Args:
        path: the emitted .py file.
        names: the networks' functions (or names in timm), in the order of `specs`.
        library: "torch", "timm" or "torchvision".

    Raises:
        MissingPackageError: `library` cannot be imported.
        VerificationError: the module cannot be imported, a network does not run, a count differs from the spec's
            closed form, or ruff is there and would format the file differently.
    """
    networks = _counted(path, specs, names, library)
    for spec, found in zip(specs, networks, strict=True):
        cost = cost_of(spec)
        wanted = {"params": cost.params, "macs": cost.macs, "classes": spec.num_classes}
        for quantity, value in wanted.items():
            if found[quantity] != value:
                raise VerificationError(
                    f"{quantity} of {found['name']} in {path.name}: the spec says {value}, it has {found[quantity]}"
                )
    if is_formatted(path) is False:
        raise VerificationError(f"{path.name} is not formatted as ruff would ({LINE_LENGTH} columns)")
    return tuple(Verified(found["name"], found["params"], found["macs"]) for found in networks)


def is_formatted(path: Path) -> bool | None:
    """Whether `ruff format` would leave the file as it is; None where there is no ruff."""
    beside = Path(sys.executable).with_name("ruff")
    ruff = str(beside) if beside.is_file() else shutil.which("ruff")
    if ruff is None:
        return None
    command = [ruff, "format", "--check", "--isolated", "--no-cache", "--line-length", str(LINE_LENGTH), str(path)]
    return subprocess.run(command, capture_output=True, timeout=_SECONDS).returncode == 0


def _counted(path: Path, specs: Sequence[NetSpec], names: Sequence[str], library: str) -> list[dict[str, Any]]:
    """What clean processes say of every network, in order; two share a family, the largest networks dealt first."""
    largest_first = sorted(range(len(specs)), key=lambda at: cost_of(specs[at]).params, reverse=True)
    # the second one pays its import of torch back from a few networks on
    shares = [largest_first[::2], largest_first[1::2]] if len(specs) >= _WORTH_TWO else [largest_first]
    with ThreadPoolExecutor(len(shares)) as pool:
        answers = list(
            pool.map(
                lambda share: _run(path, [specs[at] for at in share], [names[at] for at in share], library), shares
            )
        )
    found: dict[int, dict[str, Any]] = {}
    for share, answer in zip(shares, answers, strict=True):
        if "missing" in answer:
            raise MissingPackageError(
                f"checking {path.name} needs the package {library}",
                value=answer["missing"],
                way_out=f"pip install {library}, or emit without verification",
            )
        found.update(zip(share, answer["networks"], strict=True))
    return [found[at] for at in range(len(specs))]


def _run(path: Path, specs: Sequence[NetSpec], names: Sequence[str], library: str) -> dict[str, Any]:
    """Build, run and count in one clean process: {"networks": [...]}, or {"missing": why}."""
    requests = [
        {
            "name": name,
            "in_channels": spec.in_channels,
            "resolution": spec.resolution,
            # large enough that the last map has more than one pixel
            "small_side": min(spec.resolution, 2 * spec.total_stride),
        }
        for spec, name in zip(specs, names, strict=True)
    ]
    done = subprocess.run(
        [sys.executable, "-I", "-B", str(_SCRIPT), str(path.parent), path.stem, library],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise VerificationError(f"{path.name} does not run in a clean process: {last}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
