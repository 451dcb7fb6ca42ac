"""Longer trainings: resume bit for bit, what each recipe setting does, transfer and freezing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scalesearch.arch.spec import NetSpec
from scalesearch.data.prepared import PreparedData
from scalesearch.errors import ConfigError, DataError, DivergedError, InputError, UnknownNameError
from scalesearch.nets.build import build_net
from scalesearch.train.averaging import average_decay
from scalesearch.train.checkpoint import BEST, LAST, CheckpointFolder, read_checkpoint
from scalesearch.train.long_recipe import AugmentSettings, GrowthSettings, LongRecipe
from scalesearch.train.long_run import LongJob, LongResult, Watcher, train_long
from scalesearch.train.peers import Peers
from scalesearch.train.rates import long_rate_factor
from scalesearch.train.stages import stage_at, stages_of
from scalesearch.train.supply import MemorySupply
from scalesearch.train.training_state import EpochRow

PLAIN = LongRecipe(
    epochs=4, batch_size=32, train_images=128, val_images=60, learning_rate=0.01, warmup_epochs=0.5, ema_decay=0.0,
    drop_path=0.0, dropout=0.0,
)  # fmt: skip
EVERYTHING = replace(
    PLAIN, ema_decay=0.99, drop_path=0.2, dropout=0.2, flip=True, crop_padding=0.1,
    augment=AugmentSettings(operations=2, magnitude=6, mixup=0.2, erasing=0.25),
    growth=GrowthSettings(stages=2, resolution=0.5),
)  # fmt: skip


class Stopped(Exception):
    pass


class StopAfter(Watcher):
    """Ends the training when so many epochs are on disk."""

    def __init__(self, epochs: int):
        self.epochs, self.rows = epochs, list[EpochRow]()

    def epoch(self, row: EpochRow) -> None:
        self.rows.append(row)
        if row.epoch == self.epochs:
            raise Stopped


def run(
    recipe: LongRecipe, spec: NetSpec, data: PreparedData, folder: Path, *, stop_after: int = 0, **job: object
) -> LongResult:
    supply = MemorySupply.load(data, recipe, spec.resolution)
    given = {"seed": 0, "identity": "this", "device": "cpu"} | job
    whole = LongJob(spec, recipe, **given)  # type: ignore[arg-type]
    return train_long(whole, supply, CheckpointFolder(folder), watcher=StopAfter(stop_after))


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    "recipe",
    [
        EVERYTHING,
        replace(EVERYTHING, optimizer="rmsprop", schedule="exponential", decay=0.5, decay_epochs=0.7),
        replace(PLAIN, optimizer="sgd"),
    ],
    ids=["everything", "rmsprop", "sgd"],
)
def test_a_killed_training_resumes_bit_for_bit(
    recipe: LongRecipe, small_net: NetSpec, gratings: PreparedData, tmp_path: Path
) -> None:
    whole = run(recipe, small_net, gratings, tmp_path / "whole")
    for epochs in (1, 3):
        with pytest.raises(Stopped):
            run(recipe, small_net, gratings, tmp_path / "killed", stop_after=epochs)
        torch.rand(9)  # another process has another generator
    resumed = run(recipe, small_net, gratings, tmp_path / "killed")
    assert same(whole.net, resumed.net)
    for row, other in zip(whole.rows, resumed.rows, strict=True):
        assert (row.train_loss, row.val_accuracy, row.val_loss) == (
            other.train_loss,
            other.val_accuracy,
            other.val_loss,
        )
    ends = [read_checkpoint(tmp_path / name / LAST) for name in ("whole", "killed")]
    assert all(torch.equal(ends[0]["net"][name], ends[1]["net"][name]) for name in ends[0]["net"])
    assert torch.equal(ends[0]["order"], ends[1]["order"])
    finished = run(recipe, small_net, gratings, tmp_path / "killed")
    assert same(whole.net, finished.net), "a finished training trains nothing"


def test_an_epoch_that_is_broken_off_is_repeated(small_net: NetSpec, gratings: PreparedData, tmp_path: Path) -> None:
    calls = []

    @contextmanager
    def breakable() -> Iterator[None]:
        calls.append(1)
        yield
        if len(calls) == 3:
            raise Stopped  # as a signal at the last step would

    job = LongJob(small_net, PLAIN, 0, "this", device="cpu")
    supply = MemorySupply.load(gratings, PLAIN, small_net.resolution)
    with pytest.raises(Stopped):
        train_long(job, supply, CheckpointFolder(tmp_path / "broken"), breakable=breakable)
    assert len(read_checkpoint(tmp_path / "broken" / LAST)["rows"]) == 2
    resumed = run(PLAIN, small_net, gratings, tmp_path / "broken")
    assert same(resumed.net, run(PLAIN, small_net, gratings, tmp_path / "whole").net)


def test_it_learns_and_best_is_the_best(small_net: NetSpec, gratings: PreparedData, tmp_path: Path) -> None:
    recipe = replace(PLAIN, train_images=None, val_images=None, epochs=5, ema_decay=0.98)
    result = run(recipe, small_net, gratings, tmp_path)
    accuracies = [row.val_accuracy for row in result.rows]
    assert accuracies[-1] > 0.6  # chance is 0.25
    best = read_checkpoint(tmp_path / BEST)["rows"]
    assert len(best) == 1 + accuracies.index(max(accuracies))
    assert [row.epoch for row in result.rows] == [1, 2, 3, 4, 5]
    assert all(row.images_per_second > 0 and row.seconds > 0 for row in result.rows)


def test_checkpoints_of_others_are_refused(small_net: NetSpec, gratings: PreparedData, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(PLAIN, small_net, gratings, tmp_path, stop_after=1)
    with pytest.raises(InputError, match="goes on from a checkpoint of its own"):
        run(PLAIN, small_net, gratings, tmp_path, identity="another")
    whole = (tmp_path / LAST).read_bytes()
    (tmp_path / LAST).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"last\.pt must be whole"):
        run(PLAIN, small_net, gratings, tmp_path)


def test_transfer_replaces_the_classifier_and_freezes(
    small_net: NetSpec, gratings: PreparedData, tmp_path: Path
) -> None:
    source = build_net(small_net, num_classes=7).state_dict()
    recipe = replace(PLAIN, epochs=2, freeze_epochs=1, weight_decay=0.05)
    with pytest.raises(Stopped):
        run(recipe, small_net, gratings, tmp_path, init=source, stop_after=1)
    frozen = read_checkpoint(tmp_path / LAST)["net"]
    for name, tensor in source.items():
        if name.startswith("classifier"):
            assert frozen[name].shape[0] == 4
        else:
            assert torch.equal(frozen[name], tensor), name
    thawed = run(recipe, small_net, gratings, tmp_path, init=source).net.state_dict()
    assert not torch.equal(thawed["stem.conv.weight"], source["stem.conv.weight"])
    # the same classes: the classifier comes along
    same_classes = build_net(small_net).state_dict()
    with pytest.raises(Stopped):
        run(replace(recipe, learning_rate=1e-9), small_net, gratings, tmp_path / "b", init=same_classes, stop_after=1)
    kept = read_checkpoint(tmp_path / "b" / LAST)["net"]["classifier.weight"]
    assert torch.allclose(kept, same_classes["classifier.weight"], atol=1e-5)


def test_progressive_stages_grow() -> None:
    recipe = LongRecipe(
        epochs=10, augment=AugmentSettings(operations=2, magnitude=10, mixup=0.2),
        growth=GrowthSettings(stages=4, resolution=0.5, dropout=0.1, magnitude=5, mixup=0.0),
    )  # fmt: skip
    stages = stages_of(recipe, resolution=64, dropout=0.4, total_stride=8)
    assert [stage.resolution for stage in stages] == [32, 43, 53, 64]
    assert [(stage.first, stage.end) for stage in stages] == [(0, 2), (2, 5), (5, 8), (8, 10)]
    assert [round(stage.dropout, 3) for stage in stages] == [0.1, 0.2, 0.3, 0.4]
    assert stages[-1].magnitude == 10
    assert stages[0].mixup == 0
    assert [stage_at(stages, epoch).resolution for epoch in (0, 1, 2, 9)] == [32, 32, 43, 64]
    with pytest.raises(ConfigError, match=r"total stride, 33 px, got '32 px'"):
        stages_of(recipe, resolution=64, dropout=0.4, total_stride=33)
    (only,) = stages_of(LongRecipe(), resolution=64, dropout=0.4, total_stride=8)
    assert (only.first, only.end, only.resolution, only.dropout) == (0, 30, 64, 0.4)


def test_stages_reach_the_training(small_net: NetSpec, gratings: PreparedData, tmp_path: Path) -> None:
    rows = run(EVERYTHING, small_net, gratings, tmp_path).rows
    assert [row.resolution for row in rows] == [8, 8, 16, 16]


def test_rates() -> None:
    paper = LongRecipe(epochs=350, warmup_epochs=5, schedule="exponential")
    assert long_rate_factor(paper, 0, 100) == 1 / 500
    assert long_rate_factor(paper, 499, 100) == 1
    # 0.97 every 2.4 epochs, counted from the start
    assert long_rate_factor(paper, 500, 100) == pytest.approx(0.97**2)
    assert long_rate_factor(paper, 34_999, 100) == pytest.approx(0.97**145)
    cosine = LongRecipe(epochs=10, warmup_epochs=0)
    assert long_rate_factor(cosine, 0, 10) == 1
    assert long_rate_factor(cosine, 50, 10) == pytest.approx(0.5)
    assert long_rate_factor(cosine, 100, 10) == pytest.approx(0)


def test_the_average_forgets_the_start_quickly() -> None:
    assert [average_decay(0.9999, n) for n in (0, 8)] == [0.1, 0.5]
    assert average_decay(0.9999, 10**6) == 0.9999
    assert average_decay(0.05, 0) == 0.05


def test_an_absurd_rate_diverges_and_keeps_what_was(small_net: NetSpec, gratings: PreparedData, tmp_path: Path) -> None:
    recipe = replace(PLAIN, optimizer="sgd", learning_rate=100, weight_decay=10, warmup_epochs=0)
    with pytest.raises(DivergedError, match="diverged"):
        run(recipe, small_net, gratings, tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": "linear"}, "unknown schedule"),
        ({"warmup_epochs": 9}, "at most the 4 epochs"),
        ({"freeze_epochs": 4}, "must leave some of the 4 epochs"),
        ({"growth": GrowthSettings(stages=5)}, "growth.stages must be at most the 4 epochs"),
        ({"decay": 0}, "recipe.decay must lie in"),
        ({"batch_size": 1}, "recipe.batch_size must lie in"),
        ({"warmup_epochs": float("nan")}, "recipe.warmup_epochs must be a number"),
    ],
)
def test_recipes_that_cannot_be(changes: dict[str, object], message: str) -> None:
    with pytest.raises((ConfigError, UnknownNameError), match=message):
        replace(PLAIN, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes", [{"operations": 11}, {"magnitude": -1}, {"mixup": float("nan")}, {"erasing": 1.5}], ids=str
)
def test_augmentations_that_cannot_be(changes: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"recipe\.augment\."):
        AugmentSettings(**changes)  # type: ignore[arg-type]


def test_fingerprints_tell_recipes_apart() -> None:
    assert replace(PLAIN, weight_decay=0).fingerprint == replace(PLAIN, weight_decay=0.0).fingerprint
    others = [replace(PLAIN, augment=AugmentSettings(mixup=0.1)), replace(PLAIN, growth=GrowthSettings(stages=2))]
    assert len({recipe.fingerprint for recipe in (PLAIN, EVERYTHING, *others)}) == 4


def test_batches_divide_between_workers() -> None:
    Peers(size=4).check_batch(32)
    with pytest.raises(ConfigError, match="divided equally between 3 workers"):
        Peers(size=3).check_batch(32)


def test_one_picture_is_no_training_set(small_net: NetSpec, gratings: PreparedData, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        run(replace(PLAIN, train_images=1), small_net, gratings, tmp_path)
