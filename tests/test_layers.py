"""The import direction and the confinement of heavy packages, read from the source (README, annotated tree)."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "scalesearch"

# a module imports from its own rank or from ranks above it in this list
RANKS: list[set[str]] = [
    {"errors", "units", "clock", "cores"},
    {"remote"},
    {"arch", "objective"},
    {"nets"},
    {"measure", "data"},
    {"train"},
    {"trial"},
    {"store", "analysis"},
    {"search"},
    {"engine"},
    {"report", "emit"},
    {"studies"},
    {"config"},
    {"cli"},
]
RANK_OF = {name: rank for rank, names in enumerate(RANKS) for name in names}
# groups of one rank that know nothing of each other
STRANGERS = [{"measure", "data"}, {"store", "analysis"}, {"report", "emit"}]

CONFINED = {
    "torch": {"nets", "measure", "data", "train", "trial", "emit", "engine"},
    "fvcore": {"measure"},
    "ray": {"engine", "data"},
    "optuna": {"search", "store"},
    "hydra": {"config"},
    "omegaconf": {"config"},
    "matplotlib": {"report"},
    "typer": {"cli"},
    "rich": {"report", "cli"},
    "pydantic": {"config"},
    "sqlite3": {"store"},
    "jinja2": {"report"},
}
# arch is pure Python; these run where only torch, numpy and Pillow are installed
ALLOWED_THIRD_PARTY: dict[str, set[str]] = {
    "errors": set(),
    "units": set(),
    "clock": set(),
    "cores": set(),
    "arch": set(),
    "objective": set(),
    "nets": {"torch"},
    "data": {"numpy", "PIL", "torch"},
    "train": {"torch", "numpy"},
}


def group_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(dotted module, whether at module level and at run time) for every import of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    eager = set()

    def walk(body: list[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                eager.add(node)
            elif (isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.dump(node.test)) or isinstance(node, ast.Try):
                walk(node.body)

    walk(tree.body)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in eager) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            yield node.module, node in eager


FILES = sorted(path for path in PACKAGE.rglob("*.py") if group_of(path) not in ("__init__", "__main__"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    group = group_of(path)
    for module, _ in imports(path):
        parts = module.split(".")
        if parts[0] != "scalesearch" or len(parts) == 1:
            continue
        target = parts[1]
        assert RANK_OF[target] <= RANK_OF[group], f"{group} imports {target}, which is built on it"
        for pair in STRANGERS:
            assert {group, target} != pair, f"{group} and {target} know nothing of each other"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_packages_are_confined(path: Path) -> None:
    group = group_of(path)
    for module, eager in imports(path):
        top = module.split(".")[0]
        if top in CONFINED:
            assert group in CONFINED[top], f"{top} belongs to {sorted(CONFINED[top])}, not to {group}"
        third_party = top not in sys.stdlib_module_names and top != "scalesearch"
        if group in ALLOWED_THIRD_PARTY and third_party and eager:
            assert top in ALLOWED_THIRD_PARTY[group], f"{group} must run without {top}"


def test_every_group_has_a_rank() -> None:
    assert {group_of(path) for path in FILES} <= set(RANK_OF)


LIGHT = """
import sys
{statement}
heavy = {{"torch", "ray", "optuna", "hydra", "omegaconf", "matplotlib", "pandas", "numpy", "scipy", "fvcore"}}
loaded = sorted(heavy & set(sys.modules))
assert not loaded, loaded
"""


@pytest.mark.parametrize(
    "statement",
    [
        "import scalesearch; scalesearch.cost_of(scalesearch.load_spec('efficientnet_b0'))",
        "import scalesearch.arch.iso_cost, scalesearch.objective",
        "import scalesearch.cli\ntry:\n    sys.argv = ['scalesearch', '--help']\n    scalesearch.cli.main()\n"
        "except SystemExit as stop:\n    assert stop.code == 0, stop.code",
    ],
    ids=["package", "arch", "help"],
)
def test_light_imports_load_nothing_heavy(statement: str) -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT.format(statement=statement)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


BARE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Refuse())
import scalesearch.arch.iso_cost, scalesearch.nets.build, scalesearch.data.prepare, scalesearch.train.trainer
"""


def test_arch_nets_data_and_train_run_with_torch_numpy_and_pillow_alone() -> None:
    absent = {"ray", "optuna", "hydra", "omegaconf", "fvcore", "pandas", "scipy", "matplotlib", "typer", "rich"}
    absent |= {"filelock", "pydantic", "jinja2", "pyarrow", "yaml"}
    done = subprocess.run([sys.executable, "-c", BARE.format(absent=absent)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_public_names_are_exactly_all() -> None:
    import scalesearch

    assert set(scalesearch.__all__) == {*scalesearch._HOME, "__version__"}
    for name in scalesearch.__all__:
        assert getattr(scalesearch, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = scalesearch.nothing
