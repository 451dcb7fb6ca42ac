from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pictures_made_here import noise
from PIL import Image

from scalesearch.data.loading import Normalisation, augment, normalisation_of, resize, train_subset
from scalesearch.errors import DataError


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_subset_is_stratified_and_exact(counts, fraction, seed):
    labels = np.random.RandomState(0).permutation(np.repeat(np.arange(len(counts)), counts))
    n = max(len(counts), round(fraction * len(labels)))

    chosen = train_subset(labels, n, seed)

    taken = np.bincount(labels[chosen], minlength=len(counts))
    assert len(chosen) == len(set(chosen)) == n
    assert (np.diff(chosen) > 0).all()
    assert (taken >= 1).all()
    assert (taken <= counts).all()
    # no class is more than its first picture and one rounding away from its share of the rest
    share = (np.array(counts) - 1) * (n - len(counts)) / max(len(labels) - len(counts), 1)
    assert (abs(taken - 1 - share) < 1).all()


def test_subset_depends_on_the_seed():
    labels = np.arange(100) % 10
    first, same, other = (train_subset(labels, 30, seed) for seed in (1, 1, 2))

    assert (first == same).all()
    assert (first != other).any()
    assert np.bincount(labels[first]).tolist() == [3] * 10


@pytest.mark.parametrize("n", [None, 100, 500])
def test_subset_of_everything(n):
    assert train_subset(np.arange(100) % 10, n, 0).tolist() == list(range(100))


def test_subset_below_one_picture_a_class():
    with pytest.raises(DataError, match="each of the 10 classes, got 9"):
        train_subset(np.arange(100) % 10, 9, 0)


def test_resize_is_identity_at_the_same_side():
    images = noise(0, 5, 12, 12, 3)
    images.setflags(write=False)  # as a memory map is

    same = resize(images, 12)

    assert same.is_contiguous()
    assert (same.numpy() == images.transpose(0, 3, 1, 2)).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resolution", [7, 16, 31])
def test_resize_antialiases_as_pillow_does(channels, resolution):
    images = np.stack([np.asarray(Image.fromarray(noise(i, 6, 6, 3)).resize((24, 24), 3)) for i in range(3)])
    images = images[..., :channels]

    resized = resize(images, resolution)

    assert resized.shape == (3, channels, resolution, resolution)
    assert resized.dtype == torch.uint8
    for image, ours in zip(images, resized.numpy(), strict=True):
        for channel in range(channels):
            pillow = Image.fromarray(image[..., channel]).resize((resolution, resolution), Image.Resampling.BICUBIC)
            assert abs(np.asarray(pillow).astype(int) - ours[channel]).max() <= 1


def test_resize_does_not_depend_on_chunks_or_on_the_layout():
    images = noise(0, 11, 20, 20, 3)
    whole = resize(images, 9)

    assert torch.equal(whole, resize(images, 9, chunk=2))
    assert torch.equal(whole, resize(torch.from_numpy(images).permute(0, 3, 1, 2), 9))
    nchw = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    assert abs(whole.int() - resize(nchw, 9).int()).max() <= 1


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (6, 9)])
def test_every_augmented_picture_is_a_shifted_or_mirrored_original(dtype, height, width):
    batch = torch.from_numpy(noise(0, 64, 3, height, width)).to(dtype)

    result = augment(batch, generator(0), pad=2, flip=True)

    assert (result.shape, result.dtype) == (batch.shape, dtype)
    seen = set()
    for original, changed in zip(batch, result, strict=True):
        padded = torch.nn.functional.pad(original, (2, 2, 2, 2))
        found = [
            (top, left, flip)
            for top in range(5)
            for left in range(5)
            for flip in (False, True)
            if torch.equal(crop(padded, top, left, height, width, flip), changed)
        ]
        assert len(found) == 1
        seen.add(found[0])
    assert {flip for _, _, flip in seen} == {False, True}
    assert any(top != left for top, left, _ in seen)
    assert {top for top, _, _ in seen} == {left for _, left, _ in seen} == set(range(5))


def crop(padded: torch.Tensor, top: int, left: int, height: int, width: int, flip: bool) -> torch.Tensor:
    part = padded[:, top : top + height, left : left + width]
    return part.flip(2) if flip else part


def test_augment_is_a_function_of_the_generator():
    batch = torch.from_numpy(noise(0, 16, 3, 8, 8))
    before = batch.clone()
    first, same, other = (augment(batch, generator(seed), pad=2, flip=True) for seed in (1, 1, 2))

    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(batch, before)
    channels_last = batch.contiguous(memory_format=torch.channels_last)
    assert torch.equal(augment(channels_last, generator(1), pad=2, flip=True), first)


def test_augment_off():
    batch = torch.from_numpy(noise(0, 4, 1, 8, 8))

    assert augment(batch, generator(0), pad=0, flip=False) is batch
    flipped = augment(batch, generator(0), pad=0, flip=True)
    assert all(torch.equal(f, o) or torch.equal(f, o.flip(2)) for f, o in zip(flipped, batch, strict=True))


def test_crop_without_mirroring_never_mirrors():
    ramp = torch.arange(8, dtype=torch.uint8).expand(64, 1, 8, 8)

    inner = augment(ramp, generator(0), pad=1, flip=False)[:, :, 1:-1, 1:-1].int()

    assert (inner.diff(dim=3) == 1).all()


def test_normalisation_gives_mean_0_and_deviation_1():
    images = torch.from_numpy(noise(0, 700, 3, 8, 8))
    images[:, 1] //= 2

    normalisation = normalisation_of(images)
    result = normalisation.apply(images)

    expected = images.double() / 255
    assert normalisation.mean == pytest.approx(expected.mean((0, 2, 3)).tolist(), abs=1e-12)
    assert normalisation.std == pytest.approx(expected.std((0, 2, 3), correction=0).tolist(), abs=1e-12)
    assert result.dtype == torch.float32
    assert result.mean((0, 2, 3)).abs().max() < 1e-4
    assert (result.std((0, 2, 3)) - 1).abs().max() < 1e-3


def test_normalisation_of_a_constant_channel_is_finite():
    normalisation = normalisation_of(torch.full((4, 1, 8, 8), 7, dtype=torch.uint8))

    assert normalisation == Normalisation((7 / 255,), (1 / 255,))
    assert normalisation.apply(torch.full((1, 1, 2, 2), 7, dtype=torch.uint8)).abs().max() < 1e-5
