"""What stands in the way of a run on this machine, found before it starts; each finding has its way out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final, Literal

from scalesearch.data.settings import DataSettings
from scalesearch.engine.resources import this_machine
from scalesearch.errors import ScaleSearchError
from scalesearch.store.room import STARTS_WITH
from scalesearch.store.run_paths import run_path

__all__ = ["Finding", "examine"]

State = Literal["fine", "note", "failed"]

_IMPORT_TIMEOUT: Final = 120.0
_RAY_TIMEOUT: Final = 150.0
_ROOMY: Final = 2_000_000_000  # bytes that a cache of decoded pictures and a few runs want
_SHARED_MEMORY: Final = 150_000_000  # Ray's object store takes 128 MiB of it
_MEMORY_OF_A_SLOT: Final = 1_000_000_000  # Ray's services, and a worker with torch and its pictures
_NEEDED: Final = ("torch", "fvcore", "pandas", "pyarrow", "scipy", "optuna", "matplotlib")
_OPTIONAL: Final = {"torchvision": "timm", "timm": "timm", "onnx": "export", "onnxruntime": "export",
                    "safetensors": "export", "tensorboard": "tensorboard"}  # fmt: skip
_START_RAY: Final = """
from scalesearch.engine.ray_engine import RayEngine
from scalesearch.engine.settings import EngineSettings
with RayEngine(EngineSettings(slots=1)) as engine:
    engine.wait_ready()
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        about: what.
        state: "fine"; "note", a run works but worse; "failed", a run would not work.
        what: what was found.
        way_out: what to do; empty where it is fine.
    """

    about: str
    state: State
    what: str
    way_out: str = ""


def examine(data: DataSettings, runs_dir: str, *, quick: bool = False) -> Iterator[Finding]:
    """Look at everything, one finding after the other, cheap ones first.

    Args:
        data: the data set of the runs to come.
        runs_dir: where they would lie.
        quick: leave out what takes seconds: importing packages and starting Ray.
    """
    yield _python()
    yield _cores()
    yield _memory()
    yield from _threads()
    yield _open_files()
    yield from (_disk(*place) for place in (("runs", Path(runs_dir)), ("cache", data.cache_folder),
                                            ("temporary files", Path(tempfile.gettempdir()))))  # fmt: skip
    yield _shared_memory()
    yield from _writable(runs_dir, data.cache_folder)
    yield _clock(Path(runs_dir))
    yield _data(data)
    yield from _versions()
    if not quick:
        yield from map(_import, _NEEDED)
        yield _gpu()
        yield from (_import(name, extra) for name, extra in _OPTIONAL.items() if _version(name) is not None)
        yield _ray()


def _python() -> Finding:
    return Finding("python", "fine", f"{sys.version.split()[0]}, {sys.executable}")


def _cores() -> Finding:
    usable, installed = int(this_machine().cpus), os.cpu_count() or 1
    of = f" of {installed}" if usable != installed else ""
    return Finding("cores", "fine", f"{usable}{of} (affinity and container quota considered)")


def _memory() -> Finding:
    free = _available_memory()
    if free is None:
        return Finding("memory", "note", "unknown", "")
    needed = _MEMORY_OF_A_SLOT * max(1, int(this_machine().cpus))
    what = f"{free / 1e9:.1f} GB available"
    if free < _MEMORY_OF_A_SLOT:
        return Finding("memory", "failed", what, "free some, or use engine=serial with a smaller proxy")
    if free < needed:
        return Finding("memory", "note", what, f"take fewer slots: engine.slots={free // _MEMORY_OF_A_SLOT}")
    return Finding("memory", "fine", what)


def _available_memory() -> int | None:
    """Bytes that a new process could take: the system's, or what a container still allows."""
    found = []
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
    except (OSError, ValueError, IndexError):
        pass
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        found.append(limit - int((group / "memory.current").read_text(encoding="ascii")))
    except (OSError, ValueError):  # no container, or "max"
        pass
    return min(found, default=None)


def _threads() -> Iterator[Finding]:
    cores = int(this_machine().cpus)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        text = os.environ.get(name)
        if text is None:
            continue
        if not text.isdecimal() or not 1 <= int(text) <= cores:
            yield Finding("threads", "note", f"{name}={text}", f"unset it, or set 1 to {cores}")
        else:
            yield Finding("threads", "fine", f"{name}={text}")


def _open_files() -> Finding:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 1024:
        return Finding("open files", "note", f"at most {soft}", f"ulimit -n {min(hard, 65536)}, because Ray opens many")
    return Finding("open files", "fine", f"at most {soft}")


def _disk(what: str, folder: Path) -> Finding:
    place = next(path for path in (folder.expanduser().absolute(), *folder.expanduser().absolute().parents)
                 if path.exists())  # fmt: skip
    free = shutil.disk_usage(place).free
    text = f"{free / 1e9:.1f} GB free in {place}"
    ways = {"runs": "--runs-dir", "cache": "data.cache_dir= or SCALESEARCH_CACHE", "temporary files": "TMPDIR"}
    if free < STARTS_WITH:
        return Finding(f"disk for {what}", "failed", text, f"free some, or choose another place with {ways[what]}")
    if free < _ROOMY:
        return Finding(f"disk for {what}", "note", text, f"free some, or choose another place with {ways[what]}")
    return Finding(f"disk for {what}", "fine", text)


def _shared_memory() -> Finding:
    try:
        free = shutil.disk_usage("/dev/shm").free
    except OSError:
        return Finding("/dev/shm", "note", "there is none", "Ray then uses the temporary folder, which is slower")
    what = f"{free / 1e6:.0f} MB free"
    if free < _SHARED_MEMORY:
        way_out = "enlarge it (docker run --shm-size=1g); Ray then uses the temporary folder, which is slower"
        return Finding("/dev/shm", "note", what, way_out)
    return Finding("/dev/shm", "fine", what)


def _writable(runs_dir: str, cache: Path) -> Iterator[Finding]:
    try:
        run_path(runs_dir, "doctor", "a")
        yield Finding("runs folder", "fine", str(Path(runs_dir).expanduser().absolute()))
    except ScaleSearchError as error:
        yield Finding("runs folder", "failed", str(error), "choose another --runs-dir")
    for what, folder, way_out in (
        ("cache folder", cache, "set data.cache_dir= or SCALESEARCH_CACHE"),
        ("temporary folder", Path(tempfile.gettempdir()), "set TMPDIR"),
        ("home folder", Path.home(), "set HOME to a folder of yours: Ray keeps its token there"),
    ):
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        good = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
        yield Finding(what, "fine" if good else "failed", str(folder) + ("" if good else " cannot be written"),
                      "" if good else way_out)  # fmt: skip


def _clock(runs_dir: Path) -> Finding:
    now = time.time()
    if now < 1.7e9:  # November 2023
        return Finding("clock", "failed", time.strftime("%Y-%m-%d", time.gmtime(now)), "set it")
    place = next(path for path in (runs_dir.expanduser().absolute(), *runs_dir.expanduser().absolute().parents)
                 if path.is_dir())  # fmt: skip
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            off = os.fstat(file.fileno()).st_mtime - now
    except OSError:
        return Finding("clock", "note", f"nothing can be written into {place} to compare with", "")
    if abs(off) > 5:
        return Finding("clock", "note", f"{off:+.0f} s off the file system of {place}", "synchronise both")
    return Finding("clock", "fine", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now)))


def _data(settings: DataSettings) -> Finding:
    from scalesearch.data import fashion_mnist
    from scalesearch.data.prepare import check_source

    try:
        if settings.name == "fashion_mnist" and not fashion_mnist.is_at_hand(settings):
            way_out = "nothing, where there is a network; else see docs/data.md"
            return Finding("data set", "note", "fashion_mnist is downloaded at the first run (31 MB)", way_out)
        info = check_source(settings)
    except ScaleSearchError as error:
        return Finding("data set", "failed", str(error), "choose another --data, or mend it")
    return Finding("data set", "fine", f"{info.name}: {info.n_train} + {info.n_val} pictures, "
                   f"{len(info.class_names)} classes, {info.native_side} px")  # fmt: skip


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _versions() -> Iterator[Finding]:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        lines = metadata.requires("scalesearch") or []
    except metadata.PackageNotFoundError:
        yield Finding("scalesearch", "note", "not installed, run from its folder", "pip install .")
        lines = []
    for line in lines:
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        there, way_out = _version(wanted.name), f"pip install '{wanted.name}{wanted.specifier}'"
        if there is None:
            state: State = "note" if wanted.name == "ray" else "failed"
            yield Finding(wanted.name, state, "not installed", f"{way_out}" + ", or engine=serial" * (state == "note"))
        elif not wanted.specifier.contains(there, prereleases=True):
            yield Finding(wanted.name, "failed", f"{there}, older than {wanted.specifier}", way_out)
        else:
            yield Finding(wanted.name, "fine", there)
    for package, extra in _OPTIONAL.items():
        if _version(package) is None:
            yield Finding(package, "note", "not installed (optional)", f"pip install 'scalesearch[{extra}]'")


def _import(package: str, extra: str | None = None) -> Finding:
    """Import in a process of its own: a broken binary may end it."""
    code, words = _in_process(f"import {package}", _IMPORT_TIMEOUT)
    if code == 0:
        return Finding(f"import {package}", "fine", "works")
    wanted = f"'scalesearch[{extra}]'" if extra else package
    state: State = "note" if extra else "failed"
    return Finding(
        f"import {package}", state, words, f"pip install --force-reinstall {wanted}, of the version for this torch"
    )


def _gpu() -> Finding:
    there = int(this_machine().gpus)
    code, words = _in_process(
        "import torch; print(torch.cuda.is_available() and torch.cuda.get_device_name())", _IMPORT_TIMEOUT
    )
    usable = code == 0 and words not in ("False", "")
    if there and not usable:
        return Finding(
            "gpu", "failed", f"{there} there, but torch cannot use it: {words}", "install torch for your CUDA"
        )
    return Finding("gpu", "fine", words if usable else "none; trainings run on the CPU")


def _ray() -> Finding:
    if _version("ray") is None:
        return Finding("ray starts", "note", "not installed", "pip install 'ray[tune]', or engine=serial")
    start = time.monotonic()
    code, words = _in_process(_START_RAY, _RAY_TIMEOUT)
    if code == 0:
        return Finding("ray starts", "fine", f"with one worker in {time.monotonic() - start:.0f} s")
    return Finding("ray starts", "failed", words, "use engine=serial, or mend what it says")


def _in_process(code: str, timeout: float) -> tuple[int, str]:
    """Exit code and last line of Python code in a process of its own."""
    command = [sys.executable, "-c", code]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, errors="replace")
    except subprocess.TimeoutExpired:
        return -1, f"no answer within {timeout:g} s"
    except OSError as error:
        return -1, str(error)
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    last = lines[-1].strip()[:300] if lines else ""
    return done.returncode, last or (f"ended with {done.returncode}" if done.returncode else "")
