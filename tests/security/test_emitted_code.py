"""Names and provenance of foreign specs and runs cannot put code into emitted modules or markup into model cards."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from scalesearch.arch.catalog import catalog_spec
from scalesearch.arch.spec import NetSpec
from scalesearch.emit.model_card import model_card
from scalesearch.emit.naming import function_names
from scalesearch.emit.timm_source import timm_source
from scalesearch.emit.torch_source import torch_source
from scalesearch.emit.torchvision_source import torchvision_source
from scalesearch.errors import SpecError

SENTINEL = "SENTINEL_FILE"
NAMES = (
    f'x"""; open("{SENTINEL}", "w"); """',
    f"x'); open('{SENTINEL}', 'w') #",
    "\\",
    'ends with \\"""',
    "{open}",
    "__import__('os').system('touch x')",
    "import",
    "torch",
    "日本 ネット",
    "é" * 200,
    "<script>alert(1)</script>",
)
HOSTILE = f'"""\nopen("{SENTINEL}", "w")\n"""\\'


def spec(name: str) -> NetSpec:
    return catalog_spec("mobilenet_v2").with_(name=name)


@pytest.mark.parametrize("source", [torch_source, timm_source, torchvision_source])
def test_emitted_modules_are_the_same_code_whatever_networks_are_called(source: Any) -> None:
    for name in NAMES:
        text = source([spec(name)], provenance={HOSTILE: HOSTILE, "run": {"name": HOSTILE, "classes": [HOSTILE]}})
        plain = source([spec(function_names([spec(name)])[0])], provenance={})
        assert shape(text) == shape(plain), name


def shape(text: str) -> str:
    """The code of a module without its docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


def test_an_emitted_module_of_a_hostile_name_runs_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in NAMES[:4]:
        text = torch_source([spec(name)], provenance={"run": HOSTILE})
        exec(compile(text, "emitted", "exec"), {"__name__": "emitted"})
    assert list(tmp_path.iterdir()) == []


def test_names_with_line_breaks_do_not_get_in() -> None:
    with pytest.raises(SpecError, match="printable"):
        spec(f'x\nopen("{SENTINEL}", "w")')


def test_model_cards_hold_no_markup_of_others() -> None:
    for name in (*NAMES, "[a](javascript:alert(1))", "![x](http://evil)"):
        card = model_card([spec(name)], function_names([spec(name)]), title=name, provenance={
            "data": {"classes": ["<script>", "a|b", "[x](http://evil)"]}, HOSTILE: HOSTILE})  # fmt: skip
        for markup in ("<script", "](http", "](javascript"):
            assert markup not in card.replace("\\<", "").replace("\\]", "").replace("\\(", "")
        assert all(line.startswith(("#", "|", "")) for line in card.splitlines())
