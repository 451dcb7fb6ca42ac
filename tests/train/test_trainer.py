"""The short-run trainer: it learns, repeats bit for bit, and leaves nothing behind."""

from dataclasses import replace

import pytest
import torch

from scalesearch.arch.spec import NetSpec
from scalesearch.data.prepared import PreparedData
from scalesearch.errors import ConfigError, DivergedError, SpecError
from scalesearch.train.evaluation import evaluate
from scalesearch.train.feed import Feed, load_feed
from scalesearch.train.loss_watch import LossWatch
from scalesearch.train.recipe import Recipe
from scalesearch.train.trainer import TrainResult, train_net

CPU = torch.device("cpu")


def weights_of(result: TrainResult) -> dict[str, torch.Tensor]:
    return result.net.state_dict()


def equal(one: TrainResult, other: TrainResult) -> bool:
    ours, theirs = weights_of(one), weights_of(other)
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_it_learns(small_net: NetSpec, quick: Recipe, gratings: PreparedData) -> None:
    result = train_net(small_net, replace(quick, epochs=4, train_images=None, val_images=None), gratings, 0)
    assert result.accuracy > 0.6  # chance is 0.25
    assert (result.steps, result.n_train, result.n_val) == (4 * 37, 1200, 300)
    assert result.train_loss < 1.2


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ema_decay": 0.9, "drop_path": 0.2, "dropout": 0.2, "flip": True, "crop_padding": 0.1},
        {"optimizer": "sgd", "learning_rate": 0.1},
        {"optimizer": "rmsprop", "learning_rate": 0.01},
    ],
    ids=["quick", "regularised", "sgd", "rmsprop"],
)
def test_a_seed_repeats_bit_for_bit(
    changes: dict[str, object], small_net: NetSpec, quick: Recipe, gratings: PreparedData
) -> None:
    recipe = replace(quick, **changes)  # type: ignore[arg-type]
    first = train_net(small_net, recipe, gratings, 5)
    torch.rand(7)  # the global generator must not matter
    again, other = train_net(small_net, recipe, gratings, 5), train_net(small_net, recipe, gratings, 6)
    assert equal(first, again)
    assert (first.accuracy, first.loss, first.train_loss) == (again.accuracy, again.loss, again.train_loss)
    assert not equal(first, other)


def test_seeds_are_paired_over_networks(
    small_net: NetSpec, quick: Recipe, gratings: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[int] = []
    plain = Feed.epoch

    def noted(self: Feed, recipe: Recipe, *, order: torch.Generator, device: torch.device) -> object:
        orders.append(order.initial_seed())
        return plain(self, recipe, order=order, device=device)

    monkeypatch.setattr(Feed, "epoch", noted)
    recipe = replace(quick, train_images=64, val_images=20)
    for spec, seed in ((small_net, 0), (small_net.with_(stem_width=6), 0), (small_net, 1)):
        train_net(spec, recipe, gratings, seed)
    assert orders[0] == orders[1] != orders[2]


def test_nothing_global_changes(small_net: NetSpec, quick: Recipe, gratings: PreparedData) -> None:
    torch.manual_seed(11)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        before = torch.get_rng_state()
        train_net(small_net, quick, gratings, 0)
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.get_num_threads() == 2
        with pytest.raises(DivergedError):
            train_net(small_net, replace(quick, optimizer="sgd", learning_rate=100, weight_decay=10), gratings, 0)
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_the_average_is_what_gets_judged(small_net: NetSpec, quick: Recipe, gratings: PreparedData) -> None:
    raw = train_net(small_net, quick, gratings, 0)
    averaged = train_net(small_net, replace(quick, ema_decay=0.9), gratings, 0)
    assert averaged.train_loss == raw.train_loss
    assert not equal(raw, averaged)
    feed = load_feed(gratings, quick, small_net.resolution)
    assert evaluate(averaged.net, feed, device=CPU).accuracy == averaged.accuracy


def test_evaluation_counts_every_picture_once(small_net: NetSpec, quick: Recipe, gratings: PreparedData) -> None:
    result = train_net(small_net, quick, gratings, 0)
    feed = load_feed(gratings, quick, small_net.resolution)
    with torch.inference_mode():
        logits = result.net(feed.ready(feed.val_images))
    accuracy = (logits.argmax(1) == feed.val_labels).double().mean().item()
    assert result.accuracy == pytest.approx(accuracy, abs=1e-9)
    assert result.loss == pytest.approx(torch.nn.functional.cross_entropy(logits, feed.val_labels).item(), rel=1e-4)
    assert not result.net.training


def test_overrides_of_the_recipe_reach_the_network(small_net: NetSpec, quick: Recipe, gratings: PreparedData) -> None:
    recipe = replace(quick, train_images=64, drop_path=0.4, dropout=0.3, norm_momentum=0.5)
    net = train_net(small_net, recipe, gratings, 0).net
    assert net.dropout.p == 0.3  # type: ignore[union-attr]
    assert net.stem.norm.momentum == 0.5  # type: ignore[union-attr]
    kept = train_net(small_net, replace(recipe, dropout=None, norm_momentum=None), gratings, 0).net
    assert kept.dropout.p == small_net.dropout  # type: ignore[union-attr]
    assert kept.stem.norm.momentum == small_net.norm_momentum  # type: ignore[union-attr]


def test_divergence_names_the_step() -> None:
    watch = LossWatch()
    for _ in range(4):
        watch.add(torch.tensor(1.0))
    watch.add(torch.tensor(float("nan")))
    watch.add(torch.tensor(float("nan")))
    with pytest.raises(DivergedError, match="diverged at step 5: the loss became nan"):
        watch.look()


def test_an_absurd_rate_diverges(small_net: NetSpec, quick: Recipe, gratings: PreparedData) -> None:
    with pytest.raises(DivergedError, match="diverged at step"):
        train_net(small_net, replace(quick, optimizer="sgd", learning_rate=100, weight_decay=10), gratings, 0)


def test_train_loss_is_the_mean_of_the_last_tenth() -> None:
    watch = LossWatch()
    for step in range(1, 31):
        watch.add(torch.tensor(float(step)))
    watch.look()
    assert watch.mean_of_last_tenth() == pytest.approx((28 + 29 + 30) / 3)


def test_the_network_must_fit_the_data(small_net: NetSpec, quick: Recipe, gratings: PreparedData) -> None:
    with pytest.raises(SpecError, match="1 channel"):
        train_net(small_net.with_(in_channels=3), quick, gratings, 0)
    with pytest.raises(SpecError, match="4 classes"):
        train_net(small_net.with_(num_classes=10), quick, gratings, 0)


def test_float16_needs_a_gpu(small_net: NetSpec, quick: Recipe, gratings: PreparedData) -> None:
    with pytest.raises(ConfigError, match="float16 needs a GPU"):
        train_net(small_net, replace(quick, precision="float16"), gratings, 0, device="cpu")


def test_bfloat16_trains_on_a_cpu(small_net: NetSpec, quick: Recipe, gratings: PreparedData) -> None:
    result = train_net(small_net, replace(quick, precision="bfloat16", train_images=64), gratings, 0, device="cpu")
    assert 0 <= result.accuracy <= 1
