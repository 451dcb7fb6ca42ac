"""The memory estimate: monotone, and near the measured peak of a training loop on a CPU."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from scalesearch.arch.catalog import load_spec
from scalesearch.arch.spec import NetSpec
from scalesearch.data.loading import Normalisation
from scalesearch.train.captured_step import run_program
from scalesearch.train.compile_rule import MEASURED, CompileCost, compile_pays, steps_to_pay
from scalesearch.train.feed import Feed
from scalesearch.train.memory import MemoryEstimate, estimate_memory, trainings_that_fit
from scalesearch.train.precision import automatic_dtype, float32_arithmetic
from scalesearch.train.recipe import Recipe
from scalesearch.train.step_program import StepProgram
from scalesearch.train.trainer import fresh_net

#: the estimate may say this much less, or more, than the peak
AT_LEAST, AT_MOST = 0.95, 1.6
B0 = load_spec("efficientnet_b0").with_(resolution=32, num_classes=10)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def peak_of(spec: NetSpec, recipe: Recipe, pictures: int) -> int:
    """Most bytes that were allocated and not yet freed during a training, pictures and network included."""
    channels, side = spec.in_channels, spec.resolution
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        images = torch.randint(0, 256, (pictures, channels, side, side), dtype=torch.uint8)
        labels = torch.randint(0, spec.num_classes, (pictures,))
        feed = Feed(images, labels, images[:1], labels[:1], Normalisation((0.5,) * channels, (0.5,) * channels))
        net = fresh_net(spec, recipe, torch.device("cpu"))
        run_program(StepProgram(net, recipe, feed, [torch.Generator()]), None)
    now = highest = 0
    events: Any = profile.profiler.kineto_results.events()  # type: ignore[union-attr]
    for event in events:
        if event.name() == "[memory]":
            now += event.nbytes()
            highest = max(highest, now)
    return highest


@pytest.mark.parametrize(
    ("name", "resolution", "batch", "changes"),
    [
        ("efficientnet_b0", 32, 16, {}),
        ("mobilenet_v2", 48, 8, {"optimizer": "sgd"}),
        ("efficientnet_v2_b0", 32, 16, {"ema_decay": 0.9}),
    ],
)
def test_the_estimate_is_near_the_peak(name: str, resolution: int, batch: int, changes: dict[str, Any]) -> None:
    spec = load_spec(name).with_(resolution=resolution, num_classes=10, stem_stride=1)
    recipe = replace(Recipe(batch_size=batch), **changes)
    peak = peak_of(spec, recipe, 2 * batch)
    estimate = estimate_memory(spec, recipe, pictures=2 * batch + 1, gpu=False)
    assert AT_LEAST < estimate.total / peak < AT_MOST, (estimate, peak)


def test_more_of_anything_takes_more() -> None:
    recipe = Recipe()
    least = estimate_memory(B0, recipe, pictures=1000).total
    more = [
        estimate_memory(B0.with_(resolution=48), recipe, pictures=1000),
        estimate_memory(B0.with_(stem_width=64), recipe, pictures=1000),
        estimate_memory(B0, replace(recipe, batch_size=128), pictures=1000),
        estimate_memory(B0, replace(recipe, ema_decay=0.9), pictures=1000),
        estimate_memory(B0, recipe, pictures=2000),
        estimate_memory(B0, recipe, pictures=1000, members=2),
    ]
    less = [
        estimate_memory(B0, replace(recipe, optimizer="sgd"), pictures=1000),
        estimate_memory(B0, recipe, pictures=1000, gpu=False),
        estimate_memory(B0, recipe, pictures=1000, bytes_per_activation=2),
    ]
    assert all(estimate.total > least for estimate in more)
    assert all(estimate.total < least for estimate in less)


def test_trainings_on_one_gpu_follow_its_free_memory() -> None:
    largest = MemoryEstimate(weights=2**28, kept=2**29, pictures=2**27, workspace=2**27)  # 1 GiB
    assert [trainings_that_fit(free, largest) for free in (0, 2**30, 2**31, 10 * 2**30)] == [1, 1, 1, 9]
    assert trainings_that_fit(2**31, largest, reserve=0) == 2


def test_compiling_pays_where_it_saves_more_than_it_costs() -> None:
    cost = CompileCost(seconds=30, gain=1.5)  # a third of every step
    assert steps_to_pay(0.03, cost) == pytest.approx(3000)
    assert not compile_pays(3000, 0.0299, cost)
    assert compile_pays(3001, 0.03, cost)
    assert not compile_pays(10**9, 1.0, None)
    assert not compile_pays(10**9, 1.0, CompileCost(seconds=1, gain=1.0))
    # a short training on a CPU: 100 steps of 0.2 s
    assert not compile_pays(100, 0.2, MEASURED["cpu"])
    assert "cuda" not in MEASURED


def test_automatic_precision_follows_the_capability() -> None:
    found = [automatic_dtype(capability) for capability in (None, (6, 1), (7, 0), (7, 5), (8, 0), (9, 0))]
    assert found == [None, None, torch.float16, torch.float16, torch.bfloat16, torch.bfloat16]


def test_float32_is_all_of_float32_and_put_back() -> None:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    for precision, allowed in (("float32", False), ("auto", True), ("bfloat16", True)):
        with float32_arithmetic(Recipe(precision=precision)):
            assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == (allowed, allowed)
        assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == before
