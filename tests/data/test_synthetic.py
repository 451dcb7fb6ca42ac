from __future__ import annotations

import numpy as np
import pytest
import torch

from scalesearch.data.loading import normalisation_of, resize
from scalesearch.data.prepare import check_source, prepare
from scalesearch.data.settings import DataSettings
from scalesearch.data.synthetic import gratings
from scalesearch.errors import ConfigError


def test_sizes_and_determinism(tmp_path):
    settings = DataSettings("synthetic", size=60, classes=6, side=16, channels=1, seed=3)
    first = prepare(settings, side=99, workers=1)
    again = prepare(
        DataSettings("synthetic", size=60, classes=6, side=16, channels=1, seed=3, cache_dir=str(tmp_path / "b")),
        side=99,
    )

    assert (first.n_train, first.n_val, first.side, first.channels, first.native_side) == (54, 6, 16, 1, 16)
    assert first.fingerprint == again.fingerprint
    assert (first.train()[0] == again.train()[0]).all()


@pytest.mark.parametrize("change", [{"seed": 1}, {"size": 80}, {"classes": 3}, {"side": 17}, {"channels": 1}])
def test_every_setting_is_part_of_the_identity(change):
    base = {"size": 60, "classes": 6, "side": 16, "seed": 0}
    one, other = (prepare(DataSettings("synthetic", **kw), side=99, workers=1) for kw in (base, base | change))

    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    "change",
    [{"classes": 1}, {"size": 5}, {"side": 0}, {"channels": 2}, {"size": 10**9}, {"seed": -1}, {"val_fraction": 0}],
)
def test_settings_out_of_range(change):
    with pytest.raises(ConfigError, match=r"data\.|2 GB"):
        check_source(DataSettings(**{"name": "synthetic", "classes": 4, **change}))


def test_a_small_convolution_learns_what_a_linear_model_cannot():
    torch.manual_seed(0)
    labels = np.arange(1000) % 4
    images = gratings(labels, classes=4, side=16, channels=1, seed=0)
    pixels = resize(images, 16)
    x, y = normalisation_of(pixels).apply(pixels), torch.from_numpy(labels)
    conv = torch.nn.Sequential(
        torch.nn.Conv2d(1, 24, 7, padding=3), torch.nn.BatchNorm2d(24), torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(24, 4),
    )  # fmt: skip
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 4))

    assert accuracy_after_training(conv, x, y) > 0.75
    assert accuracy_after_training(linear, x, y) < 0.5


def accuracy_after_training(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(8):
        for batch in torch.arange(800).split(50):
            loss = torch.nn.functional.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        return float((model(x[800:]).argmax(1) == y[800:]).double().mean())
