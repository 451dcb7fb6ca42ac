"""The peer of `gpu.py`: how a competent user trains one small network on one GPU today.

The network is timm's where timm imports (`peer_net`), ours otherwise. Pictures are PIL images in a Dataset, resized and
turned into tensors one by one in DataLoader workers, pinned, and copied to the device batch by batch; autocast in the
same type as ours, channels_last, fused AdamW, cosine after a linear warm-up; validation in batches of 256 after every
epoch. Nothing but torch, numpy and Pillow is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from peer_net import peer_net
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from scalesearch.arch.spec import NetSpec
from scalesearch.data.loading import Normalisation, train_subset
from scalesearch.data.prepared import PreparedData
from scalesearch.train.optimisation import parameter_groups, rate_factor
from scalesearch.train.recipe import Recipe

__all__ = ["train_peer"]


class Pictures(Dataset[tuple[Tensor, int]]):
    """One part of a data set, picture by picture."""

    def __init__(self, data: PreparedData, part: str, count: int | None, side: int, normalisation: Normalisation):
        self.images, labels = data.train() if part == "train" else data.val()
        self.chosen = train_subset(labels, count, 0)
        self.labels, self.side = labels, side
        self.mean = np.array(normalisation.mean, dtype=np.float32)[:, None, None]
        self.std = np.array(normalisation.std, dtype=np.float32)[:, None, None]

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        item = self.chosen[index]
        array = np.asarray(self.images[item])
        picture = Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array)
        if picture.size[0] != self.side:
            picture = picture.resize((self.side, self.side), Image.Resampling.BICUBIC)
        pixels = np.asarray(picture, dtype=np.float32) / 255
        planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        return torch.from_numpy((planes - self.mean) / self.std), int(self.labels[item])


def train_peer(
    spec: NetSpec,
    recipe: Recipe,
    data: PreparedData,
    seed: int,
    *,
    normalisation: Normalisation,
    device: torch.device,
    dtype: torch.dtype | None,
    workers: int,
) -> float:
    """Train and judge; top-1 accuracy after the last epoch."""
    torch.manual_seed(seed)
    net = peer_net(spec, norm_momentum=recipe.norm_momentum, zero_start=recipe.zero_init_residual)
    net = net.to(device, memory_format=torch.channels_last)
    groups = parameter_groups(net, recipe.weight_decay)
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(recipe.momentum, 0.999), fused=True)
    kept: dict[str, Any] = {"num_workers": workers, "persistent_workers": workers > 0, "pin_memory": True}
    kept["pin_memory"] = device.type == "cuda"
    parts = {"train": recipe.train_images, "val": recipe.val_images}
    train, val = (Pictures(data, part, count, spec.resolution, normalisation) for part, count in parts.items())
    batches = DataLoader(train, recipe.batch_size, shuffle=True, drop_last=True, **kept)
    judging = DataLoader(val, 256, **kept)
    steps = recipe.epochs * len(batches)
    warmup_steps = round(recipe.warmup * steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, steps, warmup_steps))
    scaler = torch.amp.GradScaler(device.type, enabled=dtype is torch.float16)
    criterion, accuracy = nn.CrossEntropyLoss(), 0.0
    for _ in range(recipe.epochs):
        net.train()
        for pictures, labels in batches:
            pictures = pictures.to(device, non_blocking=True, memory_format=torch.channels_last)
            labels = labels.to(device, non_blocking=True)
            optimizer.zero_grad()
            with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
                loss = criterion(net(pictures), labels)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            schedule.step()
        accuracy = _accuracy(net, judging, device, dtype)
    return accuracy


def _accuracy(net: nn.Module, judging: DataLoader[Any], device: torch.device, dtype: torch.dtype | None) -> float:
    net.eval()
    correct = seen = 0
    with torch.no_grad(), torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
        for pictures, labels in judging:
            logits = net(pictures.to(device, memory_format=torch.channels_last))
            correct += int((logits.argmax(1).cpu() == labels).sum())
            seen += len(labels)
    return correct / seen
