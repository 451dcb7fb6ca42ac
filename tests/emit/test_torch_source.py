"""Emitted torch source: the same networks, in readable files that need nothing but torch."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from emitted_nets import ALL, B0, FUSED, LITE, RESNET, module_of
from hypothesis import given, settings
from strategies import net_specs

from scalesearch.arch.catalog import catalog_spec
from scalesearch.arch.cost import cost_of
from scalesearch.arch.spec import NetSpec
from scalesearch.emit.naming import family_name, function_names
from scalesearch.emit.torch_source import torch_source
from scalesearch.nets.build import build_net

RUFF = Path(sys.executable).with_name("ruff")


def assert_tidy(text: str) -> None:
    """As the formatter would leave it, without names that are undefined or unused."""
    if not RUFF.is_file() and shutil.which("ruff") is None:
        pytest.skip("ruff is not installed")
    ruff = str(RUFF) if RUFF.is_file() else "ruff"
    for command in (["format", "--diff"], ["check", "--select", "E,F,W,I,UP,B,N"]):
        done = subprocess.run(
            [ruff, *command, "--isolated", "--no-cache", "--line-length", "120", "--stdin-filename", "emitted.py", "-"],
            input=text,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def assert_same(spec: NetSpec, net: torch.nn.Module) -> None:
    """State dict, outputs in evaluation, and outputs and gradients in training with the same draws."""
    ours = build_net(spec).double()
    theirs = net.double()
    assert [(k, v.shape) for k, v in ours.state_dict().items()] == [
        (k, v.shape) for k, v in theirs.state_dict().items()
    ]
    for norm in (m for m in ours.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        torch.nn.init.normal_(norm.weight, 1.0, 0.2)
        torch.nn.init.uniform_(norm.running_var, 0.5, 2.0)
    theirs.load_state_dict(ours.state_dict())
    pictures = torch.randn(3, spec.in_channels, spec.resolution, spec.resolution, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(theirs.eval()(pictures), ours.eval()(pictures), rtol=1e-10, atol=1e-10)
    results = []
    for one in (ours.train(), theirs.train()):
        torch.manual_seed(7)  # drop-path and dropout draw in the same order
        logits = one(pictures)
        logits.square().sum().backward()
        results.append([logits, one.stem.conv.weight.grad, *one.state_dict().values()])
    for expected, got in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-10)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory):
    torch.manual_seed(0)
    return module_of(torch_source(ALL), tmp_path_factory.mktemp("family"), "family_of_all_kinds")


@pytest.mark.parametrize(
    ("spec", "name"), list(zip(ALL, function_names(ALL), strict=True)), ids=lambda x: getattr(x, "name", "")
)
def test_same_network(family, spec: NetSpec, name: str) -> None:
    assert_same(spec, getattr(family, name)())


@settings(max_examples=25)
@given(spec=net_specs(max_stages=3, max_resolution=33))
def test_any_spec(spec: NetSpec, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = torch_source([spec])
    assert_tidy(text)
    net = module_of(text, tmp_path_factory.getbasetemp(), "drawn_net").drawn()
    # not compared in training, where the norm of a map of one pixel has nothing to average
    ours = build_net(spec).double().eval()
    net.double().eval().load_state_dict(ours.state_dict())
    pictures = torch.randn(2, spec.in_channels, spec.resolution, spec.resolution, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(net(pictures), ours(pictures), rtol=1e-10, atol=1e-10)


def test_overrides_of_the_functions(family) -> None:
    net = family.small_b0(num_classes=3, in_channels=1, drop_path=0.7, dropout=0.6)
    assert net.classifier.out_features == 3
    assert net.stem.conv.in_channels == 1
    assert net.dropout.p == 0.6
    rates = [module.rate for module in net.modules() if type(module).__name__ == "DropPath"]
    ours = [block.drop_path.rate for block in build_net(B0, drop_path=0.7).blocks()]
    assert rates == ours
    assert max(rates) > 0


def test_initial_weights_are_drawn_alike(family) -> None:
    torch.manual_seed(3)
    ours = build_net(FUSED).state_dict()
    torch.manual_seed(3)
    theirs = family.small_fused().state_dict()
    for name, tensor in theirs.items():
        # constructors draw too, so only the spread can agree
        if tensor.dim() > 1 and tensor.numel() > 200:
            assert tensor.std().item() == pytest.approx(ours[name].std().item(), rel=0.25), name
        assert bool(tensor.any()) == bool(ours[name].any()), name


@pytest.mark.parametrize(
    "specs",
    [
        ALL,
        (B0,),
        (LITE,),
        (FUSED,),
        (RESNET,),
        (catalog_spec("resnet18"),),
        tuple(catalog_spec(f"efficientnet_b{i}") for i in range(8)),
    ],
    ids=["all", "b0", "lite", "fused", "resnet", "resnet18", "b0-b7"],
)
def test_tidy_files(specs: tuple[NetSpec, ...]) -> None:
    assert_tidy(torch_source(specs, provenance={"run": "runs/scale/x", "settings": {"phi": [0, 1, 2]}}))


def test_only_what_occurs() -> None:
    lite, fused = torch_source([LITE]), torch_source([FUSED])
    for absent in ("SqueezeExcite", "FusedMBConv", "SumBlock", "se_ratio", "skip", "stem_pool", "  # if"):
        assert absent not in lite, absent
    assert "class FusedMBConv" in fused
    assert "class DepthwiseSeparable" not in fused
    imported = {
        getattr(node, "module", None) or node.names[0].name
        for node in ast.walk(ast.parse(torch_source(ALL)))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported == {"__future__", "math", "typing", "torch"}


def test_table_of_costs() -> None:
    spec = catalog_spec("efficientnet_b0")
    doc = ast.get_docstring(ast.parse(torch_source([spec])))
    assert doc is not None
    row = next(line for line in doc.splitlines() if line.startswith("| efficientnet_b0"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["efficientnet_b0", "224", "5,288,548", "385,814,752", "16", "320"]
    assert cost_of(spec).macs == 385_814_752


def test_text_from_outside_stays_text() -> None:
    evil = '"""\nimport os; os.system("x")\n\\N{DASH} \x00\t' + "w" * 300
    # the longest a spec takes as its name, without what it refuses there: line ends and other control characters
    name = '"""; import os; os.system("x") \\N{DASH} ' + "w" * 150
    text = torch_source([B0.with_(name=name)], provenance={evil: {"y": evil}, "missing": None})
    assert_tidy(text)
    tree = ast.parse(text)
    assert not any(isinstance(node, ast.Import) and node.names[0].name == "os" for node in ast.walk(tree))
    assert "missing" not in (ast.get_docstring(tree) or "")


def test_names() -> None:
    names = ["Scaled B3", "scaled-b3", "3x", "class", "torch", "é", "manifest", "print"]
    found = function_names([B0.with_(name=name) for name in names])
    assert found == ("scaled_b3", "scaled_b3_2", "net_3x", "class_net", "torch_net", "net", "manifest_net", "print_net")
    assert family_name([B0.with_(name=f"scaled_b{i}") for i in range(3)]) == "scaled"
    assert family_name([B0.with_(name="only")]) == "only"
    assert family_name([B0.with_(name="left"), B0.with_(name="right")]) == "networks"
    assert family_name([B0.with_(name="json_a"), B0.with_(name="json_b")]) == "networks"
