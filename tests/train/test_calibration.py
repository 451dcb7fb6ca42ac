"""Pictures for 8-bit files: as a training would see them, and refused where they are not the network's."""

from pathlib import Path

import pytest
import torch

import scalesearch as ss
from scalesearch.data.settings import DataSettings
from scalesearch.errors import InputError
from scalesearch.train.calibration import calibration_pictures


def test_pictures_are_normalised_and_fit_the_network(tmp_path: Path) -> None:
    data = DataSettings("synthetic", size=300, classes=3, side=40, channels=1, cache_dir=str(tmp_path))
    spec = ss.scale_net(ss.load_spec("mobilenet_v2"), width=0.25, resolution=32).with_(in_channels=1)
    pictures = calibration_pictures([spec, spec.with_(num_classes=3)], data)
    assert pictures.shape == (30, 1, 32, 32)
    assert pictures.dtype is torch.float32
    assert abs(float(pictures.mean())) < 0.2
    assert float(pictures.std()) == pytest.approx(1, abs=0.2)
    with pytest.raises(InputError, match="one resolution, got '32, 40'"):
        calibration_pictures([spec, spec.with_(resolution=40)], data)
    with pytest.raises(InputError, match=r"must have 3 channel\(s\), got 1"):
        calibration_pictures([spec.with_(in_channels=3)], data)
