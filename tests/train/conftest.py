"""A small generated data set, prepared once."""

import pytest

from scalesearch.arch.spec import NetSpec, StageSpec
from scalesearch.data.prepare import prepare
from scalesearch.data.prepared import PreparedData
from scalesearch.data.settings import DataSettings
from scalesearch.train.recipe import Recipe


@pytest.fixture(scope="session")
def gratings(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """1,500 grey gratings of 16 px in 4 classes; 300 of them are for validation."""
    cache = str(tmp_path_factory.mktemp("cache"))
    settings = DataSettings("synthetic", size=1500, classes=4, side=16, channels=1, val_fraction=0.2, cache_dir=cache)
    return prepare(settings, side=16)


@pytest.fixture
def small_net() -> NetSpec:
    """A network with every kind of layer that trains in under a second."""
    return NetSpec(
        name="small",
        resolution=16,
        stem_width=8,
        stages=(
            StageSpec("mbconv", 3, 2, 12, 2, expansion_ratio=3, se_ratio=0.25),
            StageSpec("mbconv", 5, 2, 16, 2, expansion_ratio=3, se_ratio=0.25),
        ),
        head_width=48,
        num_classes=4,
        in_channels=1,
        stem_stride=1,
    )


@pytest.fixture
def quick() -> Recipe:
    """20 steps."""
    return Recipe(epochs=1, batch_size=32, train_images=640, val_images=200, learning_rate=1e-2)
