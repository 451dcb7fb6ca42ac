"""Everything that is installed is pinned, so that an audit of constraints.txt is an audit of what runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

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


AUDIT = Path(__file__).with_name("audit.py")


def audited(answer: object, folder: Path) -> tuple[int, str]:
    """Exit code and words of an audit with a stand-in for the service, because there is not always a network."""
    tool = folder / "tool"
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(answer) if isinstance(answer, dict) else answer}\nEND\n")
    tool.chmod(0o755)
    (folder / "tests" / "security").mkdir(parents=True, exist_ok=True)
    script = folder / "tests" / "security" / "audit.py"
    script.write_bytes(AUDIT.read_bytes())
    (folder / "SECURITY.md").write_text("PYSEC-20: does not concern us, because ...\n")
    command = [sys.executable, str(script), str(tool), "constraints.txt"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def weak(identity: str, *aliases: str) -> dict[str, object]:
    weakness = {"id": identity, "aliases": aliases, "fix_versions": ["2"]}
    return {"name": "old", "version": "1", "vulns": [weakness]}


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (
            {"dependencies": [weak("PYSEC-1"), {"name": "x", "skip_reason": "unknown"}]},
            1,
            "old 1: PYSEC-1, mended in 2\n1 of 2 packages audited, 1 known weaknesses, 1 without a note",
        ),
        ({"dependencies": [weak("PYSEC-20")]}, 0, "old 1: PYSEC-20, mended in 2, see SECURITY.md\n"),
        ({"dependencies": [weak("PYSEC-2")]}, 1, "1 without a note"),
        ({"dependencies": [weak("GHSA-1", "PYSEC-20")]}, 0, "old 1: GHSA-1, mended in 2, see SECURITY.md\n"),
        ({"dependencies": [{"name": "new", "version": "2", "vulns": []}]}, 0, "1 of 1 packages audited, 0 known"),
        ({"dependencies": [{"name": "x", "skip_reason": "unknown"}]}, 0, "NOT AUDITED"),
        ("no connection", 0, "NOT AUDITED"),
    ],
)
def test_an_audit_fails_only_for_weaknesses_that_nobody_noted(
    answer: object, code: int, words: str, tmp_path: Path
) -> None:
    got, said = audited(answer, tmp_path)
    assert got == code, said
    assert words in said


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_the_audit_passes_and_the_bill_of_materials_lists_what_is_installed(tmp_path: Path) -> None:
    """`make audit sbom` as CI runs them, on this environment; without a network the audit says that it had none."""
    here = ["VENV=" + sys.prefix, f"BUILD={tmp_path}", f"PYTHON={sys.executable}"]
    make = ["make", "-C", str(ROOT), f"--assume-old={sys.prefix}/.installed", *here]
    tools = subprocess.run([*make, f"{tmp_path}/audit/.installed"], capture_output=True, text=True, check=False)
    if tools.returncode != 0:
        pytest.skip(f"the tools cannot be installed: {(tools.stderr.strip().splitlines() or [''])[-1]}")
    done = subprocess.run([*make, "audit", "sbom"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "packages audited" in done.stdout or "NOT AUDITED" in done.stdout
    bill = json.loads((tmp_path / "sbom.json").read_text(encoding="utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    listed = {plain(part["name"]): part["version"] for part in bill["components"]}
    found = {plain(one.metadata["Name"]): one.version for one in metadata.distributions() if one.metadata["Name"]}
    needed = needed_by("scalesearch", found)
    assert {name: found[name] for name in needed} == {name: listed.get(name) for name in needed}
