"""The step as a program on fixed buffers: the same training as the plain loop, run step by step or replayed."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from scalesearch.arch.spec import NetSpec
from scalesearch.data.prepared import PreparedData
from scalesearch.errors import DivergedError
from scalesearch.train import trainer
from scalesearch.train.captured_step import WARM_UP_STEPS, CaptureError, reason_against_capture, run_program
from scalesearch.train.epoch_draw import draw_epoch
from scalesearch.train.feed import load_feed
from scalesearch.train.recipe import Recipe
from scalesearch.train.step_program import StepProgram
from scalesearch.train.trainer import fresh_net, train_net
from tests.train.tape import Refusing, Tape

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def quick() -> Recipe:
    """10 steps."""
    return Recipe(epochs=1, batch_size=16, train_images=160, val_images=50, learning_rate=1e-2)


RECIPES = {
    "adamw": {"epochs": 2},
    "crops": {"epochs": 2, "flip": True, "crop_padding": 0.1, "ema_decay": 0.9, "label_smoothing": 0.1},
    "sgd": {"optimizer": "sgd", "learning_rate": 0.1},
}


def program_of(spec: NetSpec, recipe: Recipe, data: PreparedData) -> StepProgram:
    torch.manual_seed(3)
    feed = load_feed(data, recipe, spec.resolution)
    return StepProgram(fresh_net(spec, recipe, CPU), recipe, feed, [torch.Generator().manual_seed(5)])


@pytest.mark.parametrize("changes", RECIPES.values(), ids=RECIPES)
def test_a_replayed_training_is_the_plain_one(
    changes: dict[str, object], small_net: NetSpec, quick: Recipe, gratings: PreparedData
) -> None:
    recipe = replace(quick, **changes)  # type: ignore[arg-type]
    plain, tape = train_net(small_net, recipe, gratings, 0), Tape()
    replayed = train_net(small_net, recipe, gratings, 0, capture=tape)
    assert (tape.warmed_up, tape.recorded, tape.replayed) == (WARM_UP_STEPS, 1, plain.steps - WARM_UP_STEPS)
    assert replayed.train_loss == pytest.approx(plain.train_loss, rel=1e-4)
    assert replayed.loss == pytest.approx(plain.loss, rel=1e-3)
    assert replayed.accuracy == pytest.approx(plain.accuracy, abs=0.01)
    assert (replayed.execution, plain.execution) == ("replayed", "step by step (no CUDA graphs on device cpu)")
    ours, theirs = replayed.net.state_dict(), plain.net.state_dict()
    for name in theirs:
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(ours[name], theirs[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("changes", [*RECIPES.values(), {"optimizer": "rmsprop"}], ids=[*RECIPES, "rmsprop"])
def test_every_loss_of_the_curve_agrees(
    changes: dict[str, object], small_net: NetSpec, quick: Recipe, gratings: PreparedData
) -> None:
    recipe = replace(quick, **changes)  # type: ignore[arg-type]
    # the reference: the plain loop's own parts, written out
    program = program_of(small_net, recipe, gratings)
    feed = load_feed(gratings, recipe, small_net.resolution)
    torch.manual_seed(3)
    net = fresh_net(small_net, recipe, CPU)
    optimizer = trainer.make_optimizer(net, recipe)
    schedule = trainer.make_schedule(optimizer, recipe, program.steps)
    order, expected = torch.Generator().manual_seed(5), []
    for _ in range(recipe.epochs):
        for pictures, labels in feed.epoch(recipe, order=order, device=CPU):
            loss = torch.nn.functional.cross_entropy(net(pictures), labels, label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            expected.append(loss.item())
    torch.testing.assert_close(run_program(program, None)[:, 0].tolist(), expected, rtol=1e-4, atol=1e-5)


def test_dropout_is_drawn_anew_in_every_replay(small_net: NetSpec, quick: Recipe, gratings: PreparedData) -> None:
    recipe = replace(quick, dropout=0.3, drop_path=0.3, crop_padding=0.1)
    by_steps = run_program(program_of(small_net, recipe, gratings), None)
    replayed = run_program(program_of(small_net, recipe, gratings), Tape())
    torch.testing.assert_close(replayed, by_steps, rtol=1e-3, atol=1e-4)


def test_what_cannot_be_recorded_is_trained_by_the_plain_loop(
    small_net: NetSpec, quick: Recipe, gratings: PreparedData
) -> None:
    recipe = replace(quick, ema_decay=0.9, drop_path=0.2, dropout=0.2)
    plain = train_net(small_net, recipe, gratings, 4)
    fallen_back = train_net(small_net, recipe, gratings, 4, capture=Refusing())
    assert fallen_back.execution.startswith("step by step (cannot be recorded: operation not permitted")
    ours, theirs = fallen_back.net.state_dict(), plain.net.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_look_at_the_device_stops_the_recording(small_net: NetSpec, quick: Recipe, gratings: PreparedData) -> None:
    program = program_of(small_net, quick, gratings)
    program.begin_epoch()
    Tape().record(program.step)

    def curious() -> None:
        program.step()
        float(program.losses().sum())

    with pytest.raises(CaptureError, match="asked the device"):
        Tape().record(curious)


def test_the_tape_freezes_what_comes_from_the_host() -> None:
    """The emulation can tell: a rate that the host changes does not reach a replay."""
    weight, rate = torch.zeros(1), [1.0]

    def step() -> None:
        weight.add_(rate[0])

    replay = Tape().record(step)
    assert weight.item() == 0
    rate[0] = 5.0
    replay()
    assert weight.item() == 1


def test_a_training_that_diverges_says_where(small_net: NetSpec, quick: Recipe, gratings: PreparedData) -> None:
    recipe = replace(quick, optimizer="sgd", learning_rate=100, weight_decay=10, epochs=3)
    with pytest.raises(DivergedError, match="diverged at step"):
        train_net(small_net, recipe, gratings, 0, capture=Tape())
    # the epochs after the one that diverged are left out
    assert len(run_program(program_of(small_net, recipe, gratings), None)) < 3 * 10


def test_an_epoch_is_drawn_as_the_feed_draws_it(quick: Recipe, gratings: PreparedData) -> None:
    recipe = replace(quick, flip=True, crop_padding=0.1)
    feed = load_feed(gratings, recipe, 16)
    one, other = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    for _ in range(2):
        drawn = draw_epoch([one], recipe, count=160, size=16, pad=2)
        labels = [labels for _, labels in feed.epoch(recipe, order=other, device=CPU)]
        assert torch.equal(feed.train_labels[drawn.picks], torch.stack(labels))
    assert torch.equal(one.get_state(), other.get_state())


def test_reasons_against_a_recording(quick: Recipe, gratings: PreparedData) -> None:
    feed = load_feed(gratings, quick, 16)
    reason = reason_against_capture(quick, feed, 100, device=CPU, dtype=None)
    assert reason == "no CUDA graphs on device cpu"
    away = reason_against_capture(quick, feed, 100, device=torch.device("cuda"), dtype=None)
    assert away == "the pictures do not fit on the GPU"
