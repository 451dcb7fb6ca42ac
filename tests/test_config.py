"""Configuration: composed, checked and turned into frozen settings, with one line for everything that is wrong."""

from pathlib import Path

import pytest
import yaml

from scalesearch.config import (
    axes_settings,
    build,
    compose,
    conf_dir,
    data_choice,
    grid_settings,
    resumed_values,
    scale_settings,
    search_settings,
    to_yaml,
    train_settings,
)
from scalesearch.config.pipeline import pipeline_of
from scalesearch.errors import BudgetError, ConfigError, DataError, InputError, UnitError, UnknownNameError
from scalesearch.objective import Objective

VERBS = {
    "axes": axes_settings,
    "grid": grid_settings,
    "run": pipeline_of,
    "scale": scale_settings,
    "search": search_settings,
    "train": train_settings,
}


def settings(*overrides: str, **flags: object):  # type: ignore[no-untyped-def]
    return grid_settings(compose("grid", overrides, flags=flags))


def test_defaults_of_the_yaml_files() -> None:
    default = settings()
    assert default.target_macs == 400_000_000
    assert (default.iso_cost.ratio, default.iso_cost.constraint, default.iso_cost.max_candidates) == (
        2.0,
        "realised",
        10,
    )
    assert default.objective == Objective(-0.07, -0.07)
    assert default.data.name == "fashion_mnist"
    assert default.engine.name == "ray"


def test_depth_rounding_follows_the_constraint_unless_it_is_given() -> None:
    assert settings().iso_cost.rounding.depth == "largest_remainder"
    assert settings("constraint=nominal").iso_cost.rounding.depth == "ceil"
    assert settings("constraint=nominal", "depth_rounding=nearest").iso_cost.rounding.depth == "nearest"


def test_overrides_groups_and_flags() -> None:
    changed = settings("data=cifar10", "proxy.epochs=3", "race.max_seeds=5", "engine=serial", target_flops="1.2G")
    assert changed.target_macs == 1_200_000_000
    assert (changed.data.name, changed.proxy.epochs, changed.race.max_seeds, changed.engine.name) == (
        "cifar10",
        3,
        5,
        "serial",
    )


def test_debug_tiny_changes_other_groups() -> None:
    tiny = settings("debug=tiny")
    assert tiny.iso_cost.max_candidates == 4
    assert tiny.race.max_trainings is not None


# overrides that a choice cannot do without
NEEDED = {"evaluator=table": ["evaluator.path=results.csv"]}


# experiment/ holds primary files of their own, which tests/test_experiments.py runs
CHOICES = [path for path in sorted(conf_dir().rglob("*.yaml")) if path.parent.name != "experiment"]


@pytest.mark.parametrize("path", CHOICES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_shipped_choice_composes_with_some_verb(path: Path) -> None:
    group, *inner = path.relative_to(conf_dir()).with_suffix("").parts
    if not inner:
        VERBS[group](compose(group))
        return
    choice = f"{group}={inner[-1]}"
    made = 0
    for verb, read in VERBS.items():
        takes = f"- {group}: " in (conf_dir() / f"{verb}.yaml").read_text()
        if takes and inner[0] in (inner[-1], verb):
            read(compose(verb, [choice, *NEEDED.get(choice, [])]))
            made += 1
    assert made


@pytest.mark.parametrize(
    ("text", "macs"),
    [
        ("400M", 400_000_000),
        ("0.4G", 400_000_000),
        ("4e8", 400_000_000),
        ("400 M", 400_000_000),
        ("1.5b", 1_500_000_000),
    ],
)
def test_targets_that_can_be_read(text: str, macs: int) -> None:
    assert settings(target_flops=text).target_macs == macs
    if " " not in text:
        assert settings(f"target_flops={text}").target_macs == macs


@pytest.mark.fault(22)
@pytest.mark.parametrize("text", ["", "4X", "-1", "0", "nan", "inf", "1e400", "400MM", "0x10", "٤٠٠M", "1e-9"])
def test_targets_that_cannot(text: str) -> None:
    with pytest.raises(UnitError, match=r"--target-flops must"):
        settings(target_flops=text)


@pytest.mark.fault(27)
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("no_such=1", "unknown setting.*'no_such'"),
        ("proxy.widht=1", "did you mean proxy.width"),
        ("+x=1", "unknown setting.*'x'"),
        ("+proxy.x=1", "unknown setting.*'proxy.x'"),
        ("~ratio", "cannot be deleted"),
        ("~proxy.width", "cannot be deleted"),
        ("ratio", "written key=value"),
        ("ratio=two", "ratio is of the wrong type"),
        ("ratio=nan", "ratio"),
        ("proxy.epochs=1.5", "proxy.epochs is of the wrong type"),
        ("rules=efficientnet", "rules is of the wrong type"),
        ("data=nowhere", "unknown choice for data.*fashion_mnist"),
        ("proxy=huge", "unknown choice for proxy.*small"),
        ("data=null", "cannot be composed"),
        ("proxy.epochs=1,2", "cannot be composed"),
        ("ratio=[", "cannot be composed"),
        ("ratio=${oc.env:NO_SUCH_VARIABLE}", "cannot be composed"),
        ("hydra.run.dir=/tmp/x", "hydra's own settings"),
        ("recipe._target_=os.system", "unknown setting"),
        ("minutes=0", "minutes must be positive"),
        ("seed=-1", "seed must lie"),
    ],
)
def test_overrides_that_are_wrong(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        settings(override)
    assert "\n" not in str(caught.value)


def test_a_folder_of_ones_own_comes_first(tmp_path: Path) -> None:
    (tmp_path / "proxy").mkdir()
    (tmp_path / "proxy" / "mine.yaml").write_text((conf_dir() / "proxy" / "small.yaml").read_text() + "# mine\n")
    values = compose("grid", ["proxy=mine", "proxy.epochs=7"], config_dir=tmp_path)
    assert grid_settings(values).proxy.epochs == 7
    (tmp_path / "proxy" / "torn.yaml").write_text("width: [")
    with pytest.raises(ConfigError, match="cannot be composed"):
        compose("grid", ["proxy=torn"], config_dir=tmp_path)
    with pytest.raises(ConfigError, match="--config-dir must be a folder"):
        compose("grid", config_dir=tmp_path / "absent")


def test_the_snapshot_reads_back_to_the_same_settings() -> None:
    values = compose("grid", ["debug=tiny", "data=synthetic"], flags={"target_flops": "30M"})
    assert grid_settings(yaml.safe_load(to_yaml(values))) == grid_settings(values)


def test_paths_are_anchored_where_the_command_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    values = compose("grid", ["data=imagefolder", "data.path=pictures"], flags={"baseline": "mine.json"})
    assert values["data"]["path"] == str(tmp_path / "pictures")
    assert values["baseline"] == str(tmp_path / "mine.json")


def test_what_data_stands_for(tmp_path: Path) -> None:
    assert data_choice(None) == ({}, {})
    assert data_choice("cifar10") == ({"data": "cifar10"}, {})
    assert data_choice(str(tmp_path)) == ({"data": "imagefolder"}, {"data.path": str(tmp_path)})
    archive = tmp_path / "x.npz"
    archive.write_bytes(b"")
    assert data_choice(str(archive)) == ({"data": "npz_jpeg"}, {"data.path": str(archive)})
    with pytest.raises(DataError, match=r"names are .*fashion_mnist"):
        data_choice("fashion")


def test_missing_keys_are_named() -> None:
    values = compose("grid")
    del values["ratio"]
    with pytest.raises(ConfigError, match="ratio is missing"):
        grid_settings(values)
    with pytest.raises(ConfigError, match="must hold keys"):
        build(Objective, [1, 2])


def test_settings_that_change_no_result_are_not_part_of_the_identity() -> None:
    base = settings().identity()
    same = settings("engine=serial", "minutes=1", "race.max_trainings=50", "runs_dir=/tmp/x", "data.root=/tmp/x")
    assert same.identity() == base
    assert settings("proxy.epochs=2").identity() != base
    assert settings("seed=1").identity() != base


def test_unknown_names_reach_the_user_as_such() -> None:
    with pytest.raises(UnknownNameError, match="constraint"):
        settings("constraint=real")
    with pytest.raises(UnknownNameError, match="optimizer"):
        settings("recipe.optimizer=lion")
    assert issubclass(BudgetError, InputError)


@pytest.mark.parametrize(
    ("overrides", "flags", "words"),
    [
        (["data=cifar10"], {"data": "fashion_mnist"}, "--data and data= .*'fashion_mnist and cifar10'"),
        (["+data=cifar10"], {"data": "fashion_mnist"}, "--data and data="),
        (["data.path=here"], {"data.path": "there"}, "--data and data.path="),
        (["target_flops=30M"], {"target_flops": "400M"}, "--target-flops and target_flops="),
        (["baseline=mobilenet_v2"], {"baseline": "efficientnet_b0"}, "--baseline and baseline="),
        (["runs_dir='a'"], {"runs_dir": "b"}, "--runs-dir and runs_dir="),
    ],
)
def test_a_flag_and_an_override_must_not_say_different_things(
    overrides: list[str], flags: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        compose("grid", overrides, flags=flags)


def test_a_flag_and_an_override_may_say_the_same() -> None:
    values = compose(
        "grid", ["data=cifar10", "target_flops='400M'"], choices={"data": "cifar10"}, flags={"target_flops": "400M"}
    )
    assert values["data"]["name"] == "cifar10"


@pytest.mark.parametrize("overrides", [["debug=tiny", "proxy=medium"], ["proxy=small", "debug=tiny"]])
def test_a_group_that_another_choice_sets_is_refused(overrides: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"debug=tiny sets the proxy itself, got 'proxy=.*leave one of them out"):
        compose("grid", overrides)


def test_what_debug_tiny_leaves_open_can_be_chosen() -> None:
    tiny = settings("debug=tiny", "recipe=long", "proxy.width=0.5", "engine=serial")
    assert (tiny.recipe.ema_decay, tiny.proxy.width, tiny.engine.name) == (0.999, 0.5, "serial")
    with pytest.raises(ConfigError, match="debug=tiny sets the race itself"):
        settings("debug=tiny", "race=default")


def test_a_choice_of_ones_own_that_sets_a_group_is_seen_too(tmp_path: Path) -> None:
    (tmp_path / "debug").mkdir()
    (tmp_path / "debug" / "mine.yaml").write_text("# @package _global_\nengine:\n  max_attempts: 1\n")
    assert compose("grid", ["debug=mine"], config_dir=tmp_path)["engine"]["max_attempts"] == 1
    with pytest.raises(ConfigError, match="debug=mine sets the engine itself"):
        compose("grid", ["debug=mine", "engine=serial"], config_dir=tmp_path)


def test_a_resumed_run_takes_settings_that_change_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stored = compose("grid", ["debug=tiny", "data=imagefolder", "data.path=/old", "proxy.epochs=3", "engine.slots=7"])
    before = to_yaml(stored)
    overrides = ["engine.max_attempts=5", "minutes=1.5", "race.max_trainings=9", "verify=false", "data.path=moved"]
    values = resumed_values("grid", stored, overrides)
    assert to_yaml(stored) == before
    assert (values["engine"]["name"], values["engine"]["slots"], values["engine"]["max_attempts"]) == ("ray", 7, 5)
    assert (values["minutes"], values["race"]["max_trainings"], values["verify"]) == (1.5, 9, False)
    assert values["data"]["path"] == str(tmp_path / "moved")
    # everything else stays, also where it is no default
    assert (values["proxy"], values["recipe"]) == (stored["proxy"], stored["recipe"])
    assert values["race"]["max_seeds"] == stored["race"]["max_seeds"]
    assert grid_settings(values).identity() == grid_settings(stored).identity()


def test_a_resumed_run_takes_an_engine_as_a_whole() -> None:
    values = resumed_values("grid", compose("grid", ["engine.slots=7"]), ["engine.max_attempts=5", "engine=serial"])
    chosen = grid_settings(values).engine
    assert (chosen.name, chosen.slots, chosen.max_attempts) == ("serial", 1, 5)
    assert resumed_values("grid", {"seed": 4}, []) == {"seed": 4}


@pytest.mark.parametrize(
    "override",
    ["seed=1", "race.max_seeds=3", "race=default", "data=cifar10", "debug=tiny", "engines=ray", "runs_dir=x"],
)
def test_a_resumed_run_refuses_what_would_change_results(override: str) -> None:
    with pytest.raises(ConfigError, match="resume takes only settings that change no result"):
        resumed_values("grid", compose("grid"), [override])


@pytest.mark.parametrize(
    "override", ["engine=fast", "engine.slot=2", "data.path=x", "+engine.slots=2", "~engine.slots"]
)
def test_a_resumed_run_refuses_what_cannot_be_read(override: str) -> None:
    with pytest.raises(ConfigError):
        resumed_values("grid", compose("grid"), [override])
