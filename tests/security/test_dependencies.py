"""Everything that is installed is pinned, so that an audit of constraints.txt is an audit of what runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
# what makes environments, and this package itself
UNPINNED = {"pip", "setuptools", "wheel", "scalesearch"}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("#")[0].strip().split("==") for line in lines if "==" in line.split("#")[0]]
    return {plain(name): version.split(";")[0].strip() for name, version in pairs}


def test_every_installed_package_is_pinned_to_the_version_that_is_there() -> None:
    pinned = pins()
    found = {plain(one.metadata["Name"]): one.version for one in metadata.distributions() if one.metadata["Name"]}
    needed = needed_by("scalesearch", found)
    assert {"torch", "ray", "pandas", "hypothesis"} <= needed
    assert sorted(needed - pinned.keys() - UNPINNED) == []
    # builds of torch carry a local label such as +cpu
    other = {name: (found[name], pinned[name]) for name in needed & pinned.keys()
             if found[name].split("+")[0] != pinned[name].split("+")[0]}  # fmt: skip
    assert other == {}


def needed_by(root: str, found: dict[str, str]) -> set[str]:
    """Installed packages that a package and its extras lead to; others in a shared environment are not ours."""
    from packaging.requirements import Requirement

    extras = ["", "export", "timm", "tensorboard", "notebooks", "test"]
    todo, seen = [(root, extras)], set()
    while todo:
        name, wanted = todo.pop()
        for line in metadata.requires(name) or []:
            requirement = Requirement(line)
            applies = requirement.marker is None or any(requirement.marker.evaluate({"extra": one}) for one in wanted)
            key = plain(requirement.name)
            if applies and key in found and key not in seen:
                seen.add(key)
                todo.append((key, ["", *requirement.extras]))
    return seen - {root}


def test_an_audit_counts_what_it_asked_and_fails_only_for_weaknesses(tmp_path: Path) -> None:
    """With a stand-in for the service's answer, because there is not always a network."""
    weak = {"name": "old", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}
    for answer, code, words in (
        ({"dependencies": [weak, {"name": "x", "skip_reason": "unknown"}]}, 1, "old 1: PYSEC-1, mended in 2"),
        ({"dependencies": [{"name": "new", "version": "2", "vulns": []}]}, 0, "1 of 1 packages audited, 0 known"),
        ({"dependencies": [{"name": "x", "skip_reason": "unknown"}]}, 0, "NOT AUDITED"),
        ("no connection", 0, "NOT AUDITED"),
    ):
        tool = tmp_path / "tool"
        tool.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(answer) if isinstance(answer, dict) else answer}\nEND\n")
        tool.chmod(0o755)
        command = [sys.executable, str(Path(__file__).with_name("audit.py")), str(tool), "constraints.txt"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, words in done.stdout) == (code, True), done
