"""An installed wheel works in any folder: configuration inside it, console script, typed marker."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built by its own backend from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = f"import hatchling.build; hatchling.build.build_wheel({str(folder)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_configuration_and_nothing_else_of_the_checkout(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    shipped = {path.relative_to(ROOT).as_posix() for path in (ROOT / "conf").rglob("*.yaml")}
    assert {f"scalesearch/{name}" for name in shipped} <= set(names)
    assert {"scalesearch/py.typed", "scalesearch/report/templates/grid.html"} <= set(names)
    assert {name.split("/")[0] for name in names} == {"scalesearch", f"{wheel.stem.split('-py3')[0]}.dist-info"}


def install(wheel: Path, environment: Path) -> None:
    """The wheel alone in a fresh environment, by pip: this environment's own where it has one."""
    has_pip = importlib.util.find_spec("pip") is not None
    venv.create(environment, with_pip=not has_pip)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)] if has_pip else [str(python), "-m", "pip"]
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", *quiet, "--no-deps", "--no-index", str(wheel)], check=True, capture_output=True)
    # dependencies come from this environment; a path file does not bring its editable install of scalesearch along
    site = sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)})
    (Path(site) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")


def test_the_installed_wheel_runs_elsewhere(wheel: Path, tmp_path: Path) -> None:
    environment, elsewhere = tmp_path / "venv", tmp_path / "elsewhere"
    install(wheel, environment)
    elsewhere.mkdir()
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=elsewhere, env=clean, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run(str(environment / "bin" / "python"), "-c", "import scalesearch; print(scalesearch.__file__)")
    assert where.startswith(str(environment))
    script = str(environment / "bin" / "scalesearch")
    assert "efficientnet" in run(script, "grid", "--target-flops", "400M", "--plan", "debug=tiny")
    assert (elsewhere / "runs" / "grid").is_dir()
    assert "385,814,752" in run(script, "cost", "efficientnet_b0")


# the distribution of a module, where the names differ
DISTRIBUTIONS = {"PIL": "pillow", "hydra": "hydra-core", "yaml": "pyyaml"}
# never imported by name: pandas writes Parquet with pyarrow, and searches will build on optuna
NOT_IMPORTED = {"pyarrow", "optuna"}
EXTRAS = ("export", "timm", "tensorboard")  # imported where they are needed, with an error that says what to install


def test_what_is_imported_is_what_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = project["dependencies"]
    optional = {
        re.split(r"[\[<>=!~ ]", requirement)[0]
        for extra in EXTRAS
        for requirement in project["optional-dependencies"][extra]
    }
    names = {re.split(r"[\[<>=!~ ]", requirement)[0] for requirement in declared}
    modules = set()
    for path in (ROOT / "scalesearch").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module.split(".")[0])
    third_party = modules - set(sys.stdlib_module_names) - {"scalesearch"}
    imported = {DISTRIBUTIONS.get(module, module) for module in third_party}
    assert imported - NOT_IMPORTED - optional == names - NOT_IMPORTED
    constrained = re.findall(r"^([A-Za-z0-9_.-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M)
    assert names <= {name.lower() for name in constrained}


def test_no_machine_paths_are_committed() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    home = os.path.expanduser("~")
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        if path.suffix in {".py", ".md", ".yaml", ".toml", ".txt", ".json", ".csv"} and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            assert str(ROOT) not in text, name
            assert f"{home}/" not in text, name
