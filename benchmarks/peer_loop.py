"""The peer of `trainings.py`: how a competent user trains small networks on Ray Tune today.

One network per trial, one core per trial, two at once; a function trainable that builds the network, two DataLoaders
and an optimiser, trains with eager torch and reports the validation accuracy after every epoch. Choices, each the
usual one or the faster one:

* the network is timm's EfficientNet with the widths of ours (the same parameters, checked), where timm imports;
* pictures are PIL images, transformed one by one: Resize (bicubic) where the size differs, ToTensor, Normalize. JPEG
  files lie in memory, so nothing waits for a disk; Fashion-MNIST lies there decoded, as torchvision keeps it;
* DataLoader with `workers` persistent workers, validation in batches of 256;
* float32 in torch's default layout, AdamW as torch builds it, cosine after a linear warm-up, one scheduler step a
  batch; the loss is not read back in every step;
* Ray Tune as it comes: a process per trial, its loggers, no checkpoints.

Data, subset, epochs, batch, optimiser, rates, initial distribution and batch-norm momentum are those of our recipe.
"""

from __future__ import annotations

import io
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cpu_seconds import write_cpu_seconds
from peer_net import declare_operators, peer_net
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from scalesearch.arch.spec import NetSpec
from scalesearch.data.loading import Normalisation
from scalesearch.train.recipe import Recipe

declare_operators()
from torchvision import transforms  # noqa: E402

__all__ = ["PeerData", "run_peer", "train_peer"]


@dataclass(frozen=True)
class PeerData:
    """Where a trial finds its pictures: an .npz of JPEG files, or decoded arrays; and which of them it uses."""

    npz: str | None
    folder: str
    train: np.ndarray
    val: np.ndarray
    normalisation: Normalisation


class Pictures(Dataset):
    """Pictures one by one, as torchvision's data sets give them."""

    def __init__(self, data: PeerData, part: str, transform: transforms.Compose):
        self.chosen = data.train if part == "train" else data.val
        self.transform, self.jpeg = transform, None
        if data.npz is None:
            self.images = np.load(Path(data.folder, f"{part}_images.npy"))
            self.labels = np.load(Path(data.folder, f"{part}_labels.npy"))
            return
        with np.load(data.npz, allow_pickle=False) as file:
            own = np.flatnonzero(file["split"] == (part == "val"))
            self.jpeg, offset = file["jpeg"], file["offset"]
            self.places = [(offset[item], offset[item + 1]) for item in own]
            self.labels = file["label"][own].astype(np.int64)

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        item = self.chosen[index]
        if self.jpeg is None:
            picture = Image.fromarray(self.images[item].squeeze())
        else:
            first, last = self.places[item]
            picture = Image.open(io.BytesIO(self.jpeg[first:last].tobytes())).convert("RGB")
        return self.transform(picture), int(self.labels[item])


def loaders(data: PeerData, spec: NetSpec, recipe: Recipe, workers: int) -> tuple[DataLoader, DataLoader]:
    resize = transforms.Resize((spec.resolution,) * 2, interpolation=transforms.InterpolationMode.BICUBIC)
    transform = transforms.Compose(
        [resize, transforms.ToTensor(), transforms.Normalize(data.normalisation.mean, data.normalisation.std)]
    )
    kept: dict[str, Any] = {"num_workers": workers, "persistent_workers": workers > 0}
    train = DataLoader(Pictures(data, "train", transform), recipe.batch_size, shuffle=True, drop_last=True, **kept)
    val = DataLoader(Pictures(data, "val", transform), 256, **kept)
    return train, val


def train_peer(
    spec: NetSpec, recipe: Recipe, data: PeerData, seed: int, workers: int, report: Any
) -> tuple[nn.Module, float]:
    """Train and judge; `report(accuracy=...)` after every epoch."""
    torch.manual_seed(seed)
    train, val = loaders(data, spec, recipe, workers)
    net = peer_net(spec, norm_momentum=recipe.norm_momentum, zero_start=recipe.zero_init_residual)
    weights = [p for p in net.parameters() if p.ndim > 1]
    rest = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": recipe.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(recipe.momentum, 0.999))
    steps = recipe.epochs * len(train)
    warmup = round(recipe.warmup * steps)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup))) / 2

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    criterion = nn.CrossEntropyLoss()
    accuracy = 0.0
    for _ in range(recipe.epochs):
        net.train()
        for pictures, labels in train:
            optimizer.zero_grad()
            loss = criterion(net(pictures), labels)
            loss.backward()
            optimizer.step()
            schedule.step()
        net.eval()
        correct = 0
        with torch.no_grad():
            for pictures, labels in val:
                correct += (net(pictures).argmax(1) == labels).sum().item()
        accuracy = correct / len(data.val)
        report(accuracy=accuracy)
    return net, accuracy


def run_peer(
    spec: NetSpec, recipe: Recipe, data: PeerData, seeds: list[int], workers: int, folder: str
) -> tuple[float, list[float]]:
    """All seeds through Ray Tune, two at once: seconds and accuracies. Ray must be running.

    Every trial leaves the CPU seconds of its process and its DataLoader workers in `folder`.
    """
    from ray import tune

    def trainable(config: dict[str, Any]) -> None:
        torch.set_num_threads(1)
        train_peer(spec, recipe, data, config["seed"], workers, lambda **metrics: tune.report(metrics))
        write_cpu_seconds(folder, f"peer-{config['seed']}")

    start = time.perf_counter()
    results = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"seed": tune.grid_search(seeds)},
        tune_config=tune.TuneConfig(metric="accuracy", mode="max"),
        run_config=tune.RunConfig(storage_path=folder, verbose=0),
    ).fit()
    seconds = time.perf_counter() - start
    assert not results.errors, results.errors
    return seconds, [result.metrics["accuracy"] for result in results]
