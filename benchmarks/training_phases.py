"""Where one short training spends its time: the loop of `scalesearch.train.trainer` with a clock between its parts."""

from __future__ import annotations

import time
from typing import Final

import torch
from torch.nn import functional

from scalesearch.arch.spec import NetSpec
from scalesearch.data.prepared import PreparedData
from scalesearch.nets.build import build_net, zero_init_residual
from scalesearch.nets.isolation import derived_seed, isolated
from scalesearch.train.evaluation import evaluate
from scalesearch.train.feed import forget_feeds, load_feed, steps_per_epoch
from scalesearch.train.optimisation import make_optimizer, make_schedule
from scalesearch.train.recipe import Recipe

__all__ = ["PHASES", "phases"]

PHASES: Final = ("start-up", "data", "forward", "backward", "optimiser", "validation")


def phases(spec: NetSpec, recipe: Recipe, data: PreparedData, seed: int) -> dict[str, float]:
    """Seconds of each of `PHASES`; start-up is resizing the pictures and building network and optimiser."""
    spent = dict.fromkeys(PHASES, 0.0)
    last = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal last
        now = time.perf_counter()
        spent[name] += now - last
        last = now

    cpu = torch.device("cpu")
    with isolated(seed=seed, threads=recipe.threads, device=cpu):
        forget_feeds()
        feed = load_feed(data, recipe, spec.resolution)
        net = build_net(spec.with_(norm_momentum=recipe.norm_momentum), drop_path=0.0, dropout=0.0)
        zero_init_residual(net)
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = make_optimizer(net, recipe)
        schedule = make_schedule(optimizer, recipe, recipe.epochs * steps_per_epoch(recipe, len(feed.train_labels)))
        order = torch.Generator().manual_seed(derived_seed(seed, "order"))
        net.train()
        lap("start-up")
        for _ in range(recipe.epochs):
            for pictures, labels in feed.epoch(recipe, order=order, device=cpu):
                lap("data")
                optimizer.zero_grad(set_to_none=True)
                loss = functional.cross_entropy(net(pictures), labels, label_smoothing=recipe.label_smoothing)
                lap("forward")
                loss.backward()
                lap("backward")
                optimizer.step()
                schedule.step()
                lap("optimiser")
        evaluate(net, feed, device=cpu)
        lap("validation")
    return spent
