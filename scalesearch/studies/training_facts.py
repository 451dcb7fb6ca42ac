"""What a folder of `train` says of its weights, for model cards: data, recipe, accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from scalesearch.errors import InputError
from scalesearch.store.run_folder import CONFIG_FILE
from scalesearch.store.run_list import read_summary

__all__ = ["training_facts"]

# of a data set, where it lies is nobody's business
_DATA: Final = {
    "data": "name",
    "data_fingerprint": "fingerprint",
    "n_train": "train pictures",
    "n_val": "val pictures",
    "normalisation": "normalisation",
}
_TRAINING: Final = ("seed", "workers", "images_per_second", "exported", "test", "weights_sha256")


def training_facts(folder: Path) -> dict[str, dict[str, Any]]:
    """ "data", "recipe" and "training" of a finished training; empty where the folder is not one."""
    summary = read_summary(folder)
    if summary is None or summary.get("verb") != "train":
        return {}
    return {
        "data": {name: summary[key] for key, name in _DATA.items() if key in summary},
        # the epochs of the run, because --epochs goes before the recipe's
        "recipe": _recipe(folder) | {"epochs": summary["epochs"]},
        "training": {"run": f"train/{folder.absolute().name}", **{key: summary.get(key) for key in _TRAINING}},
    }


def _recipe(folder: Path) -> dict[str, Any]:
    """The recipe of config.yaml, settings that are off left out."""
    import yaml

    try:
        values = yaml.safe_load((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except OSError:
        return {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{CONFIG_FILE} must hold plain YAML", value=str(folder), way_out="restore it") from error
    recipe = values.get("recipe") if isinstance(values, Mapping) else None
    return {key: value for key, value in recipe.items() if value is not None} if isinstance(recipe, Mapping) else {}
