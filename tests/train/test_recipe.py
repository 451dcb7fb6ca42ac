"""Recipes: rules, identity, and the YAML files that hold them."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
import yaml

from scalesearch.errors import ConfigError, UnknownNameError
from scalesearch.train.recipe import Recipe

FILES = sorted((Path(__file__).parents[2] / "conf" / "recipe").glob("*.yaml"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 1},
        {"learning_rate": -1},
        {"learning_rate": float("nan")},
        {"warmup": 1.0},
        {"epochs": 1.5},
        {"flip": 1},
        {"learning_rate": "fast"},
    ],
)
def test_values_outside_the_rules_are_rejected(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Recipe(**wrong)  # type: ignore[arg-type]


def test_unknown_names_get_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="adamw"):
        Recipe(optimizer="adam")
    with pytest.raises(UnknownNameError, match="float32"):
        Recipe(precision="float")


def test_every_field_is_part_of_the_fingerprint() -> None:
    other: dict[str, object] = {"optimizer": "sgd", "precision": "float32", "train_images": 123, "val_images": 123}
    for field in fields(Recipe):
        value = getattr(Recipe(), field.name)
        if isinstance(value, bool):
            changed: object = not value
        elif isinstance(value, int):
            changed = value + 1
        else:
            changed = 0.125
        changed = other.get(field.name, changed)
        assert replace(Recipe(), **{field.name: changed}).fingerprint != Recipe().fingerprint, field.name  # type: ignore[arg-type]


def test_equal_numbers_give_equal_fingerprints() -> None:
    assert Recipe(label_smoothing=0).fingerprint == Recipe(label_smoothing=0.0).fingerprint


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_recipe_files_name_exactly_the_fields(file: Path) -> None:
    text = file.read_text()
    values = yaml.safe_load(text)
    assert text.startswith("# ")
    # how long and on how much to train is the proxy's business
    assert list(values) == [field.name for field in fields(Recipe) if field.name != "epochs"]
    Recipe(**values)


def test_quick_is_the_default() -> None:
    (quick,) = (file for file in FILES if file.stem == "quick")
    assert Recipe(**yaml.safe_load(quick.read_text())) == Recipe()
