"""What a training is fed: subsets, batches, the cache."""

from dataclasses import replace

import pytest
import torch

from scalesearch.data.prepared import PreparedData
from scalesearch.errors import DataError
from scalesearch.train import feed as feed_module
from scalesearch.train.feed import Feed, forget_feeds, load_feed, steps_per_epoch
from scalesearch.train.recipe import Recipe

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _fresh_cache() -> None:
    forget_feeds()


def batches(feed: Feed, recipe: Recipe, seed: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(feed.epoch(recipe, order=torch.Generator().manual_seed(seed), device=CPU))


def test_subsets_resolution_and_types(gratings: PreparedData, quick: Recipe) -> None:
    feed = load_feed(gratings, quick, 12)
    assert feed.train_images.shape == (640, 1, 12, 12)
    assert feed.val_images.shape == (200, 1, 12, 12)
    assert feed.train_images.dtype == torch.uint8
    # stratified: each of the 4 classes has a quarter
    assert torch.bincount(feed.train_labels).tolist() == [160] * 4
    everything = load_feed(gratings, replace(quick, train_images=None, val_images=None), 16)
    assert (len(everything.train_labels), len(everything.val_labels)) == (1200, 300)


def test_too_few_pictures_are_refused(gratings: PreparedData, quick: Recipe) -> None:
    with pytest.raises(DataError, match="4 classes"):
        load_feed(gratings, replace(quick, train_images=3), 16)


def test_an_epoch_is_full_batches_in_the_generators_order(gratings: PreparedData, quick: Recipe) -> None:
    recipe = replace(quick, batch_size=100, flip=False, crop_padding=0.0)
    feed = load_feed(gratings, recipe, 16)
    first, again, other = batches(feed, recipe), batches(feed, recipe), batches(feed, recipe, seed=1)
    assert len(first) == steps_per_epoch(recipe, 640) == 6
    assert all(torch.equal(a, b) for one, two in zip(first, again, strict=True) for a, b in zip(one, two, strict=True))
    assert not torch.equal(first[0][1], other[0][1])
    pictures, labels = first[0]
    assert pictures.shape == (100, 1, 16, 16)
    assert pictures.dtype == torch.float32
    # without augmentation, every batch picture is one of the subset, normalised
    assert abs(torch.cat([p for p, _ in first]).mean().item()) < 0.05
    order = torch.randperm(640, generator=torch.Generator().manual_seed(0))
    assert torch.equal(labels, feed.train_labels[order[:100]])


def test_pictures_do_not_depend_on_the_network(gratings: PreparedData, quick: Recipe) -> None:
    recipe = replace(quick, flip=True, crop_padding=0.1)
    feed = load_feed(gratings, recipe, 16)
    before = batches(feed, recipe)
    torch.manual_seed(99)
    assert torch.equal(batches(feed, recipe)[3][0], before[3][0])


def test_a_set_smaller_than_a_batch_is_one_step(gratings: PreparedData, quick: Recipe) -> None:
    recipe = replace(quick, batch_size=64, train_images=40)
    ((pictures, _),) = batches(load_feed(gratings, recipe, 16), recipe)
    assert len(pictures) == 40 == 40 * steps_per_epoch(recipe, 40)


def test_the_cache_serves_repeats_and_stays_bounded(
    gratings: PreparedData, quick: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_feed(gratings, quick, 16)
    assert load_feed(gratings, replace(quick, learning_rate=1e-4), 16) is first
    assert load_feed(gratings, quick, 12) is not first
    assert load_feed(gratings, quick, 16) is first
    monkeypatch.setattr(feed_module, "_CACHE_BYTES", first.nbytes)
    latest = load_feed(gratings, quick, 14)
    # only the latest fits
    assert load_feed(gratings, quick, 14) is latest
    assert load_feed(gratings, quick, 16) is not first
