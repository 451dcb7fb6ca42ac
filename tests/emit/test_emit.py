"""`emit`: everything or nothing, verified in a clean process, and never over somebody else's files."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from emitted_nets import B0, FUSED, LITE, MOBILE, RESNET

from scalesearch.arch.cost import cost_of
from scalesearch.arch.spec import NetSpec
from scalesearch.emit.emit import FORMATS, emit
from scalesearch.emit.folder import MANIFEST_FILE
from scalesearch.emit.model_card import escape_markdown, model_card
from scalesearch.emit.torch_source import torch_source
from scalesearch.emit.verify_emitted import is_formatted, verify_emitted
from scalesearch.emit.weights import load_weights
from scalesearch.errors import InputError, MissingPackageError, RunFolderError, SpecError, VerificationError
from scalesearch.nets.build import build_net


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_family_with_weights(tmp_path: Path) -> None:
    out, specs = tmp_path / "deep" / "out", (B0, FUSED)
    weights = {FUSED.name: build_net(FUSED).state_dict()}
    rows = emit(specs, out, ["torch"], weights=weights, provenance={"run": "runs/grid/x"})
    assert names_in(out) == [
        "README.md", "manifest.json", "small.py", "small_b0.json", "small_fused.json", "small_fused.safetensors",
        "small_fused.safetensors.sha256",
    ]  # fmt: skip
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]
    for row in rows:
        assert row.sha256 == hashlib.sha256(row.path.read_bytes()).hexdigest()
    torch_rows = [row for row in rows if row.format == "torch"]
    assert [(row.name, row.params, row.macs) for row in torch_rows] == [
        (spec.name, cost_of(spec).params, cost_of(spec).macs) for spec in specs
    ]
    manifest = json.loads((out / MANIFEST_FILE).read_text())
    assert manifest["files"].keys() == set(names_in(out)) - {MANIFEST_FILE}
    assert NetSpec.from_json((out / "small_b0.json").read_text()) == B0
    state = load_weights(out / "small_fused.safetensors", FUSED)
    assert torch.equal(state["classifier.weight"], weights[FUSED.name]["classifier.weight"])
    card = (out / "README.md").read_text()
    assert "Trained weights: small\\_fused; the others are untrained." in card
    assert "runs/grid/x" in card


def test_the_same_order_again_and_others(tmp_path: Path) -> None:
    out = tmp_path / "out"
    emit([LITE], out, ["torch"], verify=False)
    emit([LITE.with_(dropout=0.5)], out, ["torch"], verify=False)
    assert "dropout: float = 0.5" in (out / "small_lite.py").read_text()
    before = {name: (out / name).read_bytes() for name in names_in(out)}
    for specs, formats in (([MOBILE], ["torch"]), ([LITE], ["torch", "timm"])):
        with pytest.raises(RunFolderError, match="what another emit wrote"):
            emit(specs, out, formats, verify=False)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match=r"not written by emit.*notes.txt"):
        emit([LITE], out, ["torch"], verify=False)
    (out / "notes.txt").unlink()
    (out / "small_lite.py").write_text("edited by hand")
    with pytest.raises(RunFolderError, match=r"changed since.*small_lite.py"):
        emit([LITE], out, ["torch"], verify=False)
    assert (out / "small_lite.py").read_text() == "edited by hand"
    assert all((out / name).read_bytes() == content for name, content in before.items() if name != "small_lite.py")


def test_folders_of_others(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.tex").write_text("x")
    (tmp_path / "data" / "manifest.json").write_text('{"writer": "somebody"}')
    (tmp_path / "file").write_text("x")
    for name in ("data", "file"):
        with pytest.raises(RunFolderError) as caught:
            emit([LITE], tmp_path / name, ["torch"], verify=False)
        assert "\n" not in str(caught.value)
    assert names_in(tmp_path) == ["data/manifest.json", "data/thesis.tex", "file"]
    (tmp_path / "empty").mkdir()
    emit([LITE], tmp_path / "empty", ["torch"], verify=False)


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    with pytest.raises(SpecError, match="small_resnet cannot be built from timm's ResNet"):
        emit([RESNET], out, ["torch", "timm"], verify=False)
    assert list(tmp_path.iterdir()) == []
    emit([LITE], out, ["torch"], verify=False)
    before = {name: (out / name).read_bytes() for name in names_in(out)}
    monkeypatch.setattr("scalesearch.emit.emit.model_card", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        emit([LITE.with_(dropout=0.7)], out, ["torch"], verify=False)
    assert {name: (out / name).read_bytes() for name in names_in(out)} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_killed_move_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, changed = tmp_path / "out", LITE.with_(dropout=0.7)
    emit([LITE], out, ["torch"], verify=False)
    import scalesearch.emit.folder as folder

    real, moved = folder.os.replace, []

    def dies(source: Path, target: Path) -> None:
        if Path(target).parent == out and Path(target).name != MANIFEST_FILE:
            moved.append(target)
            if len(moved) == 2:
                raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(folder.os, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        emit([changed], out, ["torch"], verify=False)
    monkeypatch.undo()
    emit([changed], out, ["torch"], verify=False)
    assert "dropout: float = 0.7" in (out / "small_lite.py").read_text()


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (([], ["torch"]), "at least one network"),
        (([LITE], []), "at least one network and one format"),
        (([LITE], ["tourch"]), "did you mean torch"),
        (([LITE], ["torch", "torch"]), "named once"),
        (([LITE, LITE], ["torch"]), "different names"),
    ],
)
def test_bad_orders(arguments, rule: str, tmp_path: Path) -> None:
    specs, formats = arguments
    with pytest.raises(InputError, match=rule):
        emit(specs, tmp_path / "out", formats)
    assert list(tmp_path.iterdir()) == []


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no tensor|of shape"):
        emit([LITE], tmp_path / "out", ["torch"], weights={LITE.name: build_net(FUSED).state_dict()})
    with pytest.raises(InputError, match="unknown network with weights"):
        emit([LITE], tmp_path / "out", ["torch"], weights={"other": {}})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sound", "broken", "message"),
    [
        ("stem_stride: int = 2", "stem_stride: int = 1", "macs of small_b0"),
        ("import math\n", "import math\nimport scalesearch\n", "must not import scalesearch"),
    ],
)
def test_verification_finds_what_is_wrong(sound: str, broken: str, message: str, tmp_path: Path) -> None:
    path, text = tmp_path / "small_b0.py", torch_source([B0])
    assert sound in text
    path.write_text(text.replace(sound, broken))
    with pytest.raises(VerificationError, match=message) as caught:
        verify_emitted(path, [B0], ["small_b0"], library="torch")
    assert "\n" not in str(caught.value)


def test_what_the_clean_process_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, cost = tmp_path / "small_b0.py", cost_of(B0)
    path.write_text(torch_source([B0]))
    answer = {"networks": [{"name": "small_b0", "params": cost.params, "macs": cost.macs, "classes": 10}]}
    monkeypatch.setattr("scalesearch.emit.verify_emitted._run", lambda *arguments: answer)
    assert verify_emitted(path, [B0], ["small_b0"], library="torch")[0].macs == cost.macs
    for quantity in ("params", "macs", "classes"):
        answer["networks"][0][quantity] += 1
        with pytest.raises(VerificationError, match=f"{quantity} of small_b0"):
            verify_emitted(path, [B0], ["small_b0"], library="torch")
        answer["networks"][0][quantity] -= 1
    if is_formatted(path) is not None:
        path.write_text(path.read_text().replace("width, 1)\n", "width , 1)\n"))
        with pytest.raises(VerificationError, match="not formatted"):
            verify_emitted(path, [B0], ["small_b0"], library="torch")
    answer = {"missing": "ImportError: none"}
    with pytest.raises(MissingPackageError, match=r"needs the package timm.*pip install timm"):
        verify_emitted(path, [B0], ["small_b0"], library="timm")


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_every_format_verified(format: str, tmp_path: Path) -> None:
    needs = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "torch": (), "exported": ()}.get(format, (format,))
    from importlib.util import find_spec

    if any(find_spec(package) is None for package in needs):
        pytest.skip(f"{format} needs {needs}")
    weights = {spec.name: build_net(spec).state_dict() for spec in (B0, FUSED)}
    calibration = torch.randn(8, 3, 64, 64) if format == "onnx" else None
    specs = (B0, FUSED.with_(resolution=64))
    rows = emit(specs, tmp_path / "out", [format], weights=weights, calibration=calibration)
    assert {row.name for row in rows if row.format == format} == {B0.name, FUSED.name}
    assert not list(tmp_path.rglob("__pycache__"))


def test_card_escapes_what_comes_from_outside() -> None:
    text = escape_markdown("a|b <img src=x> [l](http://x) `c` *d*\n# e\\")
    assert text == r"a\|b \<img src=x\> \[l\]\(http://x\) \`c\` \*d\* \# e" + "\\\\"
    card = model_card(
        [B0], ["small_b0"], title="x", provenance={"data": {"source": "a|b"}, "recipe": "adamw", "seed": None, "run": 3}
    )
    assert "## Data" in card
    assert r"| source | a\|b |" in card
    assert "## Training recipe\n\nadamw" in card
    assert "seed" not in card
    assert f"{cost_of(B0).macs:,}" in card
