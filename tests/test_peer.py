"""The peer of benchmarks/trainings.py is given the same networks and the same pictures."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torchvision_ops import import_or_skip

import scalesearch as ss
from scalesearch.arch.proxy import ProxySettings, proxy_of
from scalesearch.data.loading import train_subset
from scalesearch.data.prepare import prepare
from scalesearch.data.settings import DataSettings
from scalesearch.train.feed import load_feed
from scalesearch.train.recipe import Recipe

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def module(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module(name)


def small(resolution: int, *, channels: int, classes: int, stem_stride: int) -> ss.NetSpec:
    settings = ProxySettings(resolution=resolution, stem_stride=stem_stride)
    b0 = ss.load_spec("efficientnet_b0")
    return proxy_of(b0, baseline_resolution=224, settings=settings, num_classes=classes, in_channels=channels)


@pytest.mark.parametrize(("resolution", "channels", "stem_stride"), [(24, 1, 1), (64, 3, 2)])
def test_the_peer_trains_the_same_network(
    resolution: int, channels: int, stem_stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_or_skip("timm")
    spec = small(resolution, channels=channels, classes=10, stem_stride=stem_stride)
    ours = ss.build_net(spec).eval()
    theirs = module("peer_net", monkeypatch).peer_net(spec, norm_momentum=0.1, zero_start=True)
    momenta = {norm.momentum for norm in theirs.modules() if isinstance(norm, torch.nn.BatchNorm2d)}
    zeros = sum(1 for name, p in theirs.named_parameters() if p.ndim == 1 and "weight" in name and not p.any())
    assert momenta == {0.1}
    assert zeros == sum(block.spec.residual for block in ours.blocks())
    theirs.load_state_dict(ss.to_timm(ours.state_dict(), spec))
    x = torch.randn(2, channels, resolution, resolution)
    with torch.no_grad():
        torch.testing.assert_close(theirs.eval()(x), ours(x), rtol=1e-4, atol=1e-12)


def test_the_peer_sees_the_same_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import_or_skip("torchvision")
    peer = module("peer_loop", monkeypatch)
    data = prepare(DataSettings("synthetic", size=120, classes=4, side=24, cache_dir=str(tmp_path)), side=24)
    recipe = Recipe(train_images=60)
    feed = load_feed(data, recipe, 16)
    chosen = train_subset(data.train()[1], 60, 0)
    everything = np.arange(data.n_val)
    peer_data = peer.PeerData(None, data.folder, chosen, everything, feed.normalisation)
    spec = small(16, channels=3, classes=4, stem_stride=1)
    _, val = peer.loaders(peer_data, spec, recipe, workers=0)
    pictures, labels = next(iter(val))
    assert torch.equal(labels, feed.val_labels)
    # PIL and torch round a resized picture to within one step of the 255, here in units of the standard deviation
    step = 1.01 / (255 * min(feed.normalisation.std))
    assert (pictures - feed.ready(feed.val_images)).abs().max() < step
