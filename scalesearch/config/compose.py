"""YAML files, overrides and flags composed to plain values: the only module that knows Hydra and OmegaConf.

No key names a class or function to call, and nothing below ever sees a DictConfig.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from scalesearch.config.axes import AxesConfig
from scalesearch.config.build import dotted_keys, unknown_key
from scalesearch.config.contradictions import refuse_contradictions
from scalesearch.config.grid import GridConfig
from scalesearch.config.pipeline_shape import PipelineConfig
from scalesearch.config.scale import ScaleConfig
from scalesearch.config.search import SearchConfig
from scalesearch.config.train import TrainConfig
from scalesearch.errors import ConfigError, DataError, InputError
from scalesearch.remote.secrets import redacted, refuse_credentials
from scalesearch.remote.storage import is_remote

__all__ = ["anchored", "compose", "conf_dir", "data_choice", "to_yaml"]

_PACKAGE: Final = Path(__file__).resolve().parent.parent
_SHAPES: Final = {
    "axes": AxesConfig,
    "grid": GridConfig,
    "run": PipelineConfig,
    "scale": ScaleConfig,
    "search": SearchConfig,
    "train": TrainConfig,
}

# what a group is called for one verb
_GROUP_OF_VERB: Final = {("train", "recipe"): "train_recipe"}


def conf_dir() -> Path:
    """The folder of the shipped configuration: beside the package in a checkout, inside it when installed."""
    for folder in (_PACKAGE / "conf", _PACKAGE.parent / "conf"):
        if (folder / "grid.yaml").is_file():
            return folder
    raise ConfigError("the shipped configuration must lie in scalesearch/conf", way_out="install scalesearch again")


def compose(
    verb: str,
    overrides: Sequence[str] = (),
    *,
    choices: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    config_dir: str | Path | None = None,
) -> dict[str, Any]:
    """The configuration of a verb as plain, resolved values.

    Args:
        verb: names the primary file, for example "grid".
        overrides: Hydra overrides `key=value` and `group=choice`.
        choices: groups and their choice, from flags.
        flags: dotted keys and values set after everything else, as typed (never parsed as overrides).
        config_dir: a folder of the user's whose files come before the shipped ones.

    Raises:
        ConfigError: an override that cannot be read, names an unknown key, group or choice, or says something else
            than a flag or another choice.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    _check_overrides(overrides)
    chosen, flags = dict(choices or {}), dict(flags or {})
    searchpath, folders = [], [conf_dir()]
    if config_dir is not None:
        folder = Path(config_dir).expanduser().resolve()
        if not folder.is_dir():
            raise ConfigError(
                "--config-dir must be a folder", value=str(config_dir), way_out="create it or leave it out"
            )
        searchpath = [f"hydra.searchpath=[{_quoted('file://' + str(folder))}]"]
        folders.insert(0, folder)
    overrides = [_of_verb(verb, text, folders) for text in overrides]
    refuse_contradictions(overrides, chosen | flags, folders)
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            config = hydra_compose(
                verb, overrides=[*searchpath, *(f"{group}={choice}" for group, choice in chosen.items()), *overrides]
            )
            values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    # Hydra refuses some overrides with plain Python errors, and a user's file may hold broken YAML or refer to itself
    except (
        HydraException, OmegaConfBaseException, ValueError, TypeError, AttributeError, AssertionError, KeyError,
        RecursionError, YAMLError,
    ) as error:  # fmt: skip
        raise _config_error(error, verb, overrides) from error
    assert isinstance(values, dict)
    plain = typing.cast(dict[str, Any], values)
    for key, value in flags.items():
        _set(plain, key, value)
    return anchored(plain)


def data_choice(data: str | None) -> tuple[dict[str, str], dict[str, str]]:
    """What `--data` stands for: the choice of the data group, and flags.

    A known name is taken as such, a folder is an imagefolder, a .npz file, here or in a bucket, is npz_jpeg.

    Raises:
        DataError: none of these.
    """
    if data is None:
        return {}, {}
    names = sorted(path.stem for path in (conf_dir() / "data").glob("*.yaml"))
    if data in names:
        return {"data": data}, {}
    if is_remote(data) and data.endswith(".npz"):
        return {"data": "npz_jpeg"}, {"data.path": data}
    path = Path(data).expanduser()
    if path.is_dir():
        return {"data": "imagefolder"}, {"data.path": str(path)}
    if path.is_file() and path.suffix == ".npz":
        return {"data": "npz_jpeg"}, {"data.path": str(path)}
    raise DataError(
        "--data takes a data set's name, a folder of class folders or a .npz file",
        value=redacted(data),
        way_out=f"names are {', '.join(names)}",
    )


def to_yaml(values: Mapping[str, Any]) -> str:
    """Plain values as YAML text, keys in the given order; the one text by which settings reach a run's folder."""
    import yaml

    return redacted(yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True))


def _check_overrides(overrides: Sequence[str]) -> None:
    for text in overrides:
        if text.startswith("~"):
            raise ConfigError("settings cannot be deleted", value=text, way_out="override it with key=value")
        key = text.split("=", 1)[0]
        if "=" not in text:
            raise ConfigError(
                "an override is written key=value or group=choice", value=text, way_out=f"try {key}=VALUE"
            )
        if key.lstrip("+").startswith("hydra"):
            raise ConfigError("hydra's own settings are not overridden here", value=text, way_out="use experiments/")


def _of_verb(verb: str, override: str, folders: Sequence[Path]) -> str:
    """debug=tiny means another file for every verb, debug/VERB/tiny.yaml; recipes of longer trainings are others."""
    group, _, choice = override.partition("=")
    if (verb, group) in _GROUP_OF_VERB:
        return f"{_GROUP_OF_VERB[verb, group]}={choice}"
    if group == "debug" and any((folder / group / verb / f"{choice}.yaml").is_file() for folder in folders):
        return f"{group}={verb}/{choice}"
    return override


def _set(values: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, last = dotted.split(".")
    for name in parents:
        values = values.setdefault(name, {})
    values[last] = value


def anchored(values: dict[str, Any]) -> dict[str, Any]:
    """The same values with absolute paths, so that a run can be continued from any folder.

    Raises:
        ConfigError: an address with credentials in it.
    """
    refuse_credentials(values)
    data: dict[str, Any] = values["data"] if isinstance(values.get("data"), dict) else {}
    for key in ("path", "root", "cache_dir"):
        _make_absolute(data, key)
    for key in ("baseline", "base", "spec"):
        if isinstance(values.get(key), str) and values[key].endswith(".json"):
            _make_absolute(values, key)
    for key in ("init", "stream", "mirror"):
        _make_absolute(values, key)
    if isinstance(values.get("evaluator"), dict):
        _make_absolute(values["evaluator"], "path")
    return values


def _make_absolute(values: dict[str, Any], key: str) -> None:
    if isinstance(values.get(key), str) and values[key] and not is_remote(values[key]):
        values[key] = str(Path(values[key]).expanduser().absolute())


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _config_error(error: Exception, verb: str, overrides: Sequence[str]) -> InputError:
    """One line for what Hydra says in many."""
    text = " ".join(str(error).split())
    known = sorted(dotted_keys(_SHAPES[verb]))
    for override in overrides:
        key = override.split("=", 1)[0].lstrip("+")
        if f"'{key}'" in text and key not in known and key not in _GROUP_OF_VERB.values():
            return unknown_key(key, known)
        group, _, choice = override.partition("=")
        if "In" in text and f"'{group.lstrip('+')}/{choice}'" in text:
            folder, _, choice = f"{group.lstrip('+')}/{choice}".rpartition("/")
            names = sorted(path.stem for path in (conf_dir() / folder).glob("*.yaml"))
            typed = {group: typed for (of, typed), group in _GROUP_OF_VERB.items() if of == verb}
            return ConfigError(
                f"unknown choice for {typed.get(group, group)}", value=choice, way_out=f"choose from {', '.join(names)}"
            )
    return ConfigError("the configuration cannot be composed", value=text[:200], way_out=f"scalesearch {verb} --help")
