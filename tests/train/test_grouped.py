"""Seeds trained as one network give what each gives alone."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from scalesearch.arch.catalog import load_spec
from scalesearch.arch.spec import NetSpec, StageSpec
from scalesearch.data.prepared import PreparedData
from scalesearch.errors import DivergedError
from scalesearch.nets.build import build_net
from scalesearch.nets.grouped import group_nets, reason_against_grouping, ungroup
from scalesearch.nets.isolation import derived_seed
from scalesearch.train.captured_step import run_program
from scalesearch.train.feed import load_feed
from scalesearch.train.grouped_trainer import grouped_from_seeds, reason_against_a_group, train_group
from scalesearch.train.recipe import Recipe
from scalesearch.train.step_program import StepProgram
from scalesearch.train.trainer import TrainResult, fresh_net, train_net
from tests.train.tape import Tape

CPU = torch.device("cpu")
SEEDS = (0, 7, 3)
#: every kind of block, with the layers that a group replaces
KINDS = NetSpec(
    name="kinds",
    resolution=16,
    stem_width=4,
    stages=(
        StageSpec("mbconv", 3, 1, 6, 1, expansion_ratio=2, se_ratio=0.25),
        StageSpec("fused_mbconv", 3, 2, 8, 1, expansion_ratio=2, se_ratio=0.25),
        StageSpec("depthwise_separable", 5, 2, 8, 1),
        StageSpec("basic", 3, 1, 12, 2),
    ),
    head_width=16,
    num_classes=4,
    in_channels=1,
    stem_stride=1,
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def order(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(derived_seed(seed, "order"))


@pytest.mark.parametrize(
    "changes",
    [
        {"flip": True, "crop_padding": 0.1, "label_smoothing": 0.1, "ema_decay": 0.5},
        {"optimizer": "sgd", "learning_rate": 0.1},
        {"optimizer": "rmsprop", "learning_rate": 0.01},
    ],
    ids=["adamw", "sgd", "rmsprop"],
)
def test_a_group_is_its_trainings_one_by_one_to_nine_digits(changes: dict[str, object], gratings: PreparedData) -> None:
    recipe = replace(Recipe(batch_size=8, train_images=40, val_images=8), **changes)  # type: ignore[arg-type]
    feed = load_feed(gratings, recipe, KINDS.resolution)
    grouped = StepProgram(
        grouped_from_seeds(KINDS, recipe, SEEDS, CPU).double(), recipe, feed, [order(seed) for seed in SEEDS]
    )
    losses = run_program(grouped, None)
    assert losses.shape == (5, 3)
    for member, seed in enumerate(SEEDS):
        torch.manual_seed(derived_seed(seed, "weights"))
        alone = StepProgram(fresh_net(KINDS, recipe, CPU).double(), recipe, feed, [order(seed)])
        torch.testing.assert_close(run_program(alone, None)[:, 0], losses[:, member], rtol=1e-9, atol=1e-9)
        ours = ungroup(grouped.judged, fresh_net(KINDS, recipe, CPU), member).state_dict()
        for name, theirs in alone.judged.state_dict().items():
            torch.testing.assert_close(ours[name], theirs, rtol=1e-9, atol=1e-9)
    assert losses[0].unique().numel() == 3  # each has pictures of its own


@pytest.mark.parametrize("name", ["efficientnet_b0", "resnet18"])
def test_published_networks_side_by_side(name: str) -> None:
    spec = load_spec(name).with_(resolution=32, num_classes=3)
    nets = [build_net(spec, drop_path=0.0, dropout=0.0).double().eval() for _ in range(2)]
    grouped = group_nets(nets)
    pictures = torch.randn(2, 2, 3, 32, 32, dtype=torch.float64)
    with torch.inference_mode():
        logits = grouped(pictures.flatten(1, 2))
        for member, net in enumerate(nets):
            torch.testing.assert_close(logits[:, member], net(pictures[:, member]), rtol=1e-9, atol=1e-9)
            again = ungroup(grouped, nets[0], member).eval()
            assert torch.equal(again(pictures[:, member]), net(pictures[:, member]))


def test_results_of_a_group(small_net: NetSpec, gratings: PreparedData) -> None:
    recipe = Recipe(batch_size=16, train_images=160, val_images=100, learning_rate=1e-2)
    tape = Tape()
    results = train_group(small_net, recipe, gratings, SEEDS, device="cpu", capture=tape)
    assert tape.replayed == 7
    for seed, result in zip(SEEDS, results, strict=True):
        assert isinstance(result, TrainResult)
        alone = train_net(small_net, recipe, gratings, seed)
        assert result.train_loss == pytest.approx(alone.train_loss, rel=1e-3)
        assert result.loss == pytest.approx(alone.loss, rel=0.02)
        assert (result.steps, result.n_train, result.n_val) == (alone.steps, alone.n_train, alone.n_val)
        assert result.execution == "grouped 3, replayed"


def test_a_seed_that_diverges_does_not_take_the_others_along(small_net: NetSpec, gratings: PreparedData) -> None:
    recipe = Recipe(batch_size=16, train_images=64, val_images=20, optimizer="sgd", learning_rate=0.01)
    feed = load_feed(gratings, recipe, small_net.resolution)
    net = grouped_from_seeds(small_net, recipe, SEEDS, CPU)
    with torch.no_grad():
        width = small_net.stem_width
        net.stem.conv.weight[width : 2 * width] = float("inf")
    losses = run_program(StepProgram(net, recipe, feed, [order(seed) for seed in SEEDS]), None)
    assert losses.isfinite().all(0).tolist() == [True, False, True]
    absurd = replace(recipe, learning_rate=100, weight_decay=10, epochs=4)
    results = train_group(small_net, absurd, gratings, SEEDS, device="cpu")
    assert all(isinstance(result, DivergedError) for result in results)


def test_what_cannot_be_grouped_says_why(small_net: NetSpec) -> None:
    assert reason_against_a_group(small_net, Recipe(), SEEDS, device="cpu") is None
    assert "random" in (reason_against_a_group(small_net, Recipe(dropout=0.1), SEEDS, device="cpu") or "")
    assert "two seeds" in (reason_against_a_group(small_net, Recipe(), (1, 1), device="cpu") or "")
    net = build_net(small_net, drop_path=0.0, dropout=0.0)
    net.head = torch.nn.LayerNorm(3)
    assert reason_against_grouping(net) == "a LayerNorm cannot be grouped"
