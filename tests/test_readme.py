"""The README is executed: its commands parse and run (planning only), its Python block gives what it says."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from scalesearch.cli import main

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, flags=re.DOTALL)
COMMANDS = [
    shlex.split(line.split("#")[0])
    for language, block in BLOCKS
    if not language
    for line in block.splitlines()
    if line.startswith("scalesearch ")
]
# these need a run or pictures of the reader's own
OWN = {"path/to/pictures", "runs/grid/NAME", "runs/search/NAME", "runs/search/NAME/best.json"}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if OWN & set(command):
        pytest.skip("needs the reader's own files")
    if command[1] in ("run", "train"):
        pytest.skip("trains; tests/test_run_verb.py runs it in miniature")
    extra = ["--plan"] if command[1] in ("grid", "search", "axes") and "--plan" not in command else []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [*command, *extra])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0


def test_there_are_commands_to_try() -> None:
    assert {command[1] for command in COMMANDS} == {
        *(
            "grid",
            "search",
            "axes",
            "scale",
            "emit",
            "train",
            "run",
            "cost",
            "runs",
            "resume",
            "report",
            "shards",
            "doctor",
        ),
    }


def test_the_python_block() -> None:
    (block,) = (block for language, block in BLOCKS if language == "python")
    names: dict[str, object] = {}
    lines = [line for line in block.splitlines() if "load_run" not in line]
    exec("\n".join(lines), names)
    promised = re.search(r"ss\.cost_of\(spec\)\s+# (Cost\(.*\))", block)
    assert promised is not None
    ss = names["ss"]
    assert repr(ss.cost_of(names["spec"])) == promised[1]  # type: ignore[attr-defined]


def test_links_and_pictures_exist() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target


def test_the_tree_names_what_is_there() -> None:
    (tree,) = (block for language, block in BLOCKS if block.startswith("scalesearch/\n"))
    for group in (path for path in (ROOT / "scalesearch").iterdir() if path.is_dir() and path.name != "__pycache__"):
        assert f"  {group.name}/" in tree, group.name


def test_every_option_named_in_the_readme_composes() -> None:
    from scalesearch.config import compose, grid_settings

    overrides = ["proxy=medium", "proxy.epochs=2", "max_candidates=30", "engine=serial", "ratio=1.5", "minutes=null"]
    overrides.append("constraint=nominal")
    assert all(f"`{override}`" in TEXT for override in overrides)
    assert grid_settings(compose("grid", overrides)).iso_cost.max_candidates == 30
