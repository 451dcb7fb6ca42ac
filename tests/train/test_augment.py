"""Augmentation on batches: against Pillow where that has the same operation, and what must hold for the rest."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from scalesearch.data.loading import Normalisation
from scalesearch.train.augment import Batch, augmented, erase, mix, rand_augment, shrink
from scalesearch.train.augment_operations import COLOUR_OPERATIONS, OPERATIONS, affine, matrices
from scalesearch.train.long_recipe import AugmentSettings, LongRecipe
from scalesearch.train.stages import TrainStage


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def pictures() -> torch.Tensor:
    """Six smooth colour pictures with some range, uint8 (6, 3, 24, 24)."""
    coarse = torch.randint(20, 220, (6, 3, 6, 6), generator=seeded(), dtype=torch.uint8)
    return torch.nn.functional.interpolate(coarse, size=24, mode="bilinear", antialias=True)


def as_image(picture: torch.Tensor) -> Image.Image:
    return Image.fromarray(picture.permute(1, 2, 0).numpy())


def through(name: str, picture: torch.Tensor, level: float) -> np.ndarray:
    x = picture[None].float()
    return COLOUR_OPERATIONS[name](x, torch.full((1, 1, 1, 1), level))[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("level", [-1.0, -0.4, 0.7])
@pytest.mark.parametrize(
    ("name", "pillow"),
    [
        ("autocontrast", lambda image, level: ImageOps.autocontrast(image)),
        ("equalize", lambda image, level: ImageOps.equalize(image)),
        ("posterize", lambda image, level: ImageOps.posterize(image, 8 - round(4 * abs(level)))),
        ("solarize", lambda image, level: ImageOps.solarize(image, 256 * (1 - abs(level)))),
        ("brightness", lambda image, level: ImageEnhance.Brightness(image).enhance(1 + 0.9 * level)),
        ("contrast", lambda image, level: ImageEnhance.Contrast(image).enhance(1 + 0.9 * level)),
        ("color", lambda image, level: ImageEnhance.Color(image).enhance(1 + 0.9 * level)),
        ("sharpness", lambda image, level: ImageEnhance.Sharpness(image).enhance(1 + 0.9 * level)),
    ],
)
def test_colour_operations_are_pillows(name: str, pillow, level: float, pictures: torch.Tensor) -> None:  # type: ignore[no-untyped-def]
    for picture in pictures:
        expected = np.asarray(pillow(as_image(picture), level)).astype(float)
        # Pillow rounds in between where it blends
        tolerance = 0.0 if name in ("equalize", "posterize", "solarize") else 2.0
        assert np.abs(through(name, picture, level) - expected).max() <= tolerance


def test_level_0_changes_nothing(pictures: torch.Tensor) -> None:
    for name in ("posterize", "solarize", "brightness", "contrast", "color", "sharpness"):
        assert np.abs(through(name, pictures[0], 0.0) - pictures[0].permute(1, 2, 0).numpy()).max() < 1e-3
    for kind in range(len(OPERATIONS)):
        still = matrices(torch.tensor([kind]), torch.tensor([0.0]))
        assert torch.allclose(affine(pictures[:1].float(), still), pictures[:1].float(), atol=1e-3)


def test_geometry_moves_what_it_says() -> None:
    x = torch.full((1, 1, 20, 20), 128.0)
    x[0, 0, 10, 10] = 255
    moved = affine(x, matrices(torch.tensor([OPERATIONS.index("translate_x")]), torch.tensor([1 / 0.9 / 10])))
    assert int(moved[0, 0, 10].argmax()) == 9  # a tenth of a half side is one pixel
    turned = affine(x, matrices(torch.tensor([OPERATIONS.index("rotate")]), torch.tensor([1.0])))
    assert turned.max() < 255
    assert abs(float(turned.mean()) - 128) < 1


def test_rand_augment_repeats_and_leaves_its_input(pictures: torch.Tensor) -> None:
    before = pictures.clone()
    one = rand_augment(pictures, seeded(3), operations=2, magnitude=9)
    assert torch.equal(one, rand_augment(pictures, seeded(3), operations=2, magnitude=9))
    assert not torch.equal(one, rand_augment(pictures, seeded(4), operations=2, magnitude=9))
    assert torch.equal(pictures, before)
    assert (one.shape, one.dtype) == (pictures.shape, torch.float32)
    assert 0 <= one.min() <= one.max() <= 255
    grey = rand_augment(pictures[:, :1], seeded(3), operations=3, magnitude=10)
    assert grey.shape == (6, 1, 24, 24)


def test_every_operation_is_drawn() -> None:
    picture = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(300, 1, 16, 16)
    out = rand_augment(picture, seeded(), operations=1, magnitude=7)
    # autocontrast, equalize, identity and (without colour) color change nothing here; signs double the others
    assert 14 <= len({row.numpy().tobytes() for row in out.round()}) <= 26


def test_erasing_takes_a_rectangle_from_its_share_of_pictures() -> None:
    x = torch.ones(400, 2, 16, 16)
    out = erase(x, seeded(), probability=0.5)
    gone = (out == 0).all(1)
    hit = gone.flatten(1).any(1)
    assert 150 < int(hit.sum()) < 250
    for mask in gone[hit][:40]:
        rows, columns = torch.nonzero(mask.any(1)).flatten(), torch.nonzero(mask.any(0)).flatten()
        assert int(mask.sum()) == len(rows) * len(columns)
        assert 0.01 * 256 <= int(mask.sum()) <= 0.42 * 256
    assert torch.equal(erase(x, seeded(), probability=0.0), x)


def test_mixup_mixes_pictures_and_labels_alike() -> None:
    labels = torch.arange(8)
    x = labels.float().view(8, 1, 1, 1).expand(8, 1, 4, 4)
    mixed, others, share = mix(x, labels, seeded(), alpha=0.4)
    assert 0 <= share <= 1
    assert torch.allclose(mixed[:, 0, 0, 0], share * labels + (1 - share) * others, atol=1e-5)
    assert mix(x, labels, seeded(), alpha=0.0)[2] == 1.0
    shares = [mix(x, labels, seeded(seed), alpha=0.2)[2] for seed in range(200)]
    assert 0.4 < float(np.mean(shares)) < 0.6
    assert float(np.std(shares)) == pytest.approx((1 / (4 * 1.4)) ** 0.5, abs=0.05)  # of Beta(.2, .2)


def test_the_mixed_loss_is_that_of_mixed_labels() -> None:
    logits = torch.randn(5, 3, generator=seeded())
    labels, others = torch.tensor([0, 1, 2, 0, 1]), torch.tensor([2, 2, 1, 0, 0])
    batch = Batch(torch.empty(5, 1), labels, others, 0.3)
    one_hot = 0.3 * torch.eye(3)[labels] + 0.7 * torch.eye(3)[others]
    assert float(batch.loss(logits, 0.1)) == pytest.approx(
        float(torch.nn.functional.cross_entropy(logits, one_hot, label_smoothing=0.1)), rel=1e-5
    )


def test_the_whole_way_of_a_batch(pictures: torch.Tensor) -> None:
    recipe = LongRecipe(
        crop_padding=0.1, flip=True, augment=AugmentSettings(operations=2, magnitude=9, mixup=0.2, erasing=0.25)
    )
    stage = TrainStage(0, 1, resolution=16, dropout=0.1, magnitude=5, mixup=0.2)
    given = {"recipe": recipe, "stage": stage, "normalisation": Normalisation((0.5,) * 3, (0.25,) * 3)}
    labels = torch.arange(6)
    one, again = (augmented(pictures, labels, generator=seeded(2), **given) for _ in range(2))  # type: ignore[arg-type]
    assert one.pictures.shape == (6, 3, 16, 16)
    assert one.pictures.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(one.pictures, again.pictures)
    halves = [one.part(rank, 2) for rank in range(2)]
    assert torch.equal(torch.cat([half.labels for half in halves]).sort().values, labels)
    assert torch.equal(halves[1].pictures, one.pictures[1::2])


def test_shrinking_is_antialiased(pictures: torch.Tensor) -> None:
    small = shrink(pictures, 12)
    assert (small.shape, small.dtype) == ((6, 3, 12, 12), torch.uint8)
    assert shrink(pictures, 24) is pictures
    assert abs(float(small.float().mean()) - float(pictures.float().mean())) < 2
